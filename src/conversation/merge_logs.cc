#include "conversation/merge_logs.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/nearest.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

std::string unknown_alias(const Alias& alias, const std::vector<ChatLog>& logs) {
  std::vector<std::string> names;
  for (const auto& [name, count] : count_senders(logs)) names.push_back(name);
  return fmt::format("[--alias] nobody is called \"{}\" in the chats{}", alias.other, did_you_mean(alias.other, names));
}

void rename(std::vector<ChatLog>& logs, const std::vector<Alias>& aliases) {
  for (const Alias& alias : aliases) {
    const std::string other = fold_name(alias.other);
    bool found = false;
    for (ChatLog& log : logs) {
      const auto senders = log.messages.senders();
      if (std::none_of(senders.begin(), senders.end(), [&](const auto& s) { return fold_name(s.first) == other; })) {
        continue;
      }
      found = true;
      log.messages.rename_senders(
          [&](std::string_view name) { return fold_name(name) == other ? alias.name : std::string(name); });
    }
    if (!found) throw UserError("{}", unknown_alias(alias, logs));
  }
}

// What two exports of one chat have in common.
using ChatKey = std::tuple<std::string, std::string, std::set<std::string>>;

ChatKey key_of(const ChatLog& log) {
  std::set<std::string> people;
  for (const auto& [name, count] : log.messages.senders()) people.insert(std::string(name));
  return {log.format.substr(0, log.format.find(' ')), log.chat, std::move(people)};
}

// A message for comparing it with others. That two different ones of ten million share theirs happens in one import of
// 300,000.
std::uint64_t print_of(const ChatMessage& message) {
  const auto mix = [](std::uint64_t x) {  // the finalizer of SplitMix64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
  };
  const std::hash<std::string_view> hash_of;
  return mix(hash_of(message.text) + mix(hash_of(message.sender) + mix(static_cast<std::uint64_t>(message.time))));
}

// The later logs of one chat into the first of them.
void join(ChatLog& first, std::vector<ChatLog*> others) {
  std::vector<std::uint64_t> seen;  // sorted
  for (const ChatMessage message : first.messages) seen.push_back(print_of(message));
  std::sort(seen.begin(), seen.end());
  for (ChatLog* const log : others) {
    std::vector<std::uint64_t> own;  // apart: a file may say "ok" twice within one second
    for (const ChatMessage message : log->messages) {
      const std::uint64_t print = print_of(message);
      if (std::binary_search(seen.begin(), seen.end(), print)) {
        ++log->dropped[static_cast<std::size_t>(Drop::kDuplicate)];
        continue;
      }
      own.push_back(print);
      first.messages.push_back(message);
    }
    seen.insert(seen.end(), own.begin(), own.end());
    std::sort(seen.begin(), seen.end());
    log->messages = {};
  }
  first.messages.sort_by_time();
}

}  // namespace

Alias parse_alias(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw UserError("[--alias] expected \"Old name=Name\", got \"{}\"", text);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<std::string> with_aliases(std::vector<std::string> names, const std::vector<Alias>& aliases) {
  for (std::string& name : names) {
    for (const Alias& alias : aliases) {
      if (fold_name(name) == fold_name(alias.other)) name = alias.name;
    }
  }
  return names;
}

std::vector<ChatLog> merge_logs(std::vector<ChatLog> logs, const std::vector<Alias>& aliases) {
  rename(logs, aliases);
  std::map<ChatKey, std::vector<ChatLog*>> chats;
  if (logs.size() > 1) {
    for (ChatLog& log : logs) {
      if (!log.messages.empty() && log.sessions.empty()) chats[key_of(log)].push_back(&log);
    }
  }
  for (auto& [key, list] : chats) {
    if (list.size() > 1) join(*list.front(), {list.begin() + 1, list.end()});
  }
  return logs;
}

std::vector<std::pair<std::string, std::uint64_t>> count_senders(const std::vector<ChatLog>& logs) {
  std::map<std::string, std::uint64_t, std::less<>> counts;
  for (const ChatLog& log : logs) {
    for (const auto& [name, count] : log.messages.senders()) counts[std::string(name)] += count;
  }
  std::vector<std::pair<std::string, std::uint64_t>> senders(counts.begin(), counts.end());
  std::stable_sort(senders.begin(), senders.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return senders;
}

}  // namespace attune
