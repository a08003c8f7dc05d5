// SQLite through a few lines: a connection and a statement that close themselves and whose errors are exceptions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

struct sqlite3;
struct sqlite3_stmt;

namespace attune {

// What SQLite refused; `busy()` when another process holds the file for longer than we wait.
class SqliteError : public UserError {
 public:
  SqliteError(int code, const std::string& message) : UserError(message), code_(code) {}
  int code() const { return code_; }
  bool busy() const;
  bool not_a_database() const;

 private:
  int code_;
};

// Waits up to ten seconds for other writers. One thread at a time. Throws SqliteError.
class Database {
 public:
  explicit Database(fs::path path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const char* sql);  // one or several statements without results
  bool has_table(std::string_view name);
  std::int64_t last_row_id() const;

 private:
  friend class Statement;
  [[noreturn]] void fail(int code) const;
  fs::path path_;
  sqlite3* handle_ = nullptr;
};

// bind() in the order of the question marks, then step() per row; run() for what has no rows. Throws SqliteError.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);
  Statement& bind(double number);
  Statement& bind(std::nullptr_t);
  template <typename T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind(nullptr);
  }

  bool step();  // true: there is a row
  void run();   // all steps; afterwards the statement may be bound and run again
  std::string text(int column) const;
  std::int64_t integer(int column) const;
  std::optional<double> real(int column) const;  // nullopt for NULL

 private:
  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

// BEGIN IMMEDIATE ... COMMIT; rolled back when it goes out of scope without commit().
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace attune
