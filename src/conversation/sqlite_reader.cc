#include "conversation/sqlite_reader.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/freed.h"

namespace attune {
namespace {

constexpr std::size_t kHeaderBytes = 100, kFormatVersions = 18;

// A path as part of a URI, in which ? # and % have a meaning.
std::string uri_of(const fs::path& path, const char* options) {
  std::string uri = "file:";
  for (const char c : fs::absolute(path).string()) {
    if (c == '?' || c == '#' || c == '%')
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    else
      uri += c;
  }
  return uri + options;
}

}  // namespace

bool SqliteRow::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t SqliteRow::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view SqliteRow::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view SqliteRow::blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void SqliteReader::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

void SqliteReader::fail() const {
  throw BadFile("[{}] not a database that can be read: {}", source_, sqlite3_errmsg(database_.get()));
}

void SqliteReader::open(const std::string& uri) {
  sqlite3* database = nullptr;
  const int status = sqlite3_open_v2(uri.c_str(), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
  database_.reset(database);
  if (status != SQLITE_OK) fail();
  // A hostile schema must not run anything.
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
}

SqliteReader::SqliteReader(const fs::path& path, std::string source) : source_(std::move(source)) {
  // Without a log the file is all there is, and "immutable" keeps SQLite from making one.
  const bool log = fs::exists(path.string() + "-wal");
  open(uri_of(path, log ? "?mode=ro" : "?immutable=1"));
}

SqliteReader::SqliteReader(std::string_view bytes, std::string source) : source_(std::move(source)) {
  open(":memory:");
  if (bytes.size() < kHeaderBytes) throw BadFile("[{}] not a database: only {} bytes", source_, bytes.size());
  auto* const copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size()));
  if (copy == nullptr) throw UserError("[{}] out of memory ({} bytes)", source_, bytes.size());
  std::memcpy(copy, bytes.data(), bytes.size());
  // "Uses a write-ahead log" is refused for a database in memory; there is no log in an archive either.
  if (copy[kFormatVersions] == 2) copy[kFormatVersions] = copy[kFormatVersions + 1] = 1;
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  if (sqlite3_deserialize(database_.get(), "main", copy, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) != SQLITE_OK) {
    fail();
  }
}

std::set<std::string> SqliteReader::columns(const std::string& table) const {
  std::set<std::string> names;
  query("PRAGMA table_info(" + table + ")", [&](const SqliteRow& row) { names.emplace(row.text(1)); });
  return names;
}

void SqliteReader::query(const std::string& sql, const std::function<void(const SqliteRow&)>& visit) const {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK) fail();
  const std::unique_ptr<sqlite3_stmt, FreedBy<sqlite3_finalize>> statement(prepared);
  for (;;) {
    const int status = sqlite3_step(prepared);
    if (status == SQLITE_DONE) return;
    if (status != SQLITE_ROW) fail();
    visit(SqliteRow(prepared));
  }
}

}  // namespace attune
