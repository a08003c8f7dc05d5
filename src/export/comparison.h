// Two models held against each other on the same rows: does the second still say what the first says?
#pragma once

#include <string>
#include <vector>

#include "model/weights.h"
#include "token/encode.h"

namespace attune {

// What is compared: rows whose masked tokens are scored, and prompts that both models continue greedily.
struct ComparisonData {
  std::vector<EncodedConversation> rows;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<TokenId> stops;
  std::string origin;  // "16 held-out rows of runs/pete", for the report
};

struct Comparison {
  double first_loss = 0, second_loss = 0;  // nats per scored token
  double divergence = 0;                   // mean KL(first || second), nats per scored token
  std::int64_t tokens = 0;                 // scored
  int answers = 0, equal_answers = 0;      // greedy, token for token
  double choice_gap = 0;  // nats: the most by which the first finds a token that the second prefers, in a place of the
                          // first's answers, less likely than its own; an even choice may fall either way
};

// Both models have the same vocabulary; the arithmetic is f32. Honours Ctrl-C (Interrupted).
Comparison compare_models(const Model& first, const Model& second, const ComparisonData& data);

}  // namespace attune
