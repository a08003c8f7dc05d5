// What an importer hands on: the messages of one chat in the order of the file, whatever program exported
// them, and an account of everything that was read and left out. One importer is one file beside whatsapp.cc;
// windows.h turns logs into conversations.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct ChatMessage {
  std::int64_t time = 0;  // seconds since 1970-01-01 00:00 on the exporting phone's own clock (no time zone)
  std::string sender;     // as shown in the chat, without invisible marks
  std::string text;       // UTF-8, never empty, lines separated by '\n'

  bool operator==(const ChatMessage&) const = default;
};

// Why a dated entry of an export is no message, or a message is in no conversation.
enum class Drop {
  kSystem,        // written by the program: joined, left, encryption, subject, settings
  kMedia,         // picture, video, voice, sticker, document without words of the sender's own
  kDeleted,       // "This message was deleted"
  kCall,          // missed or finished call
  kLocation,      // shared place
  kContact,       // contact card
  kPoll,          // poll with its options and votes
  kEmpty,         // no text at all, or the "null" that stands for what the program cannot export
  kDuplicate,     // the same message of the same chat, read from an earlier file
  kWithoutMe,     // the chat has no message of --me
  kUnprompted,    // the assistant opens a session: nothing that it answers
  kUnanswered,    // the session ends before the assistant answers
  kOnlyLinks,     // an exchange in which one side says nothing but links
  kOnlySigns,     // an exchange whose answer is a single emoji or sign
  kRepeated,      // in a conversation that is equal to an earlier one
  kNearRepeated,  // in a conversation that is nearly equal to an earlier one
};
inline constexpr std::size_t kDropReasons = 16;

// "system", "media", ...: the name in ledgers.
std::string_view drop_name(Drop reason);

using DropCounts = std::array<std::uint64_t, kDropReasons>;

struct ChatLog {
  std::string source;         // file, or archive:entry
  std::string format;         // "WhatsApp (Android)"
  std::string dates;          // date order and how it was decided
  std::string clock;          // 12 or 24 hours and how it was decided
  std::uint64_t lines = 0;    // of the file
  std::uint64_t entries = 0;  // dated entries: messages plus dropped
  std::uint64_t edited = 0;   // messages whose "edited" marker was removed
  DropCounts dropped{};
  std::vector<ChatMessage> messages;  // entries == messages.size() + sum of dropped
};

}  // namespace attune
