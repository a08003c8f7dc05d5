#include "model/flops.h"

#include <algorithm>

namespace attune {
namespace {

struct Size {
  std::int64_t inputs, outputs;
};

Size linear_size(const ModelConfig& c, Slot slot) {
  switch (slot) {
    case Slot::kQ:
      return {c.hidden_size, c.q_size()};
    case Slot::kK:
    case Slot::kV:
      return {c.hidden_size, c.kv_size()};
    case Slot::kO:
      return {c.q_size(), c.hidden_size};
    case Slot::kGate:
    case Slot::kUp:
      return {c.hidden_size, c.intermediate_size};
    case Slot::kDown:
      return {c.intermediate_size, c.hidden_size};
  }
  return {};
}

// Pairs (query, key) that a causal sequence of `length` tokens attends, with a window or without (0).
double attended_pairs(double length, double window) {
  if (window == 0 || length <= window) return length * (length + 1) / 2;
  return window * (window + 1) / 2 + (length - window) * window;
}

}  // namespace

Work necessary_work(const ModelConfig& config, const LoraRanks& ranks, bool full_training,
                    std::span<const std::int32_t> sequence_starts, std::int64_t supervised_tokens) {
  const double tokens = sequence_starts.back();
  Work work;
  const double linear = 2.0 * tokens * static_cast<double>(linear_parameter_count(config));
  work.forward += linear;
  work.backward += full_training ? 2 * linear : linear;

  const double head = 2.0 * static_cast<double>(supervised_tokens * config.hidden_size * config.vocab_size);
  work.forward += head;
  work.backward += full_training ? 2 * head : head;

  for (const auto& block : ranks) {
    for (int slot = 0; slot < kSlots; ++slot) {
      const Size size = linear_size(config, static_cast<Slot>(slot));
      const double pair =
          2.0 * tokens * static_cast<double>(block[static_cast<std::size_t>(slot)] * (size.inputs + size.outputs));
      work.forward += pair;
      work.backward += 2 * pair;
    }
  }
  for (std::int64_t block = 0; block < config.layers; ++block) {
    const auto window = static_cast<double>(block < config.full_attention_layers ? 0 : config.sliding_window);
    double pairs = 0;
    for (std::size_t s = 0; s + 1 < sequence_starts.size(); ++s) {
      pairs += attended_pairs(sequence_starts[s + 1] - sequence_starts[s], window);
    }
    const double product = 2.0 * pairs * static_cast<double>(config.q_size());
    work.forward += 2 * product;
    work.backward += 4 * product;
  }
  return work;
}

}  // namespace attune
