#include "conversation/table.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/json_stream.h"
#include "base/nearest.h"
#include "conversation/csv_reader.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

enum Role { kTime, kSender, kText, kChat };
constexpr std::array<std::string_view, 4> kRoles = {"time", "sender", "text", "chat"};

// Usual names of each column, folded; the first that the table has is taken.
const std::array<std::vector<std::string>, 4>& usual_names() {
  static const std::array<std::vector<std::string>, 4> kNames = {
      {{"time", "timestamp", "date", "datetime", "sent", "sent_at", "created_at", "date_time", "send date",
        "message date", "sent at", "dátum", "idő", "datum", "zeit", "fecha", "heure"},
       {"sender", "from", "author", "user", "name", "username", "sender_name", "sender name", "from_name", "speaker",
        "nick", "participant", "feladó", "küldő", "absender", "remitente", "expéditeur"},
       {"text", "message", "content", "body", "msg", "message_text", "üzenet", "szöveg", "nachricht", "mensaje"},
       {"chat", "channel", "conversation", "conversation_id", "thread", "thread_id", "room", "chat_name",
        "chat session"}}};
  return kNames;
}

// Which column has which role; nullopt: none.
using Columns = std::array<std::optional<std::size_t>, 4>;

Columns find_columns(const std::vector<std::string>& heading, const std::map<std::string, std::string>& named,
                     const std::string& where) {
  std::vector<std::string> folded;
  for (const std::string& name : heading) folded.push_back(fold_phrase(name));
  Columns columns;
  const auto find = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto at = std::find(folded.begin(), folded.end(), fold_phrase(name));
    return at == folded.end() ? std::nullopt : std::optional(static_cast<std::size_t>(at - folded.begin()));
  };
  for (std::size_t role = 0; role < kRoles.size(); ++role) {
    const auto wanted = named.find(std::string(kRoles[role]));
    if (wanted != named.end()) {
      columns[role] = find(wanted->second);
      if (!columns[role]) {
        throw UserError("[{}] --columns: there is no column \"{}\"{}", where, wanted->second,
                        did_you_mean(wanted->second, heading));
      }
      continue;
    }
    for (const std::string& name : usual_names()[role]) {
      if (!columns[role]) columns[role] = find(name);
    }
  }
  return columns;
}

bool is_complete(const Columns& columns) { return columns[kSender] && columns[kText]; }

void require_complete(const Columns& columns, const std::vector<std::string>& heading, const std::string& where) {
  if (is_complete(columns)) return;
  std::string list;
  for (const std::string& name : heading) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", name);
  throw BadFile("[{}] no column for the {} among {}; name it: --columns {}=NAME", where,
                columns[kSender] ? "text" : "sender", list, columns[kSender] ? "text" : "sender");
}

// The chats of a table, by the value of the chat column.
class TableReader {
 public:
  TableReader(std::string source, DateOrder order) : source_(std::move(source)), order_(order) {}

  // `place` tells where the row stands; for errors only, because counting lines takes long.
  template <typename Place>
  void add(const std::string& time, const std::string& sender, const std::string& text, const std::string& chat,
           bool timed, const Place& place) {
    ChatLog& log = logs_[chat];
    if (log.source.empty()) {
      log.source = chat.empty() ? source_ : source_ + ":" + chat;
      log.format = "Table";
      log.chat = chat;
      if (!timed) log.dates = "none in the table: the order of the rows counts";
    }
    ++log.records;
    std::optional<std::int64_t> seconds = rows_++;
    if (timed) seconds = parse_any_time(time, order_);
    if (!seconds) throw BadFile("[{}] expected a time, got \"{}\"", place(), time);
    const std::string words = strip_marks(trim(text)), name = clean_name(sender);
    if (name.empty()) return log.drop(Drop::kSystem);
    if (words.empty()) return log.drop(Drop::kEmpty);
    log.add(*seconds, name, words);
  }

  void finish(Imported& result) {
    for (auto& [chat, log] : logs_) {
      log.messages.sort_by_time();
      result.logs.push_back(std::move(log));
    }
  }

 private:
  std::string source_;
  DateOrder order_;
  std::int64_t rows_ = 0;
  std::map<std::string, ChatLog> logs_;
};

void read_csv(ExportText& text, const ReadOptions& options, TableReader& reader) {
  CsvReader csv(text.utf8(), text.source());
  std::vector<std::string> heading, row;
  if (!csv.next(heading)) throw BadFile("[{}] the table is empty", text.source());
  const Columns columns = find_columns(heading, options.columns, text.source());
  require_complete(columns, heading, text.source());
  const auto field = [&](Role role) {
    return columns[role] && *columns[role] < row.size() ? row[*columns[role]] : std::string();
  };
  while (csv.next(row)) {
    if (row.size() <= std::max(*columns[kSender], *columns[kText])) {
      throw BadFile("[{}] expected {} fields, got {}", csv.place(), heading.size(), row.size());
    }
    reader.add(field(kTime), field(kSender), field(kText), field(kChat), columns[kTime].has_value(),
               [&] { return csv.place(); });
  }
}

void read_json(ExportText& text, const ReadOptions& options, TableReader& reader) {
  JsonStream json(text.utf8(), text.source());
  const auto one = [&] {
    json.begin_record();
    if (json.peek() != JsonStream::Kind::kObject) json.fail("expected an object");
    std::vector<std::string> heading, row;
    json.object([&](std::string_view key) {
      heading.emplace_back(key);
      const bool string = json.peek() == JsonStream::Kind::kString;
      row.emplace_back();
      if (string) {
        row.back() = json.string();
      } else {
        const std::string_view raw = json.raw();
        if (raw.size() > kMaxTextBytes) json.fail(kTooLong);
        row.back() = raw;
      }
      if (row.back() == "null") row.back().clear();
    });
    const Columns columns = find_columns(heading, options.columns, text.source());
    if (!is_complete(columns)) require_complete(columns, heading, json.place());
    const auto field = [&](Role role) { return columns[role] ? row[*columns[role]] : std::string(); };
    reader.add(field(kTime), field(kSender), field(kText), field(kChat), columns[kTime].has_value(),
               [&] { return json.place(); });
  };
  while (json.peek() != JsonStream::Kind::kEnd) {
    if (json.peek() == JsonStream::Kind::kArray)
      json.array(one);
    else
      one();
  }
}

bool starts_json(std::string_view head) {
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (head[first] == '{' || head[first] == '[');
}

// The names of the first row's keys, or of a CSV file's columns; empty when it is neither.
std::vector<std::string> heading_of(const std::string& name, std::string_view head) {
  std::vector<std::string> heading;
  try {
    if (!starts_json(head)) {
      const bool table = name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".txt");
      CsvReader csv({head, false}, name);
      if (!table || !csv.next(heading) || heading.size() < 2) heading.clear();
      return heading;
    }
    JsonStream json({head, false}, name);
    const auto row = [&] {
      json.object([&](std::string_view key) {
        heading.emplace_back(key);
        json.skip();
      });
      json.fail("one row is enough");
    };
    if (json.peek() == JsonStream::Kind::kArray)
      json.array(row);
    else
      row();
  } catch (const UserError&) {
    // The head ends in the middle of a row, or after the first.
  }
  return heading;
}

bool detect_table(const std::string& name, std::string_view head) {
  return is_complete(find_columns(heading_of(name, head), {}, name));
}

Imported read_table(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) {
               TableReader reader(text.source(), options.date_order);
               const std::string head = decode_head(text.bytes().substr(0, 4096));
               starts_json(head) ? read_json(text, options, reader) : read_csv(text, options, reader);
               reader.finish(result);
             });
  return result;
}

}  // namespace

const Importer kTable = {"table", "CSV or JSONL with columns for sender and text", true, detect_table, read_table};

std::map<std::string, std::string> parse_columns(const std::string& text) {
  std::map<std::string, std::string> columns;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equals = part.find('=');
    const std::string role = part.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == part.size() ||
        std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
      throw UserError("[--columns] expected time=NAME,sender=NAME,text=NAME,chat=NAME, got \"{}\"", part);
    }
    columns[role] = part.substr(equals + 1);
  }
  return columns;
}

}  // namespace attune
