// The marks in a Slack message's text (https://api.slack.com/reference/surfaces/formatting).
#include <algorithm>

#include "conversation/slack.h"

namespace attune {
namespace {

void append_plain(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("&amp;"))
      out += '&', i += 5;
    else if (rest.starts_with("&lt;"))
      out += '<', i += 4;
    else if (rest.starts_with("&gt;"))
      out += '>', i += 4;
    else
      out += text[i++];
  }
}

// What stands between < and >.
void append_mark(std::string& out, std::string_view mark, const std::map<std::string, std::string>& users) {
  const std::size_t bar = mark.find('|');
  const std::string_view target = mark.substr(0, bar);
  const std::string_view label = bar == std::string_view::npos ? std::string_view() : mark.substr(bar + 1);
  if (target.starts_with('@')) {
    const auto user = users.find(std::string(target.substr(1)));
    out += '@';
    append_plain(out, user != users.end() ? std::string_view(user->second) : label.empty() ? target.substr(1) : label);
  } else if (target.starts_with('#')) {
    out += '#';
    append_plain(out, label.empty() ? target.substr(1) : label);
  } else if (target.starts_with('!')) {
    // <!here>, <!subteam^S1|@team>, <!date^1392734382^{date}|Feb 18>
    const std::string_view name = target.substr(1, target.find('^') - 1);
    if (label.empty())
      out += '@', append_plain(out, name);
    else
      append_plain(out, label);
  } else if (label.empty()) {
    const std::size_t scheme = target.starts_with("mailto:") ? 7 : target.starts_with("tel:") ? 4 : 0;
    append_plain(out, target.substr(scheme));
  } else {
    append_plain(out, label);
  }
}

}  // namespace

std::string slack_text(std::string_view text, const std::map<std::string, std::string>& users) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t open = std::min(text.find('<', i), text.size());
    append_plain(out, text.substr(i, open - i));
    if (open == text.size()) break;
    const std::size_t close = text.find('>', open);
    if (close == std::string_view::npos) {
      append_plain(out, text.substr(open));
      break;
    }
    append_mark(out, text.substr(open + 1, close - open - 1), users);
    i = close + 1;
  }
  return out;
}

}  // namespace attune
