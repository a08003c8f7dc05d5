#include "conversation/imessage.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/sqlite_reader.h"
#include "conversation/tapback.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr std::int64_t kAppleEpoch = 978307200;  // 2001-01-01 UTC
constexpr std::int64_t kFirstNanoseconds = 100'000'000'000;
constexpr std::int64_t kLastDate = 6'279'811'200;  // 2200-01-01
constexpr std::string_view kObject = "\uFFFC";     // stands for an attachment

// The columns of the query below, in its order.
enum Column {
  kChat,
  kText,
  kBody,
  kDate,
  kFromMe,
  kHandle,
  kAssociated,
  kItem,
  kAttachments,
  kEdited,
  kRetracted,
  kRow
};

std::string query_of(const std::set<std::string>& columns) {
  const auto column = [&](const char* name) {
    return columns.contains(name) ? std::string("m.") + name : std::string("NULL");
  };
  std::string sql = "SELECT j.chat_id";
  for (const char* name : {"text", "attributedBody", "date", "is_from_me"}) sql += ", " + column(name);
  sql += ", h.id";
  for (const char* name :
       {"associated_message_type", "item_type", "cache_has_attachments", "date_edited", "date_retracted"}) {
    sql += ", " + column(name);
  }
  return sql +
         ", m.ROWID FROM message m LEFT JOIN chat_message_join j ON j.message_id = m.ROWID"
         " LEFT JOIN handle h ON h.ROWID = m.handle_id ORDER BY j.chat_id, m.date, m.ROWID";
}

std::int64_t time_of(const SqliteRow& row, const std::string& source) {
  const std::int64_t date = row.integer(kDate);
  const std::int64_t seconds = date > kFirstNanoseconds || date < -kFirstNanoseconds ? date / 1'000'000'000 : date;
  if (seconds <= 0 || seconds > kLastDate)
    throw BadFile("[{}: message {}] the date {} is none", source, row.text(kRow), date);
  return kAppleEpoch + seconds;
}

// The sender's words, without the characters that stand for attachments.
std::string words_of(const SqliteRow& row, const std::string& source) {
  if (row.text(kText).size() > kMaxTextBytes || row.blob(kBody).size() > kMaxTextBytes) {
    throw BadFile("[{}: message {}] {}", source, row.text(kRow), kTooLong);
  }
  std::string text = to_valid_utf8(row.text(kText));
  if (text.empty() && !row.is_null(kBody)) text = attributed_text(row.blob(kBody)).value_or("");
  std::string words;
  for (std::size_t at = 0, end; at <= text.size(); at = end + kObject.size()) {
    end = std::min(text.find(kObject, at), text.size());
    words.append(text, at, end - at);
  }
  return strip_marks(trim(words));
}

std::optional<Drop> judge(const SqliteRow& row, const std::string& words) {
  const std::int64_t associated = row.integer(kAssociated);
  if (row.integer(kItem) != 0) return Drop::kSystem;
  if (associated >= 1000 && associated < 4000) return Drop::kReaction;
  if (is_tapback_text(words)) return Drop::kReaction;
  if (!words.empty()) return std::nullopt;
  if (row.integer(kRetracted) != 0 || row.integer(kEdited) != 0) return Drop::kDeleted;
  return row.integer(kAttachments) != 0 || !row.text(kText).empty() ? Drop::kMedia : Drop::kEmpty;
}

// "Group" or the other's number, by the chat's id.
std::map<std::string, std::string> chat_names(const SqliteReader& database) {
  std::map<std::string, std::string> names;
  const auto columns = database.columns("chat");
  const std::string shown = columns.contains("display_name") ? "display_name" : "NULL";
  database.query("SELECT ROWID, chat_identifier, " + shown + " FROM chat", [&](const SqliteRow& row) {
    names[std::string(row.text(0))] = to_valid_utf8(row.text(2).empty() ? row.text(1) : row.text(2));
  });
  return names;
}

bool detect_imessage(const std::string& name, std::string_view head) {
  if (!head.starts_with("SQLite format 3")) return false;
  const std::string file = name.substr(name.rfind('/') + 1);
  return file == "chat.db" || file == "sms.db" || head.find("chat_message_join") != std::string_view::npos;
}

Imported read_imessage(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string& name, ExportText& text) {
               const fs::path path = files.location(name);
               const SqliteReader database =
                   path.empty() ? SqliteReader(text.bytes(), text.source()) : SqliteReader(path, text.source());
               for (ChatLog& log : read_imessage(database, text.source(), options))
                 result.logs.push_back(std::move(log));
             });
  return result;
}

}  // namespace

const Importer kIMessage = {"imessage", "iMessage chat.db", false, detect_imessage, read_imessage};

// After the class name NSString or NSMutableString stand a few tags, then '+' (a C string of bytes), its length (one
// byte, or 0x81 and two bytes, or 0x82 and four, little-endian) and the UTF-8 text.
std::optional<std::string> attributed_text(std::string_view typedstream) {
  constexpr std::size_t kMaxTagBytes = 16;
  std::size_t at = typedstream.find("NSString");
  if (const std::size_t other = typedstream.find("NSMutableString"); other < at) at = other;
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t plus = typedstream.find('+', at);
  if (plus == std::string_view::npos || plus > at + std::string_view("NSMutableString").size() + kMaxTagBytes * 2) {
    return std::nullopt;
  }
  const auto byte = [&](std::size_t i) -> std::size_t {
    return i < typedstream.size() ? static_cast<unsigned char>(typedstream[i]) : 0;
  };
  std::size_t begin = plus + 2, length = byte(plus + 1);
  if (length == 0x81) {
    length = byte(plus + 2) | byte(plus + 3) << 8;
    begin += 2;
  } else if (length == 0x82) {
    length = byte(plus + 2) | byte(plus + 3) << 8 | byte(plus + 4) << 16 | byte(plus + 5) << 24;
    begin += 4;
  }
  if (begin > typedstream.size() || length > typedstream.size() - begin) return std::nullopt;
  return to_valid_utf8(typedstream.substr(begin, length));
}

std::vector<ChatLog> read_imessage(const SqliteReader& database, const std::string& source,
                                   const ReadOptions& options) {
  const auto columns = database.columns("message");
  if (columns.empty() || database.columns("chat_message_join").empty() || database.columns("handle").empty()) {
    throw BadFile("[{}] a database, but not one of iMessage: it has no tables message, handle and chat_message_join",
                  source);
  }
  const std::string me = options.me.empty() ? "Me" : options.me.front();
  const auto names = chat_names(database);
  std::vector<ChatLog> logs;
  database.query(query_of(columns), [&](const SqliteRow& row) {
    const std::string chat = row.is_null(kChat) ? "none" : std::string(row.text(kChat));
    if (logs.empty() || logs.back().chat != chat) {
      ChatLog& log = logs.emplace_back();
      log.chat = chat;
      const auto name = names.find(chat);
      log.source = source + ":" + (name == names.end() ? chat : name->second);
      log.format = "iMessage";
      log.clock = "UTC";
    }
    ChatLog& log = logs.back();
    ++log.records;
    const std::int64_t time = time_of(row, source);
    const std::string words = words_of(row, source);
    if (const auto reason = judge(row, words)) return log.drop(*reason);
    log.edited += row.integer(kEdited) != 0;
    const std::string other = clean_name(to_valid_utf8(row.text(kHandle)));
    log.add(time, row.integer(kFromMe) != 0 ? me : other.empty() ? "Unknown" : other, words);
  });
  return logs;
}

}  // namespace attune
