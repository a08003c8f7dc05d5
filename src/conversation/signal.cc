#include "conversation/signal.h"

#include <algorithm>
#include <optional>

#include "base/json_stream.h"
#include "conversation/signal_chats.h"
#include "conversation/signal_text.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

// A person as signal-cli writes one: any of them may be missing.
struct Address {
  std::string uuid, number, name;
  std::string either;  // the number or, where there is none, the uuid
};

// A record of any of the JSON forms.
struct SignalMessage {
  Address from, to;  // signal-cli's
  std::string group, group_name;
  std::string chat, sender;  // those of the other forms
  std::string text;
  std::optional<std::int64_t> time;
  bool mine = false, attachments = false, reaction = false, deleted = false, call = false, notice = false;
  bool is_message = false;  // typing signs and receipts are none
};

bool is_filled(JsonStream& json) {
  const std::string_view raw = json.raw();
  return raw != "null" && raw.find_first_not_of(" \t\r\n[]{}\"") != std::string_view::npos;
}

std::optional<std::int64_t> milliseconds(JsonStream& json) {
  const auto count = json.integer_like();
  return count ? seconds_of_epoch(*count) : std::nullopt;
}

void read_edit(JsonStream& json, SignalMessage& message);

void read_group(JsonStream& json, SignalMessage& message) {
  json.object([&](std::string_view key) {
    if (key == "groupId")
      message.group = json.string_or_empty();
    else if (key == "groupName")
      message.group_name = json.string_or_empty();
    else
      json.skip();
  });
}

// signal-cli's dataMessage, or the sentMessage that another device of one's own sent.
void read_data(JsonStream& json, SignalMessage& message) {
  if (json.peek() != JsonStream::Kind::kObject) return json.skip();
  message.is_message = true;
  json.object([&](std::string_view key) {
    if (key == "message")
      message.text = json.string_or_empty();
    else if (key == "timestamp" && !message.time)
      message.time = milliseconds(json);
    else if (key == "attachments" || key == "sticker")
      message.attachments = is_filled(json) || message.attachments;
    else if (key == "reaction")
      message.reaction = is_filled(json);
    else if (key == "remoteDelete")
      message.deleted = is_filled(json);
    else if (key == "destinationUuid")
      message.to.uuid = json.string_or_empty();
    else if (key == "destinationNumber")
      message.to.number = json.string_or_empty();
    else if (key == "destination")
      message.to.either = json.string_or_empty();
    else if (key == "groupInfo" && json.peek() == JsonStream::Kind::kObject)
      read_group(json, message);
    else if (key == "editMessage")
      read_edit(json, message);
    else
      json.skip();
  });
}

void read_edit(JsonStream& json, SignalMessage& message) {
  if (json.peek() != JsonStream::Kind::kObject) return json.skip();
  json.object([&](std::string_view key) {
    if (key == "dataMessage")
      read_data(json, message);
    else
      json.skip();
  });
}

void read_envelope(JsonStream& json, SignalMessage& message) {
  json.object([&](std::string_view key) {
    if (key == "sourceName")
      message.from.name = json.string_or_empty();
    else if (key == "sourceUuid")
      message.from.uuid = json.string_or_empty();
    else if (key == "sourceNumber")
      message.from.number = json.string_or_empty();
    else if (key == "source")
      message.from.either = json.string_or_empty();
    else if (key == "timestamp")
      message.time = milliseconds(json);
    else if (key == "dataMessage")
      read_data(json, message);
    else if (key == "editMessage")
      read_edit(json, message);
    else if (key == "syncMessage" && json.peek() == JsonStream::Kind::kObject) {
      json.object([&](std::string_view member) {
        if (member != "sentMessage") return json.skip();
        message.mine = true;
        read_data(json, message);
      });
    } else if (key == "callMessage") {
      message.call = is_filled(json);
    } else {
      json.skip();
    }
  });
  message.is_message = message.is_message || message.call;
}

// Of a daemon each record is a JSON-RPC call that holds the envelope: {"params":{"envelope":...}}, for one that subscribed
// {"params":{"result":{"envelope":...}}}.
void read_call(JsonStream& json, SignalMessage& message) {
  json.object([&](std::string_view key) {
    if (json.peek() != JsonStream::Kind::kObject) return json.skip();
    if (key == "envelope")
      read_envelope(json, message);
    else if (key == "result")
      read_call(json, message);
    else
      json.skip();
  });
}

SignalMessage read_record(JsonStream& json) {
  SignalMessage message;
  json.begin_record();
  json.object([&](std::string_view key) {
    const bool object = json.peek() == JsonStream::Kind::kObject;
    if (key == "envelope" && object) return read_envelope(json, message);
    if (key == "params" && object) return read_call(json, message);
    if (key == "date")
      message.time = parse_any_time(json.string_or_empty(), DateOrder::kYearMonthDay), message.is_message = true;
    else if (key == "sent_at" || key == "sentAt")
      message.time = milliseconds(json), message.is_message = true;
    else if (key == "body")
      message.text = json.string_or_empty();
    else if (key == "sender")
      message.sender = json.string_or_empty();
    else if ((key == "source" || key == "sourceServiceId" || key == "sourceUuid") && message.sender.empty())
      message.sender = json.string_or_empty();
    else if (key == "conversationId")
      message.chat = json.string_or_empty();
    else if (key == "type") {
      const std::string type = json.string_or_empty();
      message.mine = type == "outgoing";
      message.call = type == "call-history";
      message.notice = !type.empty() && type != "outgoing" && type != "incoming" && !message.call;
    } else if (key == "attachments" || key == "sticker") {
      message.attachments = is_filled(json) || message.attachments;
    } else if (key == "deletedForEveryone") {
      message.deleted = json.raw() == "true" || message.deleted;
    } else {
      json.skip();
    }
  });
  return message;
}

// data.json quotes what is answered in a key of its own, and writes attachments into the text as Markdown.
std::string words_of(const std::string& text) {
  std::string words = strip_marks(trim(text));
  return words.find("](") != std::string::npos && words.starts_with("![") && words.ends_with(")") ? "" : words;
}

// The key of a person in the chats.
std::string key_of(const Address& address, SignalChats& chats) {
  return chats.person(address.uuid, address.number.empty() ? address.either : address.number, address.name);
}

// Adds a record to the chat that it belongs to; those of the other forms may have none: it is the file's.
void add(const SignalMessage& message, const std::string& me, JsonStream& json, SignalChats& chats) {
  const std::string from = key_of(message.from, chats), to = key_of(message.to, chats);
  const std::string sender = from.empty() ? message.sender : from;
  const std::string person = message.mine && !to.empty() ? to : from;
  const std::string chat = !message.group.empty() ? message.group : person.empty() ? message.chat : person;
  chats.call(message.group, message.group_name);
  ChatLog& log = chats.log(chat);
  ++log.records;
  if (!message.is_message || message.notice) return log.drop(Drop::kSystem);
  if (!message.time) json.fail("the message has no valid time");
  if (message.call) return log.drop(Drop::kCall);
  if (message.reaction) return log.drop(Drop::kReaction);
  if (message.deleted) return log.drop(Drop::kDeleted);
  const std::string words = words_of(message.text);
  if (words.empty()) return log.drop(message.attachments || !message.text.empty() ? Drop::kMedia : Drop::kEmpty);
  const bool mine = message.mine || sender == "Me" || sender == "You";
  log.add(*message.time, mine ? me : sender, words);
}

void read_records(ExportText& text, const std::string& folder, const std::string& me, Imported& result) {
  JsonStream json(text.utf8(), text.source());
  SignalChats chats(text.source(), me);
  const auto one = [&] { add(read_record(json), me, json, chats); };
  while (json.peek() != JsonStream::Kind::kEnd) {
    if (json.peek() == JsonStream::Kind::kArray)
      json.array(one);
    else
      one();
  }
  for (ChatLog& log : chats.finish()) {
    if (log.chat.empty()) log.chat = folder;
    result.logs.push_back(std::move(log));
  }
}

bool is_json(std::string_view head) {
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (head[first] != '{' && head[first] != '[')) return false;
  return (has("\"envelope\"") && has("\"timestamp\"")) || (has("\"body\"") && has("\"sent_at\"")) ||
         (has("\"date\"") && has("\"sender\"") && has("\"body\"") && has("\"reactions\""));
}

bool detect_signal(const std::string& name, std::string_view head) {
  return is_json(head) || is_signal_envelopes(head) || is_signal_markdown(name, head);
}

Imported read_signal(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  Imported result;
  const std::string me = options.me.empty() ? "Me" : options.me.front();
  const auto listed = [&](const std::string& name) { return names.contains(name); };
  const auto folder_of = [](const std::string& name) { return name.substr(0, std::min(name.rfind('/'), name.size())); };
  files.read(
      [&](const std::string& name) {
        // chat.md says again what data.json beside it says.
        return listed(name) && !(name.ends_with("/chat.md") && listed(folder_of(name) + "/data.json"));
      },
      [&](const std::string& name, ExportText& text) {
        const std::string head = decode_head(text.bytes().substr(0, std::size_t{1} << 16));
        if (is_signal_envelopes(head))
          for (ChatLog& log : read_signal_envelopes(text, me)) result.logs.push_back(std::move(log));
        else if (is_json(head))
          read_records(text, name.find('/') == std::string::npos ? "" : folder_of(name), me, result);
        else
          result.logs.push_back(read_signal_markdown(text, me));
      });
  return result;
}

}  // namespace

const Importer kSignal = {"signal", "Signal (signal-cli, signal-export, Desktop JSON)", false, detect_signal,
                          read_signal};

}  // namespace attune
