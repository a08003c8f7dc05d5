#include "conversation/signal.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/json_stream.h"
#include "conversation/signal_text.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

// A record of any of the JSON forms.
struct SignalMessage {
  std::string chat, sender, text;
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
    else if (key == "destinationName" || key == "destination" || key == "destinationNumber") {
      const std::string name = json.string_or_empty();
      if (message.chat.empty()) message.chat = name;
    } else if (key == "groupInfo" && json.peek() == JsonStream::Kind::kObject) {
      json.object([&](std::string_view member) {
        if (member == "groupId")
          message.chat = json.string_or_empty();
        else
          json.skip();
      });
    } else {
      json.skip();
    }
  });
}

void read_envelope(JsonStream& json, SignalMessage& message) {
  std::string name, number, source;
  json.object([&](std::string_view key) {
    if (key == "sourceName")
      name = json.string_or_empty();
    else if (key == "sourceNumber")
      number = json.string_or_empty();
    else if (key == "source")
      source = json.string_or_empty();
    else if (key == "timestamp")
      message.time = milliseconds(json);
    else if (key == "dataMessage")
      read_data(json, message);
    else if (key == "editMessage" && json.peek() == JsonStream::Kind::kObject) {
      json.object([&](std::string_view member) {
        if (member == "dataMessage")
          read_data(json, message);
        else
          json.skip();
      });
    } else if (key == "syncMessage" && json.peek() == JsonStream::Kind::kObject) {
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
  message.sender = !name.empty() ? name : !number.empty() ? number : source;
  if (message.chat.empty()) message.chat = message.sender;
  message.is_message = message.is_message || message.call;
}

SignalMessage read_record(JsonStream& json) {
  SignalMessage message;
  json.begin_record();
  json.object([&](std::string_view key) {
    if (key == "envelope" && json.peek() == JsonStream::Kind::kObject) return read_envelope(json, message);
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

class SignalReader {
 public:
  SignalReader(const std::string& me, Imported& result) : me_(me), result_(result) {}

  void read(ExportText& text, const std::string& folder) {
    JsonStream json(text.utf8(), text.source());
    const auto one = [&] { add(read_record(json), json, text.source(), folder); };
    while (json.peek() != JsonStream::Kind::kEnd) {
      if (json.peek() == JsonStream::Kind::kArray)
        json.array(one);
      else
        one();
    }
    for (auto& [chat, log] : logs_) {
      log.messages.sort_by_time();
      if (log.entries > 0) result_.logs.push_back(std::move(log));
    }
    logs_.clear();
  }

 private:
  void add(const SignalMessage& message, JsonStream& json, const std::string& source, const std::string& folder) {
    ChatLog& log = logs_[message.chat];
    if (log.source.empty()) {
      log.source = message.chat.empty() ? source : source + ":" + message.chat;
      log.format = "Signal";
      log.chat = message.chat.empty() ? folder : message.chat;
    }
    ++log.records;
    if (!message.is_message || message.notice) return log.drop(Drop::kSystem);
    if (!message.time) json.fail("the message has no valid time");
    if (message.call) return log.drop(Drop::kCall);
    if (message.reaction) return log.drop(Drop::kReaction);
    if (message.deleted) return log.drop(Drop::kDeleted);
    const std::string words = words_of(message.text);
    if (words.empty()) return log.drop(message.attachments || !message.text.empty() ? Drop::kMedia : Drop::kEmpty);
    const bool mine = message.mine || message.sender == "Me" || message.sender == "You";
    const std::string other = clean_name(message.sender);
    log.add(*message.time, mine ? me_ : other.empty() ? "Unknown" : other, words);
  }

  std::string me_;
  Imported& result_;
  std::map<std::string, ChatLog> logs_;
};

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
  SignalReader reader(me, result);
  files.read(
      [&](const std::string& name) {
        // chat.md says again what data.json beside it says.
        return listed(name) && !(name.ends_with("/chat.md") && listed(folder_of(name) + "/data.json"));
      },
      [&](const std::string& name, ExportText& text) {
        const std::string head = decode_head(text.bytes().substr(0, std::size_t{1} << 16));
        if (is_signal_envelopes(head))
          result.logs.push_back(read_signal_envelopes(text, me));
        else if (is_json(head))
          reader.read(text, name.find('/') == std::string::npos ? "" : folder_of(name));
        else
          result.logs.push_back(read_signal_markdown(text, me));
      });
  return result;
}

}  // namespace

const Importer kSignal = {"signal", "Signal (signal-cli, signal-export, Desktop JSON)", false, detect_signal,
                          read_signal};

}  // namespace attune
