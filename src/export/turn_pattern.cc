#include "export/turn_pattern.h"

#include <algorithm>

#include "base/error.h"
#include "token/template_parts.h"

namespace attune {
namespace {

using Texts = std::vector<std::string>;

// "user, assistant, user" with a distinct text each.
std::vector<Message> example(const std::vector<std::string>& roles) {
  static const Texts kWords = {"Alpha one.", "Bravo: two?", "Charlie three!", "Delta\nfour",
                               "Echo 5",     "Foxtrot 6",   "Golf 7",         "Hotel 8"};
  std::vector<Message> messages;
  for (const std::string& role : roles) messages.push_back({role, kWords[messages.size()]});
  return messages;
}

std::string without_suffix(const std::string& text, const std::string& suffix) {
  return text.substr(0, text.size() - suffix.size());
}

std::optional<std::string> rendered(const ChatTemplate& chat_template, const std::vector<Message>& messages) {
  try {
    return chat_template.render(messages, true);
  } catch (const UserError&) {
    return std::nullopt;
  }
}

// User and assistant turns, the prompt and the start without a system text, from one conversation: between a user and an
// assistant stands user.after + assistant.before; after the last user user.after + prompt.
bool learn_turns(TurnPattern& pattern, const ChatTemplate& chat_template) {
  const auto parts = parts_around(chat_template, example({"user", "assistant", "user"}));
  if (!parts) return false;
  const std::string &first = (*parts)[0], &to_answer = (*parts)[1], &to_user = (*parts)[2], &end = (*parts)[3];
  // user.before is what the second user shares with the first; the end of a turn is known from the habits.
  const std::string& turn_end = chat_template.habits().end_of_turn;
  const std::size_t ends = turn_end.empty() ? std::string::npos : to_user.find(turn_end);
  if (ends == std::string::npos) return false;
  std::string shared = common_end(first, to_user.substr(ends + turn_end.size()));
  pattern.user.before = shared;
  pattern.start_without = without_suffix(first, shared);
  pattern.assistant.after = without_suffix(to_user, shared);
  // The prompt is the longest end of `end` with which the answer's beginning starts; what precedes it ends the user.
  const std::size_t same = static_cast<std::size_t>(
      std::mismatch(end.begin(), end.begin() + static_cast<std::ptrdiff_t>(std::min(end.size(), to_answer.size())),
                    to_answer.begin())
          .first -
      end.begin());
  // Everything that both begin with may as well belong to the user's end; the rest differs.
  pattern.user.after = end.substr(0, same);
  pattern.prompt = end.substr(same);
  pattern.assistant.before = to_answer.substr(same);
  return true;
}

bool learn_system(TurnPattern& pattern, const ChatTemplate& chat_template) {
  const std::vector<Message> one = example({"system", "user"}), two = example({"system", "user", "assistant", "user"});
  pattern.start = pattern.start_without;
  if (!rendered(chat_template, one)) return true;  // the template refuses a system text
  const auto parts = parts_around(chat_template, one);
  if (!parts) return false;
  const std::string &first = (*parts)[0], &between = (*parts)[1];
  const auto matches = [&](SystemPlace place) {
    pattern.place = place;
    return rendered(chat_template, one) == pattern.render(one) && rendered(chat_template, two) == pattern.render(two);
  };
  if (between.ends_with(pattern.user.before)) {
    pattern.start.clear();
    pattern.system = {first, without_suffix(between, pattern.user.before)};
    if (matches(SystemPlace::kOwnTurn)) return true;
  }
  if (!first.ends_with(pattern.user.before)) return false;
  pattern.start = without_suffix(first, pattern.user.before);
  pattern.system = {"", between};
  return matches(SystemPlace::kFirstUser) || matches(SystemPlace::kLastUser);
}

}  // namespace

std::string TurnPattern::render(const std::vector<Message>& messages) const {
  const bool has_system = !messages.empty() && messages[0].role == "system" && place != SystemPlace::kNone;
  std::string text = has_system ? start : start_without;
  const auto last = static_cast<std::size_t>(
      std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role == "user"; }).base() -
      messages.begin());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "system") {
      if (place == SystemPlace::kOwnTurn) text += system.before + message.content + system.after;
      continue;
    }
    const Turn& turn = message.role == "user" ? user : assistant;
    text += turn.before;
    const bool carries =
        has_system && message.role == "user" &&
        ((place == SystemPlace::kFirstUser && i == 1) || (place == SystemPlace::kLastUser && i + 1 == last));
    if (carries) text += messages[0].content + system.after;
    text += message.content + turn.after;
  }
  return text + prompt;
}

TurnPattern find_turn_pattern(const ChatTemplate& chat_template) {
  TurnPattern pattern;
  const auto refuse = [](const std::string& what) {
    throw Unsupported(
        "[chat template] cannot be written as an Ollama template: {}; export --to gguf keeps it as it is for llama.cpp",
        what);
  };
  if (!learn_turns(pattern, chat_template)) refuse("what ends a turn could not be found");
  if (!learn_system(pattern, chat_template)) refuse("where a system text stands could not be found");
  for (const std::vector<std::string>& roles :
       std::vector<std::vector<std::string>>{{"user"},
                                             {"user", "assistant", "user"},
                                             {"user", "assistant", "user", "assistant", "user"},
                                             {"system", "user"},
                                             {"system", "user", "assistant", "user"},
                                             {"system", "user", "assistant", "user", "assistant", "user"}}) {
    const std::vector<Message> messages = example(roles);
    const auto text = rendered(chat_template, messages);
    if (text && *text != pattern.render(messages)) {
      refuse(fmt::format("a conversation of {} comes out differently", fmt::join(roles, ", ")));
    }
  }
  return pattern;
}

}  // namespace attune
