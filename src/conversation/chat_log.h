// What an importer hands on: the messages of one chat in the order of the file, whatever program exported
// them, and an account of everything that was read and left out. One importer is one file beside whatsapp.cc;
// windows.h turns logs into conversations.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/spill.h"

namespace attune {

// No person writes a longer message, but a broken file may have one of gigabytes: importers refuse it.
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 24;
constexpr const char* kTooLong = "a text of more than 16 MB; no person writes one";

struct ChatMessage {
  std::int64_t time = 0;    // seconds since 1970-01-01 00:00 on the exporting phone's own clock (no time zone)
  std::string_view sender;  // as shown in the chat, without invisible marks
  std::string_view text;    // UTF-8, never empty, lines separated by '\n'

  bool operator==(const ChatMessage&) const = default;
};

// Messages by the million: 24 bytes each and their text, on disk when they are many (base/spill.h). What is read from
// it views its storage: a text until the next change of the list, a sender as long as the list lives.
class MessageList {
 public:
  class Iterator;

  MessageList() = default;
  MessageList(std::span<const ChatMessage> messages);

  void push_back(const ChatMessage& message);
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  ChatMessage operator[](std::size_t i) const;
  ChatMessage front() const { return (*this)[0]; }
  ChatMessage back() const { return (*this)[size() - 1]; }
  Iterator begin() const;
  Iterator end() const;

  // Replaces the text of message i.
  void set_text(std::size_t i, std::string_view text);
  // Every sender by the name that `name` gives for the present one; two with one name become one.
  void rename_senders(const std::function<std::string(std::string_view)>& name);
  // Message order[i] becomes message i; `order` is a permutation.
  void reorder(const std::vector<std::uint32_t>& order);
  // By time; messages of one second keep their order.
  void sort_by_time();
  // Every time divided, rounding down: for exports that count in milliseconds, once their messages are sorted.
  void divide_times(std::int64_t divisor);
  // Reversed: for exports that begin with the newest.
  void reverse();
  // Removes the messages for which `leave_out` is true, called in order; returns how many.
  std::size_t erase_if(const std::function<bool(const ChatMessage&)>& leave_out);

  // The senders of the messages with the number of messages of each, in order of appearance.
  std::vector<std::pair<std::string_view, std::uint64_t>> senders() const;

  // Lets go of the memory that holds spilled messages until they are read again.
  void settle() const;

 private:
  struct Entry {
    std::int64_t time;
    std::uint64_t offset;  // of the text
    std::uint32_t length;
    std::uint32_t sender;  // index into names_
  };
  std::uint32_t sender_number(std::string_view name);

  SpillVector<Entry> entries_;
  SpillBuffer texts_;
  std::deque<std::string> names_;  // addresses stay valid
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

class MessageList::Iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = ChatMessage;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = ChatMessage;

  Iterator(const MessageList& list, std::size_t at) : list_(&list), at_(at) {}
  ChatMessage operator*() const { return (*list_)[at_]; }
  Iterator& operator++() {
    ++at_;
    return *this;
  }
  Iterator operator++(int) { return {*list_, at_++}; }
  bool operator==(const Iterator& other) const { return at_ == other.at_; }

 private:
  const MessageList* list_;
  std::size_t at_;
};

// Messages begin..end-1 of a list, which must outlive it.
class MessageRange {
 public:
  MessageRange(const MessageList& list, std::size_t begin, std::size_t end) : list_(&list), begin_(begin), end_(end) {}
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  ChatMessage operator[](std::size_t i) const { return (*list_)[begin_ + i]; }
  ChatMessage front() const { return (*list_)[begin_]; }
  ChatMessage back() const { return (*list_)[end_ - 1]; }
  MessageList::Iterator begin() const { return {*list_, begin_}; }
  MessageList::Iterator end() const { return {*list_, end_}; }

 private:
  const MessageList* list_;
  std::size_t begin_, end_;
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
  kReaction,      // a reaction that the program stores as a message ("Liked a message", a tapback)
  kBot,           // written by a program that takes part in the chat
  kForwarded,     // somebody else's words, passed on
  kQuote,         // a mail that holds only what it answers, or its signature
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
inline constexpr std::size_t kDropReasons = 20;

// "system", "media", ...: the name in ledgers.
std::string_view drop_name(Drop reason);
// What the name stands for, for people: "notices of the program".
std::string_view drop_explanation(Drop reason);

using DropCounts = std::array<std::uint64_t, kDropReasons>;

struct ChatLog {
  std::string source;         // file, or archive:entry
  std::string format;         // "WhatsApp (Android)"
  std::string chat;           // the chat's own name or number where the export tells; chats of one person may be many
  std::string dates;          // date order and how it was decided; "" where the format leaves no doubt
  std::string clock;          // 12 or 24 hours and how it was decided; "" likewise
  std::uint64_t lines = 0;    // of a text file; 0 when the export is made of records
  std::uint64_t records = 0;  // of a structured export: JSON objects, rows, mails
  std::uint64_t entries = 0;  // dated entries: messages plus dropped
  std::uint64_t edited = 0;   // messages that the export marks as edited
  DropCounts dropped{};
  // Where each session begins, for exports that tell (mail threads); else empty: pauses tell.
  std::vector<std::size_t> sessions;
  MessageList messages;  // entries == messages.size() + sum of dropped

  // Counts an entry that is no message.
  void drop(Drop reason) {
    ++entries;
    ++dropped[static_cast<std::size_t>(reason)];
  }
  // Adds an entry that is one.
  void add(std::int64_t time, std::string_view sender, std::string_view text) {
    ++entries;
    messages.push_back({time, sender, text});
  }
};

}  // namespace attune
