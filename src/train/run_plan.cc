#include "train/run_plan.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "batch/stream.h"
#include "model/tensors.h"
#include "ops/attention.h"
#include "ops/bf16_gemm.h"
#include "ops/bf16_tile.h"
#include "ops/matmul.h"

namespace attune {
namespace {

std::int64_t padded(std::int64_t tokens) { return (tokens + kTokenMultiple - 1) / kTokenMultiple * kTokenMultiple; }

// The base as load_model (or, for full training, load_trainable_model) holds it.
void set_weight_bytes(RunNeeds& needs, const Recipe& recipe) {
  MemoryPlan plan;
  if (recipe.finetune == Finetune::kFull) {
    plan_trainable_weights(plan, needs.config);
    needs.weight_bytes = plan.bytes_of(BufferKind::kWeights);
    return;
  }
  plan_weights(plan, needs.config, held_quantization(needs.config, recipe), needs.stored);
  needs.weight_bytes = plan.bytes_of(BufferKind::kWeights);
  for (const BufferPlan& row : plan.buffers()) {
    if (row.name.starts_with("model.embed_tokens.") && !needs.config.tie_word_embeddings)
      needs.embedding_bytes = row.bytes;
    if (row.name.starts_with("model.layers.0.") && row.name.find("_proj.weight") != std::string::npos) {
      needs.block_bytes += row.bytes;
    }
  }
}

NamedParameter described(const BufferPlan& row) { return {row.name, {nullptr, row.dtype, row.shape}, {}}; }

std::size_t f32_bytes(std::span<const NamedParameter> parameters) {
  std::size_t bytes = 0;
  for (const NamedParameter& p : parameters) bytes += static_cast<std::size_t>(p.value.elements()) * sizeof(float);
  return bytes;
}

// What a run takes beside its planned buffers: the tiles and stacks of its threads, the names of its tensors, the batch, and
// pages of the program that were not yet touched when it was measured.
std::size_t unplanned_bytes(const ModelConfig& config) {
  constexpr std::size_t kOnce = 3 << 19, kThread = 128 << 10;
  std::size_t scratch = attention_scratch_bytes(config.head_dim);
  if (has_fast_bf16()) scratch = std::max(scratch, bf16_gemm_scratch_bytes());
  return kOnce + static_cast<std::size_t>(omp_get_max_threads()) * (kThread + scratch);
}

}  // namespace

DType activation_type(Compute compute) {
  if (compute == Compute::kAuto) return has_fast_bf16() ? DType::kBF16 : DType::kF32;
  if (compute == Compute::kInt8) return has_int8_tiles() ? DType::kBF16 : DType::kF32;
  return compute == Compute::kBF16 ? DType::kBF16 : DType::kF32;
}

Quantization held_quantization(const ModelConfig& config, const Recipe& recipe) {
  const bool quantized_files = config.source.is_object() && config.source.contains("quantization_config");
  return quantized_files ? Quantization::kNF4 : recipe.quantization;
}

RunLength run_length(const TokenizedDataset& train, const TokenizedDataset& valid, const TrainRecipe& recipe) {
  const PackingOptions packing{recipe.max_length, recipe.packing, static_cast<std::uint64_t>(recipe.seed)};
  const BatchStream batches(train, packing, recipe.per_device_train_batch_size);
  RunLength length;
  double epochs = recipe.max_steps > 0 ? std::numeric_limits<double>::infinity() : recipe.num_train_epochs;
  for (std::int64_t epoch = 0; epochs > 0; ++epoch, epochs -= 1) {
    const BatchStream::EpochSize size = batches.size_of_epoch(epoch);
    const std::int64_t steps =
        (size.batches + recipe.gradient_accumulation_steps - 1) / recipe.gradient_accumulation_steps;
    length.pass_tokens = std::max(length.pass_tokens, size.largest_tokens);
    length.steps += epochs >= 1 ? steps : static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(steps)));
    if (recipe.max_steps > 0 && length.steps >= recipe.max_steps) break;
  }
  if (recipe.max_steps > 0) length.steps = recipe.max_steps;
  // Held-out rows go through the same buffers, one row at least.
  for (std::int64_t i = 0; i < valid.rows(); ++i) {
    length.pass_tokens = std::max(length.pass_tokens, padded(valid.length(i)));
  }
  return length;
}

std::int64_t most_pass_tokens(const TrainRecipe& recipe) {
  return padded(recipe.per_device_train_batch_size * recipe.max_length);
}

RunNeeds run_needs(const Model& model, const Adapter* adapter, std::int64_t pass_tokens) {
  RunNeeds needs;
  needs.config = model.config;
  if (adapter != nullptr) needs.ranks = lora_ranks_of(model);
  needs.parameters = parameters_to_train(model, adapter);
  needs.weight_bytes = model.weight_bytes;
  needs.stored = model.embedding.dtype;
  needs.pass_tokens = pass_tokens;
  return needs;
}

RunNeeds run_needs(const ModelConfig& config, DType stored, const Recipe& recipe, std::int64_t pass_tokens) {
  RunNeeds needs;
  needs.config = config;
  needs.stored = stored;
  set_weight_bytes(needs, recipe);
  needs.pass_tokens = pass_tokens;
  MemoryPlan plan;
  if (recipe.finetune == Finetune::kFull) {
    plan_trainable_weights(plan, config);
  } else {
    plan_adapter(plan, config, recipe.lora, true);
    needs.ranks.resize(static_cast<std::size_t>(config.layers));
    for (const AdapterTarget& target : find_targets(config, recipe.lora, "lora")) {
      needs.ranks[static_cast<std::size_t>(target.layer)][static_cast<std::size_t>(target.slot)] = target.rank;
    }
  }
  for (const BufferPlan& row : plan.buffers()) {
    if (row.kind != BufferKind::kGradients) needs.parameters.push_back(described(row));
  }
  return needs;
}

std::int64_t Schedule::recomputed_blocks() const {
  return std::count_if(keep.begin(), keep.end(), [](Keep k) { return k != Keep::kAll; });
}

PassOptions pass_options(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule) {
  const bool lora = !needs.ranks.empty();
  PassOptions options;
  options.tokens = needs.pass_tokens;
  options.positions = recipe.train.max_length;
  options.act = activation_type(recipe.compute);
  options.backward = true;
  options.full_training = !lora;
  options.keep = schedule.keep;
  options.mlp_rows = schedule.mlp_rows;
  options.head_rows = schedule.head_rows;
  options.lora_ranks = needs.ranks;
  options.near_base = recipe.train.kl_to_base > 0;
  options.lora_dropout = lora && recipe.lora.lora_dropout > 0;
  return options;
}

RunPlan plan_run(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule) {
  RunPlan plan;
  plan.schedule = schedule;
  plan.activations = plan_activations(plan.arena, needs.config, pass_options(needs, recipe, schedule));
  plan.optimizer = plan_optimizer(plan.arena, needs.parameters, schedule.optimizer);
  plan.arena.place();
  const std::size_t trained = f32_bytes(needs.parameters);
  RunMemory& memory = plan.memory;
  memory.program = needs.program_bytes > 0 ? needs.program_bytes + unplanned_bytes(needs.config) : 0;
  memory.streamed = (schedule.stream_embedding ? needs.embedding_bytes : 0) +
                    static_cast<std::size_t>(schedule.streamed_blocks) * needs.block_bytes;
  const std::size_t window =
      std::max(schedule.stream_embedding ? std::min(kStreamedLookupBytes, needs.embedding_bytes) : std::size_t{0},
               schedule.streamed_blocks > 0 ? needs.block_bytes : std::size_t{0});
  memory.weights = needs.weight_bytes - memory.streamed + window;
  memory.adapter = needs.ranks.empty() ? 0 : trained;
  memory.gradients = trained;
  memory.arena = plan.arena.arena_bytes();
  memory.recomputed_blocks = schedule.recomputed_blocks();
  return plan;
}

std::size_t budget_of(const RunNeeds& needs, const Recipe& recipe) {
  return recipe.memory > 0 ? recipe.memory : needs.machine_bytes;
}

bool fits(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe) {
  const std::size_t budget = budget_of(needs, recipe);
  return budget == 0 || plan.memory.total() <= budget;
}

}  // namespace attune
