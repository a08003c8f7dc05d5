// The end of a pass: tokens are chosen from the logits, guesses are kept or dropped, and the sinks are told.
#include <algorithm>
#include <cmath>

#include "generate/engine.h"
#include "generate/engine_pass.h"
#include "generate/sequence.h"
#include "ops/parallel.h"

namespace attune {
namespace {

float log_sum_exp(std::span<const float> logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - highest));
  return highest + static_cast<float>(std::log(sum));
}

TokenChoice describe(TokenId token, std::span<const float> logits, const std::optional<int>& top) {
  TokenChoice choice;
  choice.token = token;
  if (!top) return choice;
  const float norm = log_sum_exp(logits);
  choice.logprob = logits[static_cast<std::size_t>(token)] - norm;
  const auto count = std::min(static_cast<std::size_t>(*top), logits.size());
  std::vector<TokenId> order;
  // A short list kept sorted: `top` is 20 at most.
  const auto greater = [&](TokenId a, TokenId b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  for (TokenId id = 0; id < std::ssize(logits) && count > 0; ++id) {
    if (order.size() == count && !greater(id, order.back())) continue;
    if (order.size() == count) order.pop_back();
    order.insert(std::upper_bound(order.begin(), order.end(), id, greater), id);
  }
  for (const TokenId id : order) choice.top.push_back({id, logits[static_cast<std::size_t>(id)] - norm});
  return choice;
}

}  // namespace

void Engine::choose(Pass& pass, PassReport& report) {
  std::vector<Pass::Part> parts = pass.answers;
  for (const Pass::Part& part : pass.prompts) {
    Sequence& sequence = *part.sequence;
    report.prompt_tokens += part.count;
    sequence.cached += part.count;
    if (options_.share_prefixes && sequence.cached % kPageTokens == 0) {
      const auto begin = static_cast<std::size_t>(sequence.cached - kPageTokens);
      sequence.prefix = pool_.learn(sequence.pages[begin / kPageTokens], sequence.prefix,
                                    std::span(sequence.tokens).subspan(begin, kPageTokens));
    }
    if (part.logits < 0) continue;
    sequence.sink->on_prompt(sequence.known);
    parts.push_back(part);
  }

  const TensorView logits = activations_.head_logits;
  const auto row = [&](std::int64_t i) {
    return std::span<const float>(logits.slice_rows(i, 1).as<float>(), static_cast<std::size_t>(logits.columns()));
  };
  const auto stops = [](const Sequence& sequence, TokenId token) {
    const std::vector<TokenId>& list = sequence.request.stop_tokens;
    return std::find(list.begin(), list.end(), token) != list.end();
  };
  // Every sequence samples from its own state, so they may do it at once. A guess that the model would have chosen is
  // followed by the choice after it.
  parallel_tasks(std::ssize(parts), [&](std::int64_t i) {
    const Pass::Part& part = parts[static_cast<std::size_t>(i)];
    Sequence& sequence = *part.sequence;
    sequence.chosen.clear();
    for (std::size_t n = 0;; ++n) {
      const auto values = row(part.logits + static_cast<std::int64_t>(n));
      const TokenId token = sequence.sampler.sample(values);
      sequence.chosen.push_back(describe(token, values, sequence.request.top_logprobs));
      if (n >= sequence.guess.size() || sequence.guess[n] != token || stops(sequence, token)) break;
    }
  });

  for (const Pass::Part& part : parts) {
    Sequence& sequence = *part.sequence;
    ++report.answers;
    const std::int64_t guessed = std::ssize(sequence.guess), accepted = std::ssize(sequence.chosen) - 1;
    if (guessed > 0) sequence.pace.report(guessed, accepted);
    report.guessed += guessed;
    report.accepted += accepted;
    // A sequence that answers has run its last token and the accepted guesses; a prompt has been counted above.
    if (part.first < pass.single_rows) sequence.cached += 1 + accepted;
    for (const TokenChoice& choice : sequence.chosen) {
      if (stops(sequence, choice.token)) {
        finish(sequence, FinishReason::kStop);
        break;
      }
      sequence.tokens.push_back(choice.token);
      ++report.answer_tokens;
      if (!sequence.sink->on_token(choice)) {
        finish(sequence, FinishReason::kInterrupted);
        break;
      }
      if (sequence.answer_tokens() >= sequence.request.max_new_tokens) {
        finish(sequence, FinishReason::kLength);
        break;
      }
    }
    sequence.guess.clear();
  }
}

}  // namespace attune
