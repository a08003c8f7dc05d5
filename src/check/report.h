// The findings of data_check.h for people: lines for a terminal, and one HTML file without anything from elsewhere that
// reads well on a phone, in the dark and in print.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/data_check.h"
#include "check/mask_view.h"

namespace attune {

// What the report says beside the findings.
struct CheckContext {
  std::string data, model;  // as the user named them
  std::int64_t vocabulary = 0;
  std::string stops;       // the tokens that end a turn: "<|im_end|> (151645)"
  std::int64_t steps = 0;  // of a run with `recipe`
  std::string recipe;      // what the steps were counted with: "3 epochs, 8 rows of 1,024 tokens to a step"
};

// Lines ending in '\n'.
std::string check_text(const DataCheck& check, const CheckContext& context);

struct ViewedRow {
  std::string title;  // "the longest: train.jsonl:17"
  std::vector<ViewedToken> tokens;
};
std::string check_html(const DataCheck& check, const CheckContext& context, const std::vector<ViewedRow>& rows);

}  // namespace attune
