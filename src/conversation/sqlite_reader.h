// SQLite databases from outside, read only: nothing is created or changed beside the file, not even for a database whose
// program keeps a write-ahead log.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/file.h"

struct sqlite3;
struct sqlite3_stmt;

namespace attune {

class SqliteRow {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  bool is_null(int column) const;
  std::int64_t integer(int column) const;  // 0 for NULL
  // Valid until the next row; "" for NULL.
  std::string_view text(int column) const;
  std::string_view blob(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class SqliteReader {
 public:
  // A file on disk; a database in memory, copied. BadFile when it is none.
  SqliteReader(const fs::path& path, std::string source);
  SqliteReader(std::string_view bytes, std::string source);

  // The columns of a table; empty when there is no such table.
  std::set<std::string> columns(const std::string& table) const;
  // Calls `visit` with each row of the result. BadFile when the database is damaged.
  void query(const std::string& sql, const std::function<void(const SqliteRow&)>& visit) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  void open(const std::string& uri);
  [[noreturn]] void fail() const;
  std::string source_;
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace attune
