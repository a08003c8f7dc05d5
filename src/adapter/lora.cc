#include "adapter/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "adapter/peft_config.h"
#include "base/error.h"
#include "base/rng.h"
#include "format/safetensors.h"
#include "model/checkpoint.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 24;

struct Row {
  std::string name;
  BufferId value, gradient;
};

// Two rows per target, A then B.
std::vector<Row> plan_rows(MemoryPlan& plan, const std::vector<AdapterTarget>& targets, bool trainable) {
  std::vector<Row> rows;
  for (const AdapterTarget& target : targets) {
    for (const bool is_a : {true, false}) {
      const Shape shape = is_a ? Shape{target.rank, target.inputs} : Shape{target.outputs, target.rank};
      Row row;
      row.name = fmt::format("base_model.model.{}.lora_{}.weight", target.path, is_a ? 'A' : 'B');
      row.value = plan.add(row.name, BufferKind::kAdapter, DType::kF32, shape);
      if (trainable) row.gradient = plan.add(row.name + ".gradient", BufferKind::kGradients, DType::kF32, shape);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

// PEFT: kaiming-uniform with a = sqrt(5), which is U(-1/sqrt(inputs), 1/sqrt(inputs)); or N(0, 1/r^2).
void draw_a(const TensorView& a, bool gaussian, Rng rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(a.columns()));
  const double deviation = 1.0 / static_cast<double>(a.rows());
  float* const values = a.as<float>();
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    values[i] = static_cast<float>(gaussian ? rng.normal() * deviation : (2.0 * rng.uniform() - 1.0) * bound);
  }
}

constexpr const char* kAnotherBase = "the adapter was made for another base model";

void check_tensor(const SafetensorsFile& file, const AdapterParameter& parameter) {
  const StoredTensor* const stored = file.find(parameter.name);
  if (stored == nullptr) {
    throw BadFile("[{}] tensor {} is missing; {}", file.path().string(), parameter.name, kAnotherBase);
  }
  if (!stored->has_shape(parameter.value.shape)) {
    throw BadFile("[{}: tensor {}] expected shape {}, got {}; {}", file.path().string(), parameter.name,
                  to_string(parameter.value.shape), shape_text(stored->shape), kAnotherBase);
  }
  if (stored->dtype != DType::kF32 && stored->dtype != DType::kBF16 && stored->dtype != DType::kF16) {
    throw Unsupported("[{}: tensor {}] expected F32, BF16 or F16, got {}", file.path().string(), parameter.name,
                      stored->dtype_name);
  }
}

}  // namespace

void plan_adapter(MemoryPlan& plan, const ModelConfig& model, const LoraConfig& config, bool trainable) {
  plan_rows(plan, find_targets(model, config, "lora"), trainable);
}

Adapter::Adapter(const ModelConfig& model, const LoraConfig& config, bool trainable, const std::string& where)
    : config_(config), targets_(find_targets(model, config, where)) {
  MemoryPlan plan;
  std::vector<Row> rows = plan_rows(plan, targets_, trainable);
  plan.place();
  arena_ = Arena(plan);
  for (Row& row : rows) parameters_.push_back({std::move(row.name), arena_.view(row.value), arena_.view(row.gradient)});
}

Adapter Adapter::create(Model& model, const LoraConfig& config, std::uint64_t seed, bool trainable) {
  if (config.init_lora_weights != "true" && config.init_lora_weights != "gaussian") {
    throw UserError("[lora] init_lora_weights: expected true or gaussian, got {}", config.init_lora_weights);
  }
  Adapter adapter(model.config, config, trainable, "lora");
  for (std::size_t i = 0; i < adapter.targets_.size(); ++i) {
    draw_a(adapter.parameters_[2 * i].value, config.init_lora_weights == "gaussian", {.seed = seed, .stream = i});
  }
  adapter.attach(model);
  return adapter;
}

Adapter Adapter::load(Model& model, const fs::path& folder, bool trainable) {
  if (!fs::is_directory(folder)) throw UserError("[{}] no such folder; expected a PEFT adapter", folder.string());
  const fs::path config_path = folder / "adapter_config.json", weights_path = folder / "adapter_model.safetensors";
  const std::string where = config_path.string();
  const LoraConfig config = lora_config_from_json(parse_json(read_file(config_path, kMaxConfigBytes), where), where);
  const SafetensorsFile file(weights_path);
  Adapter adapter(model.config, config, trainable, where);
  std::set<std::string_view> names;
  for (const AdapterParameter& parameter : adapter.parameters_) {
    check_tensor(file, parameter);
    names.insert(parameter.name);
  }
  for (const StoredTensor& stored : file.tensors()) {
    if (!names.contains(stored.name)) {
      throw BadFile("[{}: tensor {}] belongs to no module that adapter_config.json targets in this model; {}",
                    weights_path.string(), stored.name, kAnotherBase);
    }
  }
  for (const AdapterParameter& parameter : adapter.parameters_)
    read_as_f32(parameter.value, *file.find(parameter.name));
  adapter.attach(model);
  return adapter;
}

void Adapter::save(const fs::path& folder) const {
  std::vector<TensorSource> tensors;
  for (const AdapterParameter& parameter : parameters_) {
    tensors.push_back(tensor_source(parameter.name, parameter.value, DType::kF32));
  }
  write_safetensors(folder / "adapter_model.safetensors", std::move(tensors));
  write_file_atomic(folder / "adapter_config.json", lora_config_to_json(config_).dump(2) + "\n");
}

void Adapter::attach(Model& model) const {
  detach(model);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const AdapterTarget& target = targets_[i];
    const AdapterParameter &a = parameters_[2 * i], &b = parameters_[2 * i + 1];
    model.blocks[static_cast<std::size_t>(target.layer)][target.slot].lora = {
        .rank = target.rank,
        .scale = target.scale,
        .dropout = static_cast<float>(config_.lora_dropout),
        .a = a.value,
        .b = b.value,
        .da = a.gradient,
        .db = b.gradient,
        .stream = i};
  }
}

void Adapter::detach(Model& model) {
  for (Block& block : model.blocks) {
    for (Linear& linear : block.linears) linear.lora = {};
  }
}

std::int64_t Adapter::parameter_count() const {
  std::int64_t count = 0;
  for (const AdapterParameter& parameter : parameters_) count += parameter.value.elements();
  return count;
}

}  // namespace attune
