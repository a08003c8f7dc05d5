#include "conversation/signal_chats.h"

#include <utility>

#include "conversation/text_marks.h"

namespace attune {
namespace {

void append(ChatLog& log, const ChatLog& more) {
  for (const ChatMessage message : more.messages) log.messages.push_back(message);
  for (std::size_t i = 0; i < kDropReasons; ++i) log.dropped[i] += more.dropped[i];
  log.lines += more.lines;
  log.records += more.records;
  log.entries += more.entries;
}

}  // namespace

SignalChats::SignalChats(std::string source, std::string me) : source_(std::move(source)), me_(std::move(me)) {}

std::string SignalChats::person(const std::string& uuid, const std::string& number, std::string_view name) {
  const std::string& key = uuid.empty() ? number : uuid;
  if (!uuid.empty() && !number.empty() && uuid != number) {
    uuids_[number] = uuid;
    names_.try_emplace(uuid, number);
  }
  call(key, name);
  return key;
}

void SignalChats::call(const std::string& chat, std::string_view name) {
  const std::string clean = clean_name(name);
  if (!clean.empty() && !chat.empty()) names_[chat] = clean;
}

ChatLog& SignalChats::log(const std::string& chat) { return logs_[chat]; }

std::string SignalChats::account(const std::string& key) const {
  const auto uuid = uuids_.find(key);
  return uuid == uuids_.end() ? key : uuid->second;
}

std::string SignalChats::shown(const std::string& key) const {
  const auto name = names_.find(account(key));
  return name == names_.end() ? clean_name(key) : name->second;
}

std::vector<ChatLog> SignalChats::finish() {
  std::map<std::string, ChatLog> chats;
  for (auto& [key, log] : logs_) {
    if (log.entries == 0) continue;
    const auto [chat, added] = chats.try_emplace(account(key));
    if (added)
      chat->second = std::move(log);
    else
      append(chat->second, log);
  }
  std::vector<ChatLog> logs;
  for (auto& [chat, log] : chats) {
    log.chat = chat;
    log.source = chat.empty() ? source_ : source_ + ":" + shown(chat);
    log.format = "Signal";
    log.messages.rename_senders([&](std::string_view sender) {
      const std::string key(sender);
      if (key == me_) return key;
      const std::string name = shown(key);
      return name.empty() ? std::string("Unknown") : name;
    });
    log.messages.sort_by_time();
    logs.push_back(std::move(log));
  }
  return logs;
}

}  // namespace attune
