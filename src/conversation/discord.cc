#include "conversation/discord.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/json_stream.h"
#include "conversation/discord_csv.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

struct DiscordMessage {
  std::string type, time, content, sender, sender_id;
  bool bot = false, edited = false, media = false, embed = false, poll = false, forwarded = false;
};

void read_author(JsonStream& json, DiscordMessage& message) {
  std::string name, nickname;
  if (json.peek() != JsonStream::Kind::kObject) return json.skip();
  json.object([&](std::string_view key) {
    if (key == "name")
      name = json.string_or_empty();
    else if (key == "nickname")
      nickname = json.string_or_empty();
    else if (key == "id")
      message.sender_id = json.string_or_empty();
    else if (key == "isBot")
      message.bot = json.raw() == "true";
    else
      json.skip();
  });
  message.sender = clean_name(nickname.empty() ? name : nickname);
}

bool is_filled(JsonStream& json) { return json.raw().find_first_not_of(" \t\r\n[]") != std::string_view::npos; }

DiscordMessage read_message(JsonStream& json) {
  DiscordMessage message;
  json.begin_record();
  json.object([&](std::string_view key) {
    if (key == "type")
      message.type = json.string_or_empty();
    else if (key == "timestamp")
      message.time = json.string_or_empty();
    else if (key == "timestampEdited")
      message.edited = json.raw() != "null";
    else if (key == "content")
      message.content = json.string_or_empty();
    else if (key == "author")
      read_author(json, message);
    else if (key == "attachments" || key == "stickers")
      message.media = is_filled(json) || message.media;
    else if (key == "embeds")
      message.embed = is_filled(json);
    else if (key == "poll")
      message.poll = json.raw() != "null";
    else if (key == "forwardedMessage")
      message.forwarded = json.raw() != "null";
    else
      json.skip();
  });
  return message;
}

std::optional<Drop> judge(const DiscordMessage& message) {
  if (message.type == "Call") return Drop::kCall;
  // Types are words in the JSON form; those of people are these two (and numbers in exports of old versions).
  const bool said = message.type.empty() || message.type == "Default" || message.type == "Reply" ||
                    message.type == "0" || message.type == "19";
  if (!said) return message.bot ? Drop::kBot : Drop::kSystem;
  if (message.bot) return Drop::kBot;
  if (!trim(message.content).empty()) return std::nullopt;
  if (message.forwarded) return Drop::kForwarded;
  if (message.poll) return Drop::kPoll;
  return message.media || message.embed ? Drop::kMedia : Drop::kEmpty;
}

ChatLog read_json(ExportText& text) {
  ChatLog log;
  log.source = text.source();
  std::map<std::string, std::string> names;  // of an account: nicknames change, the first one met stays
  JsonStream json(text.utf8(), text.source());
  json.object([&](std::string_view key) {
    if (key == "channel" && json.peek() == JsonStream::Kind::kObject) {
      json.object([&](std::string_view member) {
        if (member == "id")
          log.chat = json.string_or_empty();
        else
          json.skip();
      });
    } else if (key == "messages") {
      json.array([&] {
        const DiscordMessage message = read_message(json);
        ++log.records;
        const auto time = parse_iso_time(message.time);
        if (!time) json.fail(fmt::format("expected a timestamp, got \"{}\"", message.time));
        if (const auto reason = judge(message)) return log.drop(*reason);
        std::string sender = message.sender;
        if (!message.sender_id.empty()) sender = names.try_emplace(message.sender_id, sender).first->second;
        const std::string words = strip_marks(trim(message.content));
        if (words.empty()) return log.drop(Drop::kEmpty);
        log.edited += message.edited;
        log.add(*time, sender.empty() ? "Deleted account" : sender, words);
      });
    } else {
      json.skip();
    }
  });
  json.finish();
  return log;
}

bool is_json(std::string_view head) {
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  return has("\"guild\"") && has("\"channel\"");
}

bool detect_discord(const std::string&, std::string_view head) { return is_json(head) || is_discord_csv(head); }

Imported read_discord(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) {
               const std::string head = decode_head(text.bytes().substr(0, 4096));
               ChatLog log = is_discord_csv(head) ? read_discord_csv(text, options.date_order) : read_json(text);
               log.format = "Discord";
               log.messages.sort_by_time();
               if (log.entries > 0) result.logs.push_back(std::move(log));
             });
  return result;
}

}  // namespace

const Importer kDiscord = {"discord", "DiscordChatExporter JSON or CSV", false, detect_discord, read_discord};

}  // namespace attune
