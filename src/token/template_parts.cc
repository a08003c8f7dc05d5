#include "token/template_parts.h"

#include <algorithm>

#include "base/error.h"

namespace attune {

std::optional<std::vector<std::string>> parts_around(const ChatTemplate& chat_template,
                                                     const std::vector<Message>& messages) {
  std::string text;
  try {
    text = chat_template.render(messages, true);
  } catch (const UserError&) {
    return std::nullopt;
  }
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (const Message& message : messages) {
    const std::size_t found = text.find(message.content, at);
    if (found == std::string::npos) return std::nullopt;
    parts.push_back(text.substr(at, found - at));
    at = found + message.content.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

std::string common_end(const std::string& a, const std::string& b) {
  const auto ends = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return {ends.first.base(), a.end()};
}

}  // namespace attune
