#include "conversation/whatsapp.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "conversation/whatsapp_clock.h"
#include "conversation/whatsapp_stamps.h"
#include "conversation/whatsapp_text.h"

namespace attune {
namespace {

constexpr std::size_t kMaxNameBytes = 240;
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 24;
constexpr std::uint32_t kMinForLongName = 3;

// One dated entry: from behind its stamp to the next entry, without the last line end.
struct Entry {
  std::int64_t time = 0;
  std::uint64_t offset = 0, length = 0;  // in the text
};

// A line with the shape of a stamp that begins no entry.
struct Refused {
  std::uint64_t line = 0, body = 0;  // in the text: where the line begins, and what follows the stamp
  bool exists = false;               // the date is possible, only in another form than the file's
};

struct Entries {
  PagedText text;
  SpillVector<Entry> list;
  SpillVector<Refused> refused;  // in no order
  std::uint64_t lines = 0;
  std::string dates, clock;
  bool bracketed = false;  // the iPhone's form

  std::size_t size() const { return list.size(); }
  std::string_view raw(std::size_t i) const { return text.view(list[i].offset, list[i].length); }
};

Entries split_entries(const PagedText& paged, DateOrder order, const std::string& source) {
  struct Head {
    std::uint64_t line, body;
  };
  Entries entries;
  entries.text = paged;
  const std::string_view text = paged.all();
  WhatsAppStamps stamps;
  SpillVector<Head> heads;
  for (std::size_t begin = 0; begin < text.size();) {
    paged.touch(begin);
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end - begin > kMaxLineBytes) {
      throw BadFile("[{}:{}] a line of {} bytes; a chat has none longer than {}", source, entries.lines + 1,
                    end - begin, kMaxLineBytes);
    }
    const auto stamp = find_whatsapp_stamp(text.substr(begin, end - begin));
    if (stamp && stamp->exists) {
      heads.push_back({begin, begin + stamp->body});
      stamps.push_back(*stamp);
    } else if (stamp) {
      entries.refused.push_back({begin, begin + stamp->body, false});
    }
    ++entries.lines;
    begin = end + 1;
  }
  const WhatsAppClock clock = read_whatsapp_clock(stamps, order, source);
  entries.dates = clock.dates;
  entries.clock = clock.clock;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const std::size_t shape = stamps.shape(i);
    const bool quoted = !clock.accepted[shape] && is_copied_shape(stamps.shapes()[shape]);
    if (!clock.times[i] && !quoted) entries.refused.push_back({heads[i].line, heads[i].body, !clock.accepted[shape]});
  }
  std::uint64_t bracketed = 0;
  for (std::size_t i = 0, next; i < heads.size(); i = next) {
    for (next = i + 1; next < heads.size() && !clock.times[next]; ++next) {
    }
    if (!clock.times[i]) continue;  // only before the first entry
    const std::size_t begin = heads[i].body;
    std::size_t end = next < heads.size() ? heads[next].line : text.size();
    paged.touch(end == 0 ? 0 : end - 1);
    while (end > begin && text[end - 1] == '\n') --end;
    entries.list.push_back({*clock.times[i], begin, end - begin});
    bracketed += stamps[i].shape.front() == ']';
  }
  entries.bracketed = bracketed * 2 > entries.size();
  return entries;
}

// The end of "Name" in "Name: text": the first colon at or after `from` with white space, a mark or the end
// behind it.
std::size_t name_end(std::string_view raw, std::size_t from) {
  for (std::size_t colon = raw.find(':', from); colon != std::string_view::npos; colon = raw.find(':', colon + 1)) {
    if (colon + 1 == raw.size()) return colon;
    const char32_t next = decode_utf8(raw, colon + 1).code_point;
    if (is_space(next) || is_mark(next) || next == '\n') return colon;
  }
  return std::string_view::npos;
}

std::string_view first_line(std::string_view raw) { return raw.substr(0, raw.find('\n')); }

// How long an entry's sender is as written, and where the text begins; no length: the entry is a notice.
struct Split {
  std::uint32_t name = 0, text = 0;

  std::string_view name_in(std::string_view raw) const { return raw.substr(0, name); }
};
using Splits = SpillVector<Split>;

Split split_at(std::string_view raw, std::size_t colon) {
  if (colon == std::string_view::npos || colon == 0 || colon > kMaxNameBytes) return {};
  std::size_t text = colon + 1;
  if (text < raw.size() && is_space(decode_utf8(raw, text).code_point)) text = decode_utf8(raw, text).next;
  return {static_cast<std::uint32_t>(colon), static_cast<std::uint32_t>(text)};
}

// A name may hold a colon itself ("Anna: work"). It does when every message that begins with the shorter name
// goes on the same way; and when --me says so.
void extend_names(const Entries& entries, Splits& splits, const std::vector<std::string>& me) {
  std::vector<std::string> long_names;
  for (const std::string& name : me) {
    if (name.find(": ") != std::string::npos) long_names.push_back(fold_name(name));
  }
  struct Longer {
    std::string name;
    std::uint32_t count = 0;
    bool same = true;
  };
  std::unordered_map<std::string, Longer> longer;
  std::string short_name;
  const auto extended = [&](std::string_view line, const Split& split) {
    return split_at(line, name_end(line, split.text));
  };
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (splits[i].name == 0) continue;
    const std::string_view line = first_line(entries.raw(i));
    const std::string_view name = extended(line, splits[i]).name_in(line);
    Longer& entry = longer[short_name.assign(splits[i].name_in(line))];
    if (entry.count++ == 0) entry.name = name;
    entry.same = entry.same && !name.empty() && name == entry.name;
  }
  const bool any = !long_names.empty() || std::any_of(longer.begin(), longer.end(), [](const auto& found) {
    return found.second.same && found.second.count >= kMinForLongName;
  });
  for (std::size_t i = 0; any && i < splits.size(); ++i) {
    if (splits[i].name == 0) continue;
    const std::string_view line = first_line(entries.raw(i));
    const Split split = extended(line, splits[i]);
    if (split.name == 0) continue;
    const Longer& entry = longer[short_name.assign(splits[i].name_in(line))];
    const bool named = !long_names.empty() && std::find(long_names.begin(), long_names.end(),
                                                        fold_name(split.name_in(line))) != long_names.end();
    if (named || (entry.same && entry.count >= kMinForLongName)) splits[i] = split;
  }
}

Splits split_senders(const Entries& entries, const std::vector<std::string>& me) {
  Splits splits;
  std::unordered_map<std::string, std::uint32_t> counts;
  std::string name;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string_view line = first_line(entries.raw(i));
    splits.push_back(split_at(line, name_end(line, 0)));
    if (splits.back().name != 0) ++counts[name.assign(splits.back().name_in(line))];
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string_view line = first_line(entries.raw(i));
    if (splits[i].name == 0) {
      // "Name:text" without the space, when the name is one that we know.
      const Split tight = split_at(line, line.find(':'));
      if (tight.name != 0 && counts.contains(name.assign(tight.name_in(line)))) splits[i] = tight;
    } else if (counts[name.assign(splits[i].name_in(line))] <= 2 && is_notice_before_colon(name)) {
      splits[i] = {};
    }
  }
  extend_names(entries, splits, me);
  return splits;
}

// What a sender of the file wrote under a date that cannot be read would become words of the message above it: BadFile.
// What others wrote is a quoted piece of another chat.
void check_refused(const Entries& entries, const Splits& splits, DateOrder order, const std::string& source) {
  if (entries.refused.size() == 0) return;
  std::unordered_set<std::string> written, senders;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (splits[i].name != 0) written.emplace(splits[i].name_in(entries.raw(i)));
  }
  for (const std::string& name : written) senders.insert(clean_name(name));
  const std::string_view text = entries.text.all();
  std::optional<Refused> first;
  std::string sender;
  for (std::size_t i = 0; i < entries.refused.size(); ++i) {
    const Refused refused = entries.refused[i];
    if (first && first->line < refused.line) continue;
    const std::string_view rest = first_line(text.substr(refused.body, kMaxNameBytes + 1));
    for (std::size_t colon = rest.find(':'); colon != std::string_view::npos; colon = rest.find(':', colon + 1)) {
      const std::string name = clean_name(rest.substr(0, colon));
      if (!senders.contains(name)) continue;
      first = refused, sender = name;
      break;
    }
  }
  if (!first) return;
  const std::string stamp = strip_marks(text.substr(first->line, first->body - first->line));
  throw BadFile(
      "[{}] a message of \"{}\" has the date \"{}\", which {}, or put \"> \" before the line if the message above "
      "quotes it",
      place_in(source, text, first->line), sender, stamp.substr(0, stamp.find_last_not_of(" -:") + 1),
      first->exists                ? "has another form than the other dates of the file; write it as they are"
      : order == DateOrder::kInfer ? "does not exist; correct it"
                                   : "does not exist; correct it or --date-order");
}

// Texts whose mark says "generated" though nothing else does are notices, unless the file marks most of its messages:
// then the marks mean nothing, and the result is false: to be read again without minding them.
bool collect_messages(const Entries& entries, const Splits& splits, const WhatsAppRepeats& repeats, bool mind_marks,
                      ChatLog& log) {
  std::uint64_t sent = 0, unknown = 0;
  std::unordered_map<std::string, std::string> names;
  std::string written;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (splits[i].name == 0) {
      log.drop(Drop::kSystem);
      continue;
    }
    const std::string_view raw = entries.raw(i);
    WhatsAppText text = classify_whatsapp_text(raw.substr(splits[i].text), repeats);
    ++sent;
    unknown += text.unknown_notice;
    if (text.unknown_notice && !mind_marks) text.drop.reset();
    const auto [name, added] = names.try_emplace(written.assign(splits[i].name_in(raw)));
    if (added) name->second = clean_name(written);
    if (!text.drop && name->second.empty()) text.drop = Drop::kSystem;
    if (text.drop) {
      log.drop(*text.drop);
      continue;
    }
    log.edited += text.edited;
    log.add(entries.list[i].time, name->second, text.text);
  }
  return unknown * 2 <= sent;
}

ChatLog new_log(const Entries& entries, const std::string& source) {
  ChatLog log;
  log.source = source;
  log.format = entries.bracketed ? "WhatsApp (iPhone)" : "WhatsApp (Android)";
  log.dates = entries.dates;
  log.clock = entries.clock;
  log.lines = entries.lines;
  return log;
}

ChatLog parse_text(const PagedText& text, const std::string& source, const ReadOptions& options) {
  const Entries entries = split_entries(text, options.date_order, source);
  if (entries.size() == 0) {
    throw BadFile(
        "[{}] not a WhatsApp export: no line begins with a date and a time, as in \"12/31/23, 21:41 - Name: "
        "text\"",
        source);
  }
  const Splits splits = split_senders(entries, options.me);
  check_refused(entries, splits, options.date_order, source);
  WhatsAppRepeats repeats;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (splits[i].name != 0) repeats.count(entries.raw(i).substr(splits[i].text));
  }
  ChatLog log = new_log(entries, source);
  if (!collect_messages(entries, splits, repeats, true, log)) {
    log = new_log(entries, source);
    collect_messages(entries, splits, repeats, false, log);
  }
  return log;
}

// Whether the text's beginning looks like an export: several stamped lines, or one in a very short file.
bool detect_whatsapp(const std::string& name, std::string_view head) {
  if (name.ends_with(".md")) return false;  // Signal's look alike
  std::size_t stamped = 0, lines = 0;
  for (std::size_t begin = 0; begin < head.size() && lines < 400;) {
    const std::size_t end = std::min(head.find('\n', begin), head.size());
    const std::string_view line = head.substr(begin, end - begin);
    begin = end + 1;
    if (trim(line).empty()) continue;
    ++lines;
    stamped += parse_whatsapp_stamp(line).has_value();
  }
  return stamped >= 3 || (stamped > 0 && stamped * 4 >= lines);
}

Imported read_whatsapp(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  // An iPhone's archive calls the chat _chat.txt; other texts in it are attachments.
  const auto is_chat = [](const std::string& name) { return name.substr(name.rfind('/') + 1) == "_chat.txt"; };
  const bool named = !files.is_single() && std::any_of(names.begin(), names.end(), is_chat);
  Imported result;
  files.read([&](const std::string& name) { return named ? is_chat(name) : names.contains(name); },
             [&](const std::string&, ExportText& text) {
               result.logs.push_back(parse_text(text.utf8(true), text.source(), options));
             });
  return result;
}

}  // namespace

const Importer kWhatsApp = {"whatsapp", "WhatsApp .txt", false, detect_whatsapp, read_whatsapp};

ChatLog parse_whatsapp(std::string_view bytes, const std::string& source, const ReadOptions& options) {
  SpillBuffer copy;
  return parse_text(decode_utf8_text({bytes, false}, true, source, copy), source, options);
}

}  // namespace attune
