#include "conversation/slack.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <tuple>
#include <vector>

#include "base/json_stream.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

struct SlackMessage {
  std::string subtype, user, name, text;
  std::optional<std::int64_t> time, thread;  // microseconds since 1970, UTC
  bool bot = false, edited = false, files = false;
};

struct Users {
  std::map<std::string, std::string> names;
  std::map<std::string, bool> bots;
};

// "1454884927.000002"
std::optional<std::int64_t> read_time(JsonStream& json) {
  const std::string text = json.peek() == JsonStream::Kind::kString ? json.string() : std::string(json.raw());
  const std::size_t dot = std::min(text.find('.'), text.size());
  std::int64_t seconds = 0, fraction = 0;
  const auto whole = std::from_chars(text.data(), text.data() + dot, seconds);
  if (whole.ec != std::errc() || whole.ptr != text.data() + dot || seconds < 0 || seconds > 100'000'000'000) {
    return std::nullopt;
  }
  std::string digits = dot < text.size() ? text.substr(dot + 1) : "";
  digits.resize(6, '0');
  const auto part = std::from_chars(digits.data(), digits.data() + 6, fraction);
  if (part.ec != std::errc() || part.ptr != digits.data() + 6) return std::nullopt;
  return seconds * 1'000'000 + fraction;
}

// The name that Slack shows: the display name, else the full one, else the account's.
std::string read_names(JsonStream& json) {
  std::string display, real, account;
  if (json.peek() != JsonStream::Kind::kObject) return json.skip(), "";
  json.object([&](std::string_view key) {
    if (key == "display_name")
      display = json.string_or_empty();
    else if (key == "real_name")
      real = json.string_or_empty();
    else if (key == "name")
      account = json.string_or_empty();
    else
      json.skip();
  });
  return clean_name(!display.empty() ? display : !real.empty() ? real : account);
}

void read_users(ExportText& text, Users& users) {
  JsonStream json(text.utf8(), text.source());
  json.array([&] {
    json.begin_record();
    std::string id, account, real, shown;
    bool bot = false;
    json.object([&](std::string_view key) {
      if (key == "id")
        id = json.string_or_empty();
      else if (key == "name")
        account = json.string_or_empty();
      else if (key == "real_name")
        real = json.string_or_empty();
      else if (key == "is_bot")
        bot = json.raw() == "true";
      else if (key == "profile")
        shown = read_names(json);
      else
        json.skip();
    });
    if (shown.empty()) shown = clean_name(real.empty() ? account : real);
    users.names[id] = shown.empty() ? id : shown;
    users.bots[id] = bot || id == "USLACKBOT";
  });
}

SlackMessage read_message(JsonStream& json) {
  SlackMessage message;
  std::string comment;
  json.begin_record();
  json.object([&](std::string_view key) {
    if (key == "subtype")
      message.subtype = json.string_or_empty();
    else if (key == "user")
      message.user = json.string_or_empty();
    else if (key == "user_profile")
      message.name = read_names(json);
    else if (key == "text")
      message.text = json.string_or_empty();
    else if (key == "ts")
      message.time = read_time(json);
    else if (key == "thread_ts")
      message.thread = read_time(json);
    else if (key == "bot_id")
      message.bot = !json.string_or_empty().empty();
    else if (key == "edited")
      message.edited = json.raw() != "null";
    else if (key == "comment" && json.peek() == JsonStream::Kind::kObject)
      json.object([&](std::string_view member) {  // on a file, until 2018; the text is a sentence about it
        if (member == "user")
          message.user = json.string_or_empty();
        else if (member == "comment")
          comment = json.string_or_empty();
        else
          json.skip();
      });
    else if (key == "files" || key == "file" || key == "attachments")
      message.files = json.raw().size() > 2;
    else
      json.skip();
  });
  if (!comment.empty()) message.text = comment;
  return message;
}

// The subtypes in which people speak; old exports describe an uploaded file in the text.
std::optional<Drop> judge(const SlackMessage& message, const Users& users) {
  static constexpr std::array<std::string_view, 6> kSpoken = {"",           "me_message",   "thread_broadcast",
                                                              "file_share", "file_comment", "reply_broadcast"};
  const std::string& subtype = message.subtype;
  if (subtype == "tombstone") return Drop::kDeleted;
  if (subtype == "huddle_thread" || subtype == "sh_room_created") return Drop::kCall;
  const auto bot = users.bots.find(message.user);
  if (subtype == "bot_message" || (message.bot && message.user.empty()) || (bot != users.bots.end() && bot->second)) {
    return Drop::kBot;
  }
  if (std::find(kSpoken.begin(), kSpoken.end(), subtype) == kSpoken.end()) return Drop::kSystem;
  if (message.bot) return Drop::kBot;
  const bool described = subtype == "file_share" && message.text.starts_with("<@");
  if (described && message.text.find("uploaded a file") != std::string::npos) return Drop::kMedia;
  if (trim(message.text).empty()) return message.files ? Drop::kMedia : Drop::kEmpty;
  return std::nullopt;
}

// A channel while it is read, with the order in which its messages will stand.
struct Channel {
  ChatLog log;
  std::vector<std::tuple<std::int64_t, std::int64_t, std::uint32_t>> order;  // thread or own time, own time, number
};

void read_day(ExportText& text, const Users& users, Channel& channel) {
  JsonStream json(text.utf8(), text.source());
  json.array([&] {
    const SlackMessage message = read_message(json);
    ++channel.log.records;
    if (!message.time) json.fail("the message has no valid \"ts\"");
    if (const auto reason = judge(message, users)) return channel.log.drop(*reason);
    const std::string words = strip_marks(trim(slack_text(message.text, users.names)));
    if (words.empty()) return channel.log.drop(Drop::kEmpty);
    const auto known = users.names.find(message.user);
    std::string sender = known != users.names.end() ? known->second : message.name;
    if (sender.empty()) sender = message.user.empty() ? "Deleted account" : message.user;
    channel.order.emplace_back(message.thread.value_or(*message.time), *message.time,
                               static_cast<std::uint32_t>(channel.log.messages.size()));
    channel.log.edited += message.edited;
    channel.log.add(*message.time / 1'000'000, sender, words);
  });
  json.finish();
}

std::string file_of(const std::string& name) { return name.substr(name.rfind('/') + 1); }

bool is_day(const std::string& name) {
  const std::string file = file_of(name);
  return file.size() == 15 && file[4] == '-' && file[7] == '-' && file.ends_with(".json");
}

bool detect_slack(const std::string& name, std::string_view head) {
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] != '[') return false;
  if (file_of(name) == "users.json") return has("\"team_id\"") || has("\"profile\"");
  return has("\"ts\"") && has("\"type\"") && has("\"message\"");
}

Imported read_slack(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  Users users;
  files.read([](const std::string& name) { return file_of(name) == "users.json"; },
             [&](const std::string&, ExportText& text) { read_users(text, users); });
  std::map<std::string, Channel> channels;  // by folder
  const auto is_chat = [&](const std::string& name) {
    return file_of(name) != "users.json" && (is_day(name) || files.is_single()) && names.contains(name);
  };
  files.read(is_chat, [&](const std::string& name, ExportText& text) {
    const std::size_t slash = name.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : name.substr(0, slash);
    Channel& channel = channels[folder];
    channel.log.chat = file_of(folder);
    channel.log.source = folder.empty() ? text.source() : files.source(folder);
    read_day(text, users, channel);
  });
  Imported result;
  for (auto& [folder, channel] : channels) {
    std::sort(channel.order.begin(), channel.order.end());
    std::vector<std::uint32_t> order;
    for (const auto& [thread, time, number] : channel.order) order.push_back(number);
    channel.log.messages.reorder(order);
    channel.log.format = "Slack";
    channel.log.clock = "UTC";
    if (channel.log.entries > 0) result.logs.push_back(std::move(channel.log));
  }
  return result;
}

}  // namespace

const Importer kSlack = {"slack", "Slack export", false, detect_slack, read_slack};

}  // namespace attune
