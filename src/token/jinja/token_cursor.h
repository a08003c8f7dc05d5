// A position in the tokens of a template: looking, taking, and the errors of what was expected.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "token/jinja/lexer.h"

namespace attune::jinja {

class TokenCursor {
 protected:
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // Guards the stack: constructed by every function of a parser that can come back to itself.
  struct Recursion {
    explicit Recursion(TokenCursor& c) : cursor(c) {
      if (++cursor.recursion_ > kMaxRecursion) {
        cursor.error("the template is nested deeper than {} levels", kMaxRecursion);
      }
    }
    ~Recursion() { --cursor.recursion_; }
    TokenCursor& cursor;
  };

  const Token& now() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool is(TokenKind kind) const { return now().kind == kind; }
  static bool is_operator(const Token& token, std::string_view text);
  static bool is_name(const Token& token, std::string_view text);
  bool is_operator(std::string_view text) const { return is_operator(now(), text); }
  bool is_name(std::string_view text) const { return is_name(now(), text); }
  bool skip_operator(std::string_view text) { return is_operator(text) && (take(), true); }
  bool skip_name(std::string_view text) { return is_name(text) && (take(), true); }
  template <typename... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    throw SyntaxError(now().line, fmt::format(format, std::forward<Args>(args)...));
  }
  static std::string describe(const Token& token);
  [[noreturn]] void expected(std::string_view what) const;
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  Token expect(TokenKind kind, std::string_view what);

 private:
  static constexpr int kMaxRecursion = 200;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int recursion_ = 0;
};

}  // namespace attune::jinja
