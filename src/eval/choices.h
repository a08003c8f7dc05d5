// Multiple choice by loss: the choice that the model would most likely say, as a whole answer with its end.
#pragma once

#include <span>
#include <vector>

#include "eval/subject.h"

namespace attune {

struct ChoiceResults {
  std::vector<bool> right;  // of each check
  HeadLoss loss;            // of the right answers
};

// `checks` are of Kind::kChoices. UserError naming the row of one that is too long; Interrupted (see eval/watch.h).
ChoiceResults choose_by_loss(Subject& subject, const Voice& voice, std::span<const Check* const> checks,
                             std::string_view what);

// One row for each check: its messages, answered with the right choice.
TokenizedDataset right_answers(const Subject& subject, std::span<const Check* const> checks);

}  // namespace attune
