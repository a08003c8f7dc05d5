#include "conversation/sms.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "conversation/tapback.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"
#include "conversation/xml_events.h"

namespace attune {
namespace {

constexpr std::string_view kMmsSender = "137";  // PduHeaders.FROM

// An <mms> between its beginning and its end.
struct Mms {
  XmlAttributes attributes;
  std::string text, sender;
  bool media = false;
};

// The digits of a number without what country and habit put before them: "+36 30 123 4567" and "06301234567" agree.
std::string number_key(std::string_view number) {
  std::string digits;
  for (const char c : number) {
    if (c >= '0' && c <= '9') digits += c;
  }
  return digits.size() >= 9 ? digits.substr(digits.size() - 9) : std::string(number);
}

class SmsReader {
 public:
  SmsReader(const std::string& source, const ReadOptions& options) : source_(source) {
    if (!options.me.empty()) me_ = options.me.front();
  }

  void start(std::string_view name, const XmlAttributes& attributes) {
    if (name == "sms") {
      add_sms(attributes);
    } else if (name == "mms") {
      mms_ = Mms{attributes, {}, {}, false};
    } else if (name == "part" && mms_) {
      add_part(attributes);
    } else if (name == "addr" && mms_ && get(attributes, "type") == kMmsSender) {
      mms_->sender = get(attributes, "address");
    }
  }

  void end(std::string_view name) {
    if (name == "mms" && mms_) {
      add_mms(*mms_);
      mms_.reset();
    }
  }

  std::vector<ChatLog> finish() {
    std::vector<ChatLog> logs;
    for (auto& [key, log] : chats_) {
      log.messages.sort_by_time();
      logs.push_back(std::move(log));
    }
    return logs;
  }

 private:
  // The value, or "" when it is absent or the "null" that the program writes for nothing.
  static std::string get(const XmlAttributes& attributes, std::string_view key) {
    const auto found = attributes.find(key);
    return found == attributes.end() || found->second == "null" ? "" : found->second;
  }

  // The chat with the people of `address`, several of them separated by "~".
  ChatLog& chat_of(const std::string& address, const std::string& contact) {
    std::set<std::string> people;
    for (std::size_t begin = 0; begin <= address.size();) {
      const std::size_t end = std::min(address.find('~', begin), address.size());
      people.insert(number_key(std::string_view(address).substr(begin, end - begin)));
      begin = end + 1;
    }
    std::string key;
    for (const std::string& person : people) key += (key.empty() ? "" : "~") + person;
    ChatLog& log = chats_[key];
    if (log.source.empty()) {
      log.source = source_ + ":" + (contact.empty() ? address : contact);
      log.format = "SMS";
      log.clock = "UTC";
      log.chat = key;
    }
    ++log.records;
    return log;
  }

  static std::int64_t time_of(const XmlAttributes& attributes) {
    const auto time = parse_any_time(get(attributes, "date"), DateOrder::kInfer);
    if (!time) throw BadFile("expected date=\"milliseconds since 1970\", got \"{}\"", get(attributes, "date"));
    return *time;
  }

  static void add(ChatLog& log, std::int64_t time, const std::string& sender, const std::string& text, bool media) {
    if (text.size() > kMaxTextBytes) throw BadFile("{}", kTooLong);
    const std::string words = strip_marks(trim(text));
    if (words.empty()) return log.drop(media ? Drop::kMedia : Drop::kEmpty);
    if (is_tapback_text(words)) return log.drop(Drop::kReaction);
    log.add(time, sender, words);
  }

  static std::string other(const std::string& contact, const std::string& address) {
    const bool unknown = contact.empty() || contact == "(Unknown)";
    return clean_name(unknown ? address : contact);
  }

  void add_sms(const XmlAttributes& attributes) {
    const std::string address = get(attributes, "address"), contact = get(attributes, "contact_name");
    const std::int64_t time = time_of(attributes);
    ChatLog& log = chat_of(address, contact);
    const std::string type = get(attributes, "type");
    if (type == "3") return log.drop(Drop::kSystem);  // a draft that was never sent
    const bool sent = type == "2" || type == "4" || type == "5" || type == "6";
    const std::string from = other(contact, address);
    add(log, time, sent ? me_ : from.empty() ? "Unknown" : from, get(attributes, "body"), false);
  }

  void add_part(const XmlAttributes& attributes) {
    const std::string type = get(attributes, "ct");
    if (type == "text/plain") {
      const std::string text = get(attributes, "text");
      if (!text.empty()) mms_->text += (mms_->text.empty() ? "" : "\n") + text;
    } else if (type != "application/smil") {
      mms_->media = true;
    }
  }

  void add_mms(const Mms& mms) {
    const std::string address = get(mms.attributes, "address"), contact = get(mms.attributes, "contact_name");
    const std::int64_t time = time_of(mms.attributes);
    ChatLog& log = chat_of(address, contact);
    const std::string box = get(mms.attributes, "msg_box");
    if (box == "3") return log.drop(Drop::kSystem);
    const bool group = address.find('~') != std::string::npos;
    // A group's contact_name lists all of them; only the number says who wrote.
    std::string sender =
        group || contact.empty() ? name_of(mms.sender.empty() ? address : mms.sender) : other(contact, address);
    if (box != "1") sender = me_;
    if (!group && !contact.empty()) names_[number_key(address)] = other(contact, address);
    add(log, time, sender.empty() ? "Unknown" : sender, mms.text, mms.media);
  }

  std::string name_of(const std::string& number) const {
    const auto known = names_.find(number_key(number));
    return known == names_.end() ? clean_name(number) : known->second;
  }

  std::string source_, me_ = "Me";
  std::map<std::string, ChatLog> chats_;
  std::map<std::string, std::string> names_;  // contacts by number_key
  std::optional<Mms> mms_;
};

bool detect_sms(const std::string&, std::string_view head) {
  return head.find("<smses") != std::string_view::npos ||
         (head.starts_with("<?xml") &&
          (head.find("<sms ") != std::string_view::npos || head.find("<mms ") != std::string_view::npos));
}

Imported read_sms(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) {
               SmsReader reader(text.source(), options);
               read_xml(
                   text.utf8(), text.source(),
                   {[&](std::string_view name, const XmlAttributes& attributes) { reader.start(name, attributes); },
                    [&](std::string_view name) { reader.end(name); }});
               for (ChatLog& log : reader.finish()) result.logs.push_back(std::move(log));
             });
  return result;
}

}  // namespace

const Importer kSms = {"sms", "SMS Backup & Restore XML", false, detect_sms, read_sms};

}  // namespace attune
