// Two models held against each other on the same rows: does the second still say what the first says?
//
// The weights may lie on disk, so what is done is counted in how often they are read: each model runs once over all rows,
// many of them in a pass, and what it makes of them is kept; the comparison needs the heads alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"
#include "token/encode.h"

namespace attune {

// A text whose masked tokens are looked at.
struct ComparedRow {
  EncodedConversation text;
  bool scored = false;  // their losses count
  bool chosen = false;  // they are a model's likeliest answer: whether the two would choose the same there counts
};

struct ComparisonData {
  std::vector<ComparedRow> rows;
  std::string origin;  // "16 held-out rows of runs/pete", for the report

  std::int64_t tokens() const;
};

struct Comparison {
  double first_loss = 0, second_loss = 0;  // nats per scored token
  double divergence = 0;                   // mean KL(first || second), nats per scored token
  std::int64_t tokens = 0;                 // scored
  int answers = 0, equal_answers = 0;      // greedy; those in which both choose the same in every place
  double choice_gap = 0;  // nats: the most by which the first finds a token that the second prefers, in a place of an
                          // answer, less likely than its own; an even choice may fall either way
};

// A model and what it makes of the rows: its states [N, C] f32 after each of their N tokens, as the head takes them.
struct RowStates {
  const Model& model;
  Arena arena;
  TensorView states;
};

// Runs the model over all rows, in f32. `on_pass` may be empty; called with the tokens done, before each pass and at the
// end. Honours Ctrl-C (Interrupted). The model must outlive the result.
RowStates read_rows(const Model& model, const ComparisonData& data,
                    const std::function<void(std::int64_t tokens)>& on_pass = {});

// Both have read `data`, and have the same vocabulary.
Comparison compare_models(const RowStates& first, const RowStates& second, const ComparisonData& data);

}  // namespace attune
