#include "conversation/meta_thread.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/json_stream.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

struct MetaMessage {
  std::string sender, text, type;
  std::int64_t milliseconds = 0;
  bool has_time = false, unsent = false, call = false, media = false, users = false;
};

// What follows the sender's name in sentences of the program itself; exports since 2023 mark them in no other way.
bool is_notice_verb(std::string_view rest) {
  static constexpr std::array<std::string_view, 33> kVerbs = {
      "named the group",   "changed the",      "set the",          "set your",
      "set their",         "set his",          "set her",          "added ",
      "removed ",          "left the group",   "left the chat",    "joined ",
      "created the group", "created a poll",   "created the poll", "created a group",
      "started a",         "pinned a",         "unpinned a",       "turned on",
      "turned off",        "waved at",         "is now ",          "ended the",
      "updated the",       "voted for",        "cleared the",      "made ",
      "invited ",          "responded to the", "started sharing",  "stopped sharing",
      "removed the"};
  return std::any_of(kVerbs.begin(), kVerbs.end(), [&](std::string_view verb) { return rest.starts_with(verb); });
}

bool is_sending(std::string_view rest) {
  return rest.starts_with("sent a") || rest.starts_with("sent you") || rest.starts_with("shared a") ||
         rest.starts_with("sent the") || rest.starts_with("sent their") || rest.starts_with("sent live") ||
         rest.starts_with("sent his") || rest.starts_with("sent her") || rest.starts_with("sent your");
}

bool is_calling(std::string_view rest) {
  return rest.starts_with("called ") || rest.starts_with("missed ") || rest.starts_with("started a call") ||
         rest.starts_with("started a video chat") || rest.starts_with("started an audio call") ||
         rest.starts_with("started a video call") || rest.starts_with("joined the call") ||
         rest.starts_with("joined the video");
}

// Behind the name of the sender, or "You", when the text begins with it.
std::optional<std::string_view> behind_name(std::string_view text, std::string_view sender) {
  const std::string_view first = sender.substr(0, sender.find(' '));
  for (const std::string_view name : {sender, first, std::string_view("You")}) {
    if (!name.empty() && text.starts_with(name) && text.substr(name.size()).starts_with(' ')) {
      return text.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

bool is_reaction(std::string_view text) {
  const std::string_view end = " to your message";
  const std::string_view plain = text.ends_with(' ') ? text.substr(0, text.size() - 1) : text;
  return plain == "Liked a message" || plain == "Kedvelt egy üzenetet" ||
         plain == "Hat eine Nachricht mit „Gefällt mir“ markiert" ||
         ((plain.starts_with("Reacted ") || plain.find(" reacted ") != std::string_view::npos) && plain.ends_with(end));
}

std::optional<Drop> judge(const MetaMessage& message) {
  const std::string_view text = trim(message.text);
  const auto rest = behind_name(text, message.sender);
  const bool unsent = rest && (*rest == "unsent a message" || *rest == "unsent a message.");
  if (message.unsent || unsent) return Drop::kDeleted;
  if (message.call || message.type == "Call" || (rest && is_calling(*rest)) || text == "The video chat ended." ||
      text == "The call ended." || text == "Audio call ended" || text == "Video chat ended") {
    return Drop::kCall;
  }
  if (message.users || message.type == "Subscribe" || message.type == "Unsubscribe" || message.type == "Payment" ||
      message.type == "placeholder") {
    return Drop::kSystem;
  }
  if (is_reaction(text)) return Drop::kReaction;
  // Beside media, a sentence that begins with the sender's name says so in the language of the account.
  if (rest && (is_sending(*rest) || (message.media && text.ends_with('.')))) return Drop::kMedia;
  if (rest && is_notice_verb(*rest)) return Drop::kSystem;
  if (text.empty()) return message.media ? Drop::kMedia : Drop::kEmpty;
  return std::nullopt;
}

// A list or object that is not empty is a picture, a video, ...
bool is_present(JsonStream& json) {
  const std::string_view raw = json.raw();
  return raw != "null" && raw != "false" && raw != "\"\"" &&
         raw.find_first_not_of(" \t\r\n[]{}") != std::string_view::npos;
}

MetaMessage read_message(JsonStream& json) {
  MetaMessage message;
  json.begin_record();
  json.object([&](std::string_view key) {
    if (key == "sender_name" || key == "senderName") {
      message.sender = clean_name(undo_latin1(json.string_or_empty()));
    } else if (key == "content" || key == "text") {
      message.text = undo_latin1(json.string_or_empty());
    } else if (key == "timestamp_ms" || key == "timestamp") {
      const auto count = json.integer_like();
      if (!count || *count <= 0 || *count > 100'000'000'000'000) json.fail("the message has no valid time");
      message.milliseconds = *count < 100'000'000'000 ? *count * 1000 : *count;  // exports of 2018 count seconds
      message.has_time = true;
    } else if (key == "type") {
      message.type = json.string_or_empty();
    } else if (key == "is_unsent" || key == "isUnsent") {
      message.unsent = json.raw() == "true";
    } else if (key == "call_duration") {
      json.skip();
      message.call = true;
    } else if (key == "users") {
      message.users = is_present(json);
    } else if (key == "photos" || key == "videos" || key == "audio_files" || key == "gifs" || key == "files" ||
               key == "sticker" || key == "share" || key == "media") {
      message.media = is_present(json) || message.media;
    } else {
      json.skip();
    }
  });
  if (!message.has_time) json.fail("the message has no valid time");
  return message;
}

void read_thread(JsonStream& json, ChatLog& log) {
  json.object([&](std::string_view key) {
    if (key == "messages") {
      json.array([&] {
        const MetaMessage message = read_message(json);
        ++log.records;
        const auto reason = judge(message);
        if (reason) return log.drop(*reason);
        const std::string text = strip_marks(trim(message.text));
        if (text.empty()) return log.drop(Drop::kEmpty);
        log.add(message.milliseconds, message.sender.empty() ? "Deleted account" : message.sender, text);
      });
    } else if ((key == "title" || key == "threadName") && log.chat.empty()) {
      log.chat = undo_latin1(json.string_or_empty());
    } else if (key == "thread_path") {
      log.chat = json.string_or_empty();
    } else {
      json.skip();
    }
  });
  json.finish();
}

}  // namespace

std::string undo_latin1(std::string text) {
  std::string bytes;
  bytes.reserve(text.size());
  bool ascii = true;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    if (step.code_point > 0xFF) return text;
    ascii = ascii && step.code_point < 0x80;
    bytes += static_cast<char>(step.code_point);
    i = step.next;
  }
  return ascii || !is_valid_utf8(bytes) ? text : bytes;
}

bool is_meta_thread(std::string_view head) {
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  return has("\"messages\"") && ((has("\"sender_name\"") && (has("\"timestamp_ms\"") || has("\"timestamp\""))) ||
                                 (has("\"senderName\"") && has("\"timestamp\"")));
}

Imported read_meta_threads(const ExportFiles& files, const std::set<std::string>& names, const std::string& program) {
  std::map<std::string, ChatLog> threads;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string& name, ExportText& text) {
               const std::size_t slash = name.rfind('/');
               const bool part = name.substr(slash + 1).starts_with("message_");
               ChatLog& log = threads[part && slash != std::string::npos ? name.substr(0, slash) : name];
               if (log.source.empty()) log.source = text.source();
               JsonStream json(text.utf8(), text.source());
               read_thread(json, log);
             });
  Imported result;
  for (auto& [name, log] : threads) {
    log.format = program;
    log.clock = "UTC";
    log.messages.reverse();  // within one millisecond the newest comes first, too
    log.messages.sort_by_time();
    log.messages.divide_times(1000);
    if (log.entries > 0) result.logs.push_back(std::move(log));
  }
  return result;
}

}  // namespace attune
