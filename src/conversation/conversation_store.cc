#include "conversation/conversation_store.h"

#include "base/error.h"
#include "base/json_stream.h"

namespace attune {

std::uint32_t ConversationStore::add(const Conversation& conversation) {
  const std::string line = to_json_line(conversation) + "\n";
  if (line.size() > UINT32_MAX) throw BadFile("[import] a conversation of {} bytes", line.size());
  if (size() == UINT32_MAX) throw Unsupported("[import] more than {} conversations", UINT32_MAX);
  lines_.push_back({text_.size(), static_cast<std::uint32_t>(line.size())});
  text_.append(line);
  return static_cast<std::uint32_t>(size() - 1);
}

std::string_view ConversationStore::line(std::uint32_t number) const {
  const Line& line = lines_[number];
  return text_.view(line.offset, line.length);
}

Conversation ConversationStore::operator[](std::uint32_t number) const {
  Conversation conversation;
  const std::string_view text = line(number);
  JsonStream json(PagedText(text, false), "conversation", text.size());
  json.object([&](std::string_view) {
    json.array([&] {
      Message& message = conversation.messages.emplace_back();
      json.object([&](std::string_view key) { (key == "role" ? message.role : message.content) = json.string(); });
    });
  });
  return conversation;
}

}  // namespace attune
