#include "adapter/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "base/freed.h"

namespace attune {
namespace {

constexpr std::size_t kMaxLength = 10'000;  // of the expression
constexpr std::uint32_t kMaxSteps = 200'000;
constexpr std::uint32_t kMaxHeapKib = 16'384;

}  // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, FreedBy<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_data, FreedBy<pcre2_match_data_free>> data;
  std::unique_ptr<pcre2_match_context, FreedBy<pcre2_match_context_free>> context;
  std::string expression, where;
};

Pattern::Pattern(const std::string& expression, const std::string& where) : code_(std::make_unique<Code>()) {
  if (expression.size() > kMaxLength) {
    throw UserError("[{}] regular expression of {} bytes, expected at most {}", where, expression.size(), kMaxLength);
  }
  int error = 0;
  std::size_t offset = 0;
  code_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                  PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr));
  if (code_->code == nullptr) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    throw UserError("[{}] regular expression \"{}\" is wrong at character {}: {}", where, expression, offset,
                    reinterpret_cast<const char*>(text));
  }
  code_->data.reset(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  code_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code_->context.get(), kMaxSteps);
  pcre2_set_depth_limit(code_->context.get(), kMaxSteps);
  pcre2_set_heap_limit(code_->context.get(), kMaxHeapKib);
  code_->expression = expression;
  code_->where = where;
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

bool Pattern::matches(std::string_view text) const {
  const int result = pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                                 PCRE2_ANCHORED | PCRE2_ENDANCHORED, code_->data.get(), code_->context.get());
  if (result >= 0) return true;
  if (result == PCRE2_ERROR_NOMATCH) return false;
  throw UserError("[{}] regular expression \"{}\" takes too long to match; simplify it", code_->where,
                  code_->expression);
}

}  // namespace attune
