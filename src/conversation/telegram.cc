#include "conversation/telegram.h"

#include <algorithm>
#include <optional>

#include "base/json_stream.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

struct TelegramMessage {
  std::string type, sender, sender_id, date, text, action, media;
  std::optional<std::int64_t> unix_time;
  bool edited = false, forwarded = false, bot = false, file = false, location = false, contact = false, poll = false;
};

// A string, or a list of strings and formatted pieces.
std::string read_text(JsonStream& json) {
  if (json.peek() != JsonStream::Kind::kArray) return json.string_or_empty();
  std::string text;
  json.array([&] {
    if (json.peek() != JsonStream::Kind::kObject) {
      text += json.string_or_empty();
      return;
    }
    json.object([&](std::string_view key) {
      if (key == "text")
        text += json.string_or_empty();
      else
        json.skip();
    });
  });
  return text;
}

TelegramMessage read_message(JsonStream& json) {
  TelegramMessage message;
  json.begin_record();
  json.object([&](std::string_view key) {
    if (key == "text")
      message.text = read_text(json);
    else if (key == "from")
      message.sender = clean_name(json.string_or_empty());
    else if (key == "from_id" && json.peek() == JsonStream::Kind::kString)
      message.sender_id = json.string();
    else if (key == "from_id")
      message.sender_id = std::string(json.raw());  // a number in exports before 2021
    else if (key == "date")
      message.date = json.string_or_empty();
    else if (key == "date_unixtime")
      message.unix_time = json.integer_like();
    else if (key == "type")
      message.type = json.string_or_empty();
    else if (key == "action")
      message.action = json.string_or_empty();
    else if (key == "media_type")
      message.media = json.string_or_empty();
    else if (key == "edited" || key == "edited_unixtime")
      message.edited = true, json.skip();
    else if (key == "forwarded_from")
      message.forwarded = true, json.skip();
    else if (key == "via_bot")
      message.bot = true, json.skip();
    else if (key == "photo" || key == "file")
      message.file = true, json.skip();
    else if (key == "location_information")
      message.location = true, json.skip();
    else if (key == "contact_information")
      message.contact = true, json.skip();
    else if (key == "poll")
      message.poll = true, json.skip();
    else
      json.skip();
  });
  return message;
}

std::optional<Drop> judge(const TelegramMessage& message) {
  if (message.type == "service") return message.action == "phone_call" ? Drop::kCall : Drop::kSystem;
  if (message.type != "message") return Drop::kSystem;  // "unsupported"
  if (message.forwarded) return Drop::kForwarded;
  if (message.bot) return Drop::kBot;
  if (!trim(message.text).empty()) return std::nullopt;
  if (message.location) return Drop::kLocation;
  if (message.contact) return Drop::kContact;
  if (message.poll) return Drop::kPoll;
  return message.file || !message.media.empty() ? Drop::kMedia : Drop::kEmpty;
}

void add_message(const TelegramMessage& message, JsonStream& json, ChatLog& log) {
  ++log.records;
  const auto local = parse_iso_time(message.date);
  if (!local && !message.unix_time) json.fail(fmt::format("expected a date, got \"{}\"", message.date));
  if (const auto reason = judge(message)) return log.drop(*reason);
  log.edited += message.edited;
  // An account that was deleted has no name any more; its number keeps two of them apart.
  std::string sender = message.sender;
  if (sender.empty()) sender = message.sender_id.empty() ? "Deleted account" : message.sender_id;
  const std::string text = strip_marks(trim(message.text));
  if (text.empty()) return log.drop(Drop::kEmpty);
  log.add(local ? *local : *message.unix_time, sender, text);
}

// The members of a chat; those that were read before `key` are not known any more when it is not the first.
void read_chat_member(std::string_view key, JsonStream& json, ChatLog& log) {
  if (key == "messages") {
    json.array([&] { add_message(read_message(json), json, log); });
  } else if (key == "name") {
    const std::string name = json.string_or_empty();
    if (log.chat.empty()) log.chat = name;
  } else if (key == "id") {
    log.chat = std::string(json.raw());  // two chats may have one name
  } else {
    json.skip();
  }
}

void finish(ChatLog log, Imported& result) {
  if (log.entries == 0) return;
  log.format = "Telegram";
  log.messages.sort_by_time();
  result.logs.push_back(std::move(log));
}

void read_chats(JsonStream& json, const std::string& source, Imported& result) {
  json.object([&](std::string_view key) {
    if (key != "list") return json.skip();
    json.array([&] {
      ChatLog log;
      std::string name;
      json.object([&](std::string_view member) {
        if (member == "name")
          name = json.string_or_empty();
        else
          read_chat_member(member, json, log);
      });
      log.source = source + ":" + (name.empty() ? log.chat : name);
      finish(std::move(log), result);
    });
  });
}

bool detect_telegram(const std::string&, std::string_view head) {
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] != '{') return false;
  const bool message = has("\"date_unixtime\"") || (has("\"from\"") && has("\"date\"") && has("\"text\""));
  const bool all = has("\"chats\"") && has("\"list\"") && (has("\"personal_information\"") || has("\"messages\""));
  return (has("\"messages\"") && has("\"type\"") && message) || (all && (message || has("\"about\"")));
}

Imported read_telegram(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) {
               JsonStream json(text.utf8(), text.source());
               ChatLog single;
               single.source = text.source();
               json.object([&](std::string_view key) {
                 if (key == "chats" || key == "left_chats")
                   read_chats(json, text.source(), result);
                 else
                   read_chat_member(key, json, single);
               });
               json.finish();
               finish(std::move(single), result);
             });
  return result;
}

}  // namespace

const Importer kTelegram = {"telegram", "Telegram result.json", false, detect_telegram, read_telegram};

}  // namespace attune
