#include "train/run_cost.h"

#include <algorithm>

#include "model/tensors.h"

namespace attune {
namespace {

// Weights and LoRA parameters of some linears of a block, and the columns of what those with adapters read and make.
struct Linears {
  double weights = 0, pairs = 0, adapted = 0;
};

Linears linears_of(const RunNeeds& needs, std::int64_t block, std::initializer_list<Slot> slots) {
  Linears sum;
  for (const Slot slot : slots) {
    const Shape shape = linear_shape(needs.config, slot);
    sum.weights += static_cast<double>(shape.elements());
    if (needs.ranks.empty()) continue;
    const std::int64_t rank = needs.ranks[static_cast<std::size_t>(block)][static_cast<std::size_t>(slot)];
    sum.pairs += static_cast<double>(rank * (shape[0] + shape[1]));
    if (rank > 0) sum.adapted += static_cast<double>(shape[0] + shape[1]);
  }
  return sum;
}

constexpr auto kAttentionLinears = {Slot::kQ, Slot::kK, Slot::kV, Slot::kO};
constexpr auto kMlpLinears = {Slot::kGate, Slot::kUp, Slot::kDown};

struct Coster {
  const RunNeeds& needs;
  const Recipe& recipe;
  const PassWork& work;
  const MachineSpeed& speed;

  const ModelConfig& c() const { return needs.config; }
  double act_bytes() const { return activation_type(recipe.compute) == DType::kF32 ? 4 : 2; }

  // Weights whose format is not that of the activations are expanded for every use.
  bool decodes_blocks() const {
    if (needs.ranks.empty()) return false;
    return held_quantization(c(), recipe) != Quantization::kNone || needs.stored != activation_type(recipe.compute);
  }
  bool decodes_head() const { return !needs.ranks.empty() && needs.stored != activation_type(recipe.compute); }
  double decode(double weights) const { return weights * work.passes / speed.decode; }
  double products(const Linears& linears) const {
    return 2 * work.tokens * (linears.weights + linears.pairs) / speed.flops;
  }
  // Reading and writing so many activations of each token.
  double memory(double columns) const { return work.tokens * columns * act_bytes() / speed.bandwidth; }
  double attention() const { return 4 * work.pairs * static_cast<double>(c().q_size()) / speed.attention; }
  // Times that the MLP's weights are expanded in a pass, forward or backward.
  double mlp_chunks(const Schedule& schedule) const {
    const double tokens = work.tokens / work.passes;
    return schedule.mlp_rows == 0 ? 1 : std::max(1.0, tokens / static_cast<double>(schedule.mlp_rows));
  }

  double recompute(std::int64_t block, Keep keep, double chunks) const {
    const auto hidden = static_cast<double>(c().hidden_size), inner = static_cast<double>(c().intermediate_size);
    double seconds = 0;
    if (keep >= Keep::kProducts) seconds += memory(4 * hidden + 3 * inner);
    if (keep >= Keep::kAttention) {
      const Linears gate_up = linears_of(needs, block, {Slot::kGate, Slot::kUp});
      seconds += products(gate_up) + (decodes_blocks() ? chunks * decode(gate_up.weights) : 0);
    }
    if (keep >= Keep::kContext) {
      const Linears side = linears_of(needs, block, kAttentionLinears);
      seconds += products(side) + (decodes_blocks() ? decode(side.weights) : 0) + memory(6 * hidden);
    }
    if (keep >= Keep::kInput) seconds += attention();
    return seconds;
  }
};

}  // namespace

double attended_pairs(const ModelConfig& config, std::int64_t sequence_tokens) {
  const auto length = static_cast<double>(sequence_tokens);
  const auto window = static_cast<double>(config.full_attention_layers > 0 ? 0 : config.sliding_window);
  if (window == 0 || length <= window) return length * (length + 1) / 2;
  return window * (window + 1) / 2 + (length - window) * window;
}

PassWork pass_work(const ModelConfig& config, std::int64_t tokens, std::int64_t longest_sequence) {
  PassWork work;
  work.tokens = work.trained_tokens = static_cast<double>(tokens);
  const std::int64_t length = std::max<std::int64_t>(1, std::min(tokens, longest_sequence));
  work.pairs = attended_pairs(config, length) * static_cast<double>(tokens) / static_cast<double>(length);
  return work;
}

double recompute_seconds(const RunNeeds& needs, const Recipe& recipe, std::int64_t block, Keep keep,
                         const PassWork& work, const MachineSpeed& speed) {
  return Coster{needs, recipe, work, speed}.recompute(block, keep, 1);
}

PassCost pass_cost(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule, const PassWork& work,
                   const MachineSpeed& speed) {
  const Coster coster{needs, recipe, work, speed};
  const ModelConfig& c = needs.config;
  const bool full = needs.ranks.empty();
  const auto hidden = static_cast<double>(c.hidden_size), inner = static_cast<double>(c.intermediate_size);
  const auto heads = static_cast<double>(c.q_size() + 2 * c.kv_size());
  const double chunks = coster.mlp_chunks(schedule);
  const double near = recipe.train.kl_to_base > 0 ? 1 : 0;  // one more forward pass, of the base alone
  PassCost cost;
  for (std::int64_t block = 0; block < c.layers; ++block) {
    const Linears side = linears_of(needs, block, kAttentionLinears), mlp = linears_of(needs, block, kMlpLinears);
    // Forward, and backward to the inputs; adapters (and in full training weights) have gradients of their own.
    cost.products += ((full ? 3 : 2) + near) * coster.products({side.weights + mlp.weights, 0});
    // So thin that reading the activations, twice each, may take longer.
    cost.products +=
        std::max(3 * coster.products({0, side.pairs + mlp.pairs}), 2 * coster.memory(side.adapted + mlp.adapted));
    cost.attention += (3 + near) * coster.attention();
    cost.memory += coster.memory(22 * hidden + 9 * heads + 12 * inner);
    if (coster.decodes_blocks()) {
      cost.decode += (2 + near) * coster.decode(side.weights + mlp.weights);
      cost.recompute += 2 * (chunks - 1) * coster.decode(mlp.weights);
    }
    const auto index = static_cast<std::size_t>(block);
    const Keep keep = index < schedule.keep.size() ? schedule.keep[index] : Keep::kAll;
    cost.recompute += coster.recompute(block, keep, chunks);
  }
  const double head = hidden * static_cast<double>(c.vocab_size);
  cost.products += ((full ? 6 : 4) + 2 * near) * work.trained_tokens * head / speed.flops;
  // Logits are written, softened and multiplied; a write also fetches what it replaces.
  cost.memory += 20 * work.trained_tokens * static_cast<double>(c.vocab_size) / speed.bandwidth;
  // Every chunk of the head reads all of its weights, forward and backward.
  const double head_chunks = std::max(1.0, work.trained_tokens / work.passes / static_cast<double>(schedule.head_rows));
  const double read_head = (2 + near) * work.passes * head * coster.act_bytes() / speed.bandwidth;
  cost.memory += read_head;
  cost.recompute += (head_chunks - 1) * read_head;
  if (coster.decodes_head()) {
    cost.decode += (2 + near) * coster.decode(head);
    cost.recompute += 2 * (head_chunks - 1) * coster.decode(head);
  }
  const auto streamed = static_cast<double>(schedule.streamed_blocks) * static_cast<double>(needs.block_bytes);
  cost.streaming = (2 + near) * streamed * work.passes / speed.disk;
  return cost;
}

}  // namespace attune
