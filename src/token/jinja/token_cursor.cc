#include "token/jinja/token_cursor.h"

namespace attune::jinja {

bool TokenCursor::is_operator(const Token& token, std::string_view text) {
  return token.kind == TokenKind::kOperator && token.text == text;
}

bool TokenCursor::is_name(const Token& token, std::string_view text) {
  return token.kind == TokenKind::kName && token.text == text;
}

std::string TokenCursor::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "template data / text";
    case TokenKind::kVariableBegin:
      return "begin of print statement";
    case TokenKind::kVariableEnd:
      return "end of print statement";
    case TokenKind::kBlockBegin:
      return "begin of statement block";
    case TokenKind::kBlockEnd:
      return "end of statement block";
    case TokenKind::kString:
      return "string";
    case TokenKind::kInteger:
      return "integer";
    case TokenKind::kFloat:
      return "float";
    case TokenKind::kEnd:
      return "end of template";
    default:
      return token.text;
  }
}

void TokenCursor::expected(std::string_view what) const {
  if (is(TokenKind::kEnd)) error("unexpected end of template, expected '{}'", what);
  error("expected token '{}', got '{}'", what, describe(now()));
}

void TokenCursor::expect_operator(std::string_view text) {
  if (!skip_operator(text)) expected(text);
}

void TokenCursor::expect_name(std::string_view text) {
  if (!skip_name(text)) expected(text);
}

Token TokenCursor::expect(TokenKind kind, std::string_view what) {
  if (!is(kind)) expected(what);
  return take();
}

}  // namespace attune::jinja
