#include "conversation/redact_logs.h"

#include <algorithm>
#include <map>

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
  std::map<std::string, std::string> labels;
  for (const std::string& name : me) labels[name] = options.redact_names ? redactor.redact_name(name) : name;
  for (ChatLog& log : logs) {
    for (ChatMessage& message : log.messages) {
      redactor.redact(message.text);
      auto label = labels.find(message.sender);
      if (label == labels.end()) label = labels.emplace(message.sender, redactor.redact_name(message.sender)).first;
      message.sender = label->second;
    }
    redactor.redact(log.source);
  }
  for (std::string& name : me) name = labels[name];
}

}  // namespace attune
