// The chats of a file of Signal's tools. They name a person by an account's uuid, by a phone number, or by both, and by a
// name only where the message comes from that person; a chat goes by the account, and names are known when all is read.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "conversation/chat_log.h"

namespace attune {

class SignalChats {
 public:
  // `source` names the file, `me` the person whose Signal it was.
  SignalChats(std::string source, std::string me);

  // The key of a person, for log() and as a sender; any of the three may be empty, "" when all are.
  std::string person(const std::string& uuid, const std::string& number, std::string_view name);
  // What a chat is called: a group's id says nothing to people.
  void call(const std::string& chat, std::string_view name);
  // The log of the chat with that person, or of the group with that id. Senders are added by their keys.
  ChatLog& log(const std::string& chat);
  // The logs with an entry, in order of time, with senders by their names. To be called last.
  std::vector<ChatLog> finish();

 private:
  std::string shown(const std::string& key) const;
  std::string account(const std::string& key) const;

  std::string source_, me_;
  std::map<std::string, ChatLog> logs_;
  std::map<std::string, std::string> names_;  // by uuid, number or group id
  std::map<std::string, std::string> uuids_;  // by number
};

}  // namespace attune
