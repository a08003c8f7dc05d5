#include "conversation/whatsapp.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/archive.h"
#include "conversation/text_marks.h"
#include "conversation/whatsapp_clock.h"
#include "conversation/whatsapp_stamp.h"
#include "conversation/whatsapp_text.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kSniffBytes = std::uint64_t{1} << 16;
constexpr std::size_t kMaxNameBytes = 240;
constexpr std::uint32_t kMinForLongName = 3;

// UTF-8 without byte order mark and carriage returns, whatever the file was saved as.
std::string decode_text(std::string_view bytes) {
  std::string text;
  const bool little = bytes.starts_with("\xFF\xFE"), big = bytes.starts_with("\xFE\xFF");
  if (little || big) {
    const auto unit = [&](std::size_t i) {
      const auto a = static_cast<unsigned char>(bytes[i]), b = static_cast<unsigned char>(bytes[i + 1]);
      return static_cast<char32_t>(little ? b << 8 | a : a << 8 | b);
    };
    for (std::size_t i = 2; i + 1 < bytes.size(); i += 2) {
      char32_t c = unit(i);
      if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size() && unit(i + 2) >= 0xDC00 &&
          unit(i + 2) < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
        i += 2;
      }
      append_utf8(text, c >= 0xD800 && c < 0xE000 ? U'\uFFFD' : c);
    }
  } else {
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    text = to_valid_utf8(bytes);
  }
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return text;
}

// One dated entry: from behind its stamp to the next entry, without the last line end.
struct Entry {
  std::int64_t time = 0;
  std::string_view raw;
};

struct Entries {
  std::vector<Entry> list;
  std::uint64_t lines = 0;
  WhatsAppClock clock;
  bool bracketed = false;  // the iPhone's form
};

Entries split_entries(std::string_view text, DateOrder order, const std::string& source) {
  struct Head {
    std::size_t line, body;
  };
  Entries entries;
  std::vector<WhatsAppStamp> stamps;
  std::vector<Head> heads;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (auto stamp = parse_whatsapp_stamp(text.substr(begin, end - begin))) {
      heads.push_back({begin, begin + stamp->body});
      stamps.push_back(*std::move(stamp));
    }
    ++entries.lines;
    begin = end + 1;
  }
  entries.clock = read_whatsapp_clock(stamps, order, source);
  std::uint64_t bracketed = 0;
  for (std::size_t i = 0, next; i < heads.size(); i = next) {
    for (next = i + 1; next < heads.size() && !entries.clock.times[next]; ++next) {
    }
    if (!entries.clock.times[i]) continue;  // only before the first entry
    const std::size_t end = next < heads.size() ? heads[next].line : text.size();
    std::string_view raw = text.substr(heads[i].body, end - heads[i].body);
    while (raw.ends_with('\n')) raw.remove_suffix(1);
    entries.list.push_back({*entries.clock.times[i], raw});
    bracketed += stamps[i].shape.front() == ']';
  }
  entries.bracketed = bracketed * 2 > entries.list.size();
  return entries;
}

// The end of "Name" in "Name: text": the first colon at or after `from` with white space, a mark or the end
// behind it.
std::size_t name_end(std::string_view raw, std::size_t from) {
  for (std::size_t colon = raw.find(':', from); colon != std::string_view::npos;
       colon = raw.find(':', colon + 1)) {
    if (colon + 1 == raw.size()) return colon;
    const char32_t next = decode_utf8(raw, colon + 1).code_point;
    if (is_space(next) || is_mark(next) || next == '\n') return colon;
  }
  return std::string_view::npos;
}

std::string_view first_line(std::string_view raw) { return raw.substr(0, raw.find('\n')); }

// An entry's sender as written and where the text begins; an empty name: the entry is a notice.
struct Split {
  std::string_view name;
  std::size_t text = 0;
};

Split split_at(std::string_view raw, std::size_t colon) {
  if (colon == std::string_view::npos || colon == 0 || colon > kMaxNameBytes) return {};
  std::size_t text = colon + 1;
  if (text < raw.size() && is_space(decode_utf8(raw, text).code_point)) text = decode_utf8(raw, text).next;
  return {raw.substr(0, colon), text};
}

// A name may hold a colon itself ("Anna: work"). It does when every message that begins with the shorter name
// goes on the same way; and when --me says so.
void extend_names(const std::vector<Entry>& entries, std::vector<Split>& splits,
                  const std::vector<std::string>& me) {
  std::vector<std::string> long_names;
  for (const std::string& name : me) {
    if (name.find(": ") != std::string::npos) long_names.push_back(fold_name(name));
  }
  struct Longer {
    std::string_view name;
    std::uint32_t count = 0;
    bool same = true;
  };
  std::unordered_map<std::string_view, Longer> longer;
  std::vector<Split> extended(splits.size());
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (splits[i].name.empty()) continue;
    const std::string_view line = first_line(entries[i].raw);
    extended[i] = split_at(line, name_end(line, splits[i].text));
    Longer& entry = longer[splits[i].name];
    if (entry.count++ == 0) entry.name = extended[i].name;
    entry.same &= !extended[i].name.empty() && extended[i].name == entry.name;
  }
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (splits[i].name.empty() || extended[i].name.empty()) continue;
    const Longer& entry = longer[splits[i].name];
    const bool named = !long_names.empty() && std::find(long_names.begin(), long_names.end(),
                                                        fold_name(extended[i].name)) != long_names.end();
    if (named || (entry.same && entry.count >= kMinForLongName)) splits[i] = extended[i];
  }
}

std::vector<Split> split_senders(const std::vector<Entry>& entries, const std::vector<std::string>& me) {
  std::vector<Split> splits(entries.size());
  std::unordered_map<std::string_view, std::uint32_t> counts;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string_view line = first_line(entries[i].raw);
    splits[i] = split_at(line, name_end(line, 0));
    if (!splits[i].name.empty()) ++counts[splits[i].name];
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string_view line = first_line(entries[i].raw);
    if (splits[i].name.empty()) {
      // "Name:text" without the space, when the name is one that we know.
      const Split tight = split_at(line, line.find(':'));
      if (!tight.name.empty() && counts.contains(tight.name)) splits[i] = tight;
    } else if (counts[splits[i].name] <= 2 && is_notice_before_colon(splits[i].name)) {
      splits[i] = {};
    }
  }
  extend_names(entries, splits, me);
  return splits;
}

void drop(ChatLog& log, Drop reason) { ++log.dropped[static_cast<std::size_t>(reason)]; }

// Texts whose mark says "generated" though nothing else does are dropped, unless the file marks most of its
// messages.
void collect_messages(const std::vector<Entry>& entries, const std::vector<Split>& splits, ChatLog& log) {
  WhatsAppRepeats repeats;
  std::uint64_t sent = 0, unknown = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!splits[i].name.empty()) repeats.count(entries[i].raw.substr(splits[i].text));
  }
  std::vector<WhatsAppText> texts(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (splits[i].name.empty()) continue;
    texts[i] = classify_whatsapp_text(entries[i].raw.substr(splits[i].text), repeats);
    ++sent;
    unknown += texts[i].unknown_notice;
  }
  const bool marks_mean_nothing = unknown * 2 > sent;
  std::unordered_map<std::string_view, std::string> names;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    WhatsAppText& text = texts[i];
    if (splits[i].name.empty()) {
      drop(log, Drop::kSystem);
      continue;
    }
    if (text.unknown_notice && marks_mean_nothing) text.drop.reset();
    const auto [name, added] = names.try_emplace(splits[i].name);
    if (added) name->second = clean_name(splits[i].name);
    if (!text.drop && name->second.empty()) text.drop = Drop::kSystem;
    if (text.drop) {
      drop(log, *text.drop);
      continue;
    }
    log.edited += text.edited;
    log.messages.push_back({entries[i].time, name->second, std::move(text.text)});
  }
}

// Whether the text's beginning looks like an export: several stamped lines, or one in a very short file.
bool sniff(std::string_view bytes) {
  const std::string text = decode_text(bytes);
  std::size_t stamped = 0, lines = 0;
  for (std::size_t begin = 0; begin < text.size() && lines < 400;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    ++lines;
    stamped += parse_whatsapp_stamp(line).has_value();
  }
  return stamped >= 3 || (stamped > 0 && stamped * 4 >= lines);
}

std::string extension_of(const fs::path& path) { return fold_phrase(path.extension().string()); }

bool is_zip(const fs::path& path) { return extension_of(path) == ".zip"; }

std::string read_beginning(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<std::size_t>(file.bytes().size(), kSniffBytes));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool hidden = entry.path().filename().string().starts_with('.');
    const std::string extension = extension_of(entry.path());
    if (entry.is_regular_file() && !hidden && (extension == ".txt" || extension == ".zip"))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool detect(const fs::path& path) {
  if (fs::is_directory(path)) {
    const auto files = files_of(path);
    return std::any_of(files.begin(), files.end(), detect);
  }
  if (!is_zip(path)) return sniff(read_beginning(path));
  bool found = false;
  for_each_zip_text(path, kSniffBytes, [&](TextEntry&& entry) {
    found = sniff(entry.text);
    return !found;
  });
  return found;
}

std::vector<ChatLog> read_zip(const fs::path& path, const ReadOptions& options) {
  std::vector<TextEntry> chats;
  bool named = false;  // an iPhone's archive calls the chat _chat.txt; other texts in it are attachments
  for_each_zip_text(path, kMaxTextBytes, [&](TextEntry&& entry) {
    const bool chat = entry.name.substr(entry.name.rfind('/') + 1) == "_chat.txt";
    if (chat && !named) chats.clear();
    named |= chat;
    if (chat || (!named && sniff(std::string_view(entry.text).substr(0, kSniffBytes)))) {
      chats.push_back(std::move(entry));
    }
    return true;
  });
  std::vector<ChatLog> logs;
  for (const TextEntry& chat : chats) {
    logs.push_back(parse_whatsapp(chat.text, path.string() + ":" + chat.name, options));
  }
  return logs;
}

std::vector<ChatLog> read(const fs::path& path, const ReadOptions& options) {
  std::vector<ChatLog> logs;
  if (fs::is_directory(path)) {
    for (const fs::path& file : files_of(path)) {
      if (!detect(file)) continue;
      auto more = read(file, options);
      std::move(more.begin(), more.end(), std::back_inserter(logs));
    }
  } else if (is_zip(path)) {
    logs = read_zip(path, options);
  } else {
    const std::string bytes = read_file(path, kMaxTextBytes);
    if (bytes.empty()) throw UserError("[{}] the file is empty; expected a chat export", path.string());
    logs.push_back(parse_whatsapp(bytes, path.string(), options));
  }
  if (logs.empty()) throw BadFile("[{}] no WhatsApp chat found in it", path.string());
  return logs;
}

}  // namespace

const Importer kWhatsApp = {"whatsapp", "WhatsApp .txt or .zip", detect, read};

ChatLog parse_whatsapp(std::string_view bytes, const std::string& source, const ReadOptions& options) {
  const std::string text = decode_text(bytes);
  const Entries entries = split_entries(text, options.date_order, source);
  if (entries.list.empty()) {
    throw BadFile(
        "[{}] not a WhatsApp export: no line begins with a date and a time, as in \"12/31/23, 21:41 - Name: "
        "text\"",
        source);
  }
  ChatLog log;
  log.source = source;
  log.format = entries.bracketed ? "WhatsApp (iPhone)" : "WhatsApp (Android)";
  log.dates = entries.clock.dates;
  log.clock = entries.clock.clock;
  log.lines = entries.lines;
  log.entries = entries.list.size();
  collect_messages(entries.list, split_senders(entries.list, options.me), log);
  return log;
}

}  // namespace attune
