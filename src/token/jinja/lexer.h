// Splits a template into tokens exactly as jinja2's lexer does with trim_blocks and lstrip_blocks on (the environment in
// which Hugging Face renders chat templates): same white-space control, same raw blocks, same numbers and strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "token/jinja/value.h"

namespace attune::jinja {

enum class TokenKind : std::uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  int line;
  std::string text;  // data, name, unescaped string, operator
  std::int64_t integer = 0;
  double real = 0;
};

// A syntax error with its line.
class SyntaxError : public TemplateError {
 public:
  SyntaxError(int error_line, const std::string& message) : TemplateError(message), line(error_line) {}
  int line;
};

// The last token is kEnd. Throws SyntaxError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace attune::jinja
