#include "conversation/redact_logs.h"

#include <functional>
#include <map>
#include <string_view>

namespace attune {
namespace {

bool is_number(const std::string& sender) { return sender.find_first_not_of("+0123456789 -()") == std::string::npos; }

}  // namespace

Redactor make_redactor(const PrivacyOptions& options, const std::vector<std::string>& senders) {
  RedactOptions redact{options.keep, options.names};
  if (options.redact_names) {
    for (const std::string& sender : senders) {
      if (!is_number(sender)) redact.names.push_back(sender);
    }
  }
  return Redactor(redact);
}

void redact_logs(std::vector<ChatLog>& logs, std::vector<std::string>& me, const PrivacyOptions& options,
                 Redactor& redactor) {
  std::map<std::string, std::string, std::less<>> labels;
  for (const std::string& name : me) labels[name] = options.redact_names ? redactor.redact_name(name) : name;
  for (ChatLog& log : logs) {
    MessageList& messages = log.messages;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage message = messages[i];
      std::string text(message.text);
      redactor.redact(text);
      if (const auto label = labels.find(message.sender); label == labels.end()) {
        std::string name(message.sender);
        labels.emplace(name, redactor.redact_name(name));
      }
      if (text != message.text) messages.set_text(i, text);
    }
    // Names without a label are those of nobody whose messages are left.
    messages.rename_senders([&](std::string_view name) {
      const auto label = labels.find(name);
      return label == labels.end() ? std::string(name) : label->second;
    });
    messages.settle();
    redactor.redact(log.source);
  }
  for (std::string& name : me) name = labels[name];
}

}  // namespace attune
