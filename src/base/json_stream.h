// JSON of any size read once from front to back, holding one value at a time: for exports that are one object of
// gigabytes. The caller says what it expects next; everything else is skipped.
//
//   json.object([&](std::string_view key) {
//     if (key == "messages") json.array([&] { message(json); });
//     else json.skip();
//   });
// Each callback must consume exactly one value. Strings and numbers that are read are checked in full; of skipped
// values only strings and brackets are. Nesting deeper than 256 is refused, and so is, while it is read, a string of more
// than 16 MB: no person writes one, but a broken file may have one of gigabytes. A repeated key is the caller's to judge.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/spill.h"

namespace attune {

class JsonStream {
 public:
  static constexpr std::size_t kMaxString = std::size_t{1} << 24;

  // `text` is UTF-8; `name` begins the errors, which are BadFile "[name:line] ...", with the number of the record where
  // there is one.
  JsonStream(const PagedText& text, std::string name, std::size_t max_string = kMaxString);

  enum class Kind { kObject, kArray, kString, kNumber, kLiteral, kEnd };
  // Of the next value; kEnd behind the last one.
  Kind peek();

  template <typename Visit>
  void object(const Visit& visit) {
    open('{', "an object");
    for (std::string key; next_member(key);) visit(std::string_view(key));
  }
  template <typename Visit>
  void array(const Visit& visit) {
    open('[', "a list");
    while (next_item()) visit();
  }
  // A string, number or literal; the words say in errors what was expected ("a string").
  std::string string();
  std::int64_t integer();
  bool boolean();
  // A string, or "" for null and for a value of another type, which is skipped.
  std::string string_or_empty();
  // An integer, also one in quotes ("1700000000") or with a fraction, which is cut; nullopt for anything else.
  std::optional<std::int64_t> integer_like();
  // The whole value as a tree. For small parts only: 16 MB at most.
  Json value();
  // The text of the next value, as it stands.
  std::string_view raw();
  void skip();
  // After the last value: BadFile when more follows.
  void finish();

  // Counts records for errors: call it at the beginning of each.
  void begin_record() { ++record_; }
  std::uint64_t records() const { return record_; }
  // "name:line", with ", record 12" when records are counted.
  std::string place() const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  void open(char bracket, const char* wanted);
  bool next_member(std::string& key);
  bool next_item();
  char next_character();  // not white space, left in place; '\0' at the end
  void skip_string();
  std::string_view number(const char* wanted);
  void append_escape(std::string& text);
  unsigned hex4();

  PagedText paged_;
  std::string_view text_;
  std::string name_;
  std::size_t max_string_;
  std::size_t at_ = 0;
  std::uint64_t record_ = 0;
  bool first_ = false;  // the innermost object or list has had no element yet
  int depth_ = 0;
};

}  // namespace attune
