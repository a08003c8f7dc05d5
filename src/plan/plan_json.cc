#include "plan/plan_json.h"

#include <algorithm>
#include <set>

namespace attune {
namespace {

Json shape_json(const Shape& shape) {
  Json sizes = Json::array();
  for (int i = 0; i < shape.rank; ++i) sizes.push_back(shape[i]);
  return sizes;
}

Json buffer_json(const BufferPlan& buffer) {
  Json lifetime = "always";
  if (buffer.lifetime.end != Lifetime{}.end) lifetime = {buffer.lifetime.begin, buffer.lifetime.end};
  return {{"name", buffer.name},
          {"kind", name_of(buffer.kind)},
          {"dtype", name_of(buffer.dtype)},
          {"shape", shape_json(buffer.shape)},
          {"bytes", buffer.bytes},
          {"lifetime", lifetime}};
}

Json model_json(const Plan& plan) {
  const ModelConfig& c = plan.model.config;
  return {{"name", plan.model.name},        {"num_hidden_layers", c.layers},
          {"hidden_size", c.hidden_size},   {"intermediate_size", c.intermediate_size},
          {"num_attention_heads", c.heads}, {"num_key_value_heads", c.kv_heads},
          {"vocab_size", c.vocab_size},     {"dtype", name_of(plan.model.stored)},
          {"parameters", plan.parameters},  {"linear_parameters", plan.linear_parameters}};
}

Json run_json(const Plan& plan) {
  const RunMemory& memory = plan.run.memory;
  const MemoryPlan& arena = plan.run.arena;
  const auto activations = [](const RunPlan& run) { return run.arena.bytes_of(BufferKind::kActivations); };
  return {{"program", memory.program},
          {"weights", memory.weights},
          {"weights_on_disk", memory.streamed},
          {"adapter", memory.adapter},
          {"gradients", memory.gradients},
          {"arena", memory.arena},
          {"optimizer", arena.bytes_of(BufferKind::kOptimizer)},
          {"activations", activations(plan.run)},
          {"activations_all_kept", activations(plan.kept)},
          {"activations_all_recomputed", activations(plan.recomputed)},
          {"scratch", arena.bytes_of(BufferKind::kScratch)},
          {"recomputed_blocks", memory.recomputed_blocks}};
}

Json schedule_json(const Schedule& schedule) {
  Json keep = Json::array();
  for (const Keep k : schedule.keep) keep.push_back(name_of(k));
  return {{"keep", keep},
          {"mlp_rows", schedule.mlp_rows},
          {"head_rows", schedule.head_rows},
          {"optim", name_of(schedule.optimizer)},
          {"stream_embedding", schedule.stream_embedding},
          {"streamed_blocks", schedule.streamed_blocks}};
}

Json data_json(const PlanData& data) {
  return {{"train_conversations", data.train_conversations},
          {"valid_conversations", data.valid_conversations},
          {"tokens_per_epoch", data.tokens},
          {"trained_tokens_per_epoch", data.trained_tokens},
          {"longest", data.longest},
          {"cut_rows", data.cut_rows},
          {"cut_tokens", data.cut_tokens},
          {"untrained_rows", data.untrained_rows},
          {"steps", data.steps}};
}

}  // namespace

std::vector<std::string> adapted_modules(const Plan& plan) {
  std::vector<std::string> names;
  for (int slot = 0; slot < kSlots; ++slot) {
    const auto has_slot = [&](const AdapterTarget& target) { return target.slot == static_cast<Slot>(slot); };
    if (std::none_of(plan.targets.begin(), plan.targets.end(), has_slot)) continue;
    const std::string_view name = module_name(static_cast<Slot>(slot));
    names.emplace_back(name.substr(name.find('.') + 1));
  }
  return names;
}

std::int64_t adapted_blocks(const Plan& plan) {
  std::set<std::int64_t> layers;
  for (const AdapterTarget& target : plan.targets) layers.insert(target.layer);
  return static_cast<std::int64_t>(layers.size());
}

Json to_json(const MachineProfile& machine) {
  const MachineSpeed& speed = machine.speed;
  return {{"name", machine.name},
          {"cores", machine.cores},
          {"gemm_gflops", speed.flops / 1e9},
          {"attention_gflops", speed.attention / 1e9},
          {"memory_gb_per_second", speed.bandwidth / 1e9},
          {"decode_gweights_per_second", speed.decode / 1e9},
          {"disk_gb_per_second", speed.disk / 1e9},
          {"price_per_hour", machine.price_per_hour}};
}

Json to_json(const Estimate& estimate) {
  const PassCost& pass = estimate.pass;
  Json json = {{"tokens_per_second", estimate.tokens_per_second},
               {"pass_seconds",
                {{"products", pass.products},
                 {"attention", pass.attention},
                 {"memory", pass.memory},
                 {"decode", pass.decode},
                 {"recompute", pass.recompute},
                 {"streaming", pass.streaming},
                 {"total", pass.total()}}},
               {"bytes_from_disk", estimate.streamed_bytes}};
  if (estimate.seconds) {
    json["seconds"] = *estimate.seconds;
    json["money"] = estimate.money;
  }
  return json;
}

Json to_json(const std::vector<SweepRow>& sweep) {
  Json rows = Json::array();
  for (const SweepRow& row : sweep) {
    rows.push_back({{"budget_bytes", row.budget},
                    {"planned_peak_bytes", row.run.memory.total()},
                    {"schedule", schedule_json(row.run.schedule)},
                    {"tokens_per_second", row.estimate.tokens_per_second}});
  }
  return rows;
}

Json to_json(const Plan& plan, bool buffers) {
  Json json = {{"model", model_json(plan)},
               {"weight_bytes",
                {{"f32", plan.weights.f32},
                 {"bf16", plan.weights.bf16},
                 {"int8", plan.weights.int8},
                 {"nf4", plan.weights.nf4}}},
               {"trained_parameters", plan.trained_parameters},
               {"trained_share", plan.trained_share()}};
  if (!plan.targets.empty()) {
    json["adapter"] = {{"r", plan.recipe.lora.r},
                       {"lora_alpha", plan.recipe.lora.lora_alpha},
                       {"modules", adapted_modules(plan)},
                       {"blocks", adapted_blocks(plan)}};
  }
  const TrainRecipe& train = plan.recipe.train;
  json["pass"] = {{"per_device_train_batch_size", train.per_device_train_batch_size},
                  {"max_length", train.max_length},
                  {"tokens", plan.needs.pass_tokens},
                  {"activation_dtype", name_of(activation_type(plan.recipe.compute))}};
  json["bytes"] = run_json(plan);
  json["schedule"] = schedule_json(plan.run.schedule);
  json["planned_peak_bytes"] = plan.run.memory.total();
  if (plan.recipe.memory > 0) {
    json["budget_bytes"] = plan.recipe.memory;
    json["fits"] = plan.fits();
    if (!plan.fits()) {
      const auto fit = nearest_fit(plan.needs, plan.recipe);
      json["nearest_fit"] = fit ? Json{{"set", fit->settings}, {"bytes", fit->bytes}} : Json(nullptr);
    }
  }
  if (plan.data) json["data"] = data_json(*plan.data);
  if (buffers) {
    json["buffers"] = Json::array();
    for (const BufferPlan& buffer : plan_buffers(plan)) json["buffers"].push_back(buffer_json(buffer));
  }
  return json;
}

}  // namespace attune
