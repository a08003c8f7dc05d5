#include "train/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"

namespace attune {
namespace {

constexpr int kStateVersion = 2;
constexpr std::string_view kPrefix = "step-";

// The finished checkpoints, oldest first.
std::vector<fs::path> finished_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kPrefix) && fs::exists(entry.path() / "state.json")) found.push_back(entry.path());
  }
  const auto step_of = [](const fs::path& path) { return std::atoll(path.filename().c_str() + kPrefix.size()); };
  std::sort(found.begin(), found.end(), [&](const fs::path& a, const fs::path& b) { return step_of(a) < step_of(b); });
  return found;
}

Json state_to_json(const TrainState& state) {
  Json json = {{"version", kStateVersion},       {"step", state.step},
               {"passes", state.passes},         {"tokens", state.tokens},
               {"epoch", state.position.epoch},  {"row", state.position.row},
               {"skipped", state.skipped},       {"loss_steps", state.losses.steps},
               {"loss_mean", state.losses.mean}, {"loss_variance", state.losses.variance},
               {"best_step", state.best.step}};
  if (state.best.step >= 0) {  // an infinity is no JSON
    json["best_loss"] = state.best.loss;
    json["best_since"] = state.best.since;
  }
  return json;
}

TrainState state_from_json(const Json& json, const std::string& where) {
  const auto number = [&](const char* key) { return json_require<std::int64_t>(json, key, where); };
  if (number("version") != kStateVersion) {
    throw Unsupported("[{}] checkpoint version {}, this build reads {}", where, number("version"), kStateVersion);
  }
  TrainState state;
  state.step = number("step");
  state.passes = static_cast<std::uint64_t>(number("passes"));
  state.tokens = number("tokens");
  state.position = {number("epoch"), number("row")};
  state.skipped = number("skipped");
  const auto real = [&](const char* key) { return json_require<double>(json, key, where); };
  state.losses = {number("loss_steps"), real("loss_mean"), real("loss_variance")};
  if (number("best_step") >= 0) state.best = {number("best_step"), real("best_loss"), number("best_since")};
  return state;
}

void read_into(TensorView to, const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) throw BadFile("[{}] tensor {} is missing", file.path().string(), name);
  if (tensor->dtype != to.dtype || !tensor->has_shape(to.shape)) {
    throw BadFile("[{}] tensor {}: expected {} {}, got {} {}", file.path().string(), name, name_of(to.dtype),
                  to_string(to.shape), tensor->dtype_name, shape_text(tensor->shape));
  }
  std::memcpy(to.data, tensor->bytes.data(), to.bytes());
}

}  // namespace

fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step) {
  return checkpoints / fmt::format("{}{:06}", kPrefix, step);
}

fs::path save_checkpoint(const fs::path& checkpoints, const Model& model, const Adapter* adapter,
                         std::span<const TrainedParameter> parameters, const TrainState& state) {
  const fs::path path = checkpoint_path(checkpoints, state.step);
  if (fs::exists(path)) return path;  // interrupted right after a save: the same step is the same bytes
  AtomicFolder folder(path);
  if (adapter != nullptr) {
    adapter->save(folder.temporary());
  } else {
    save_model(folder.temporary(), model, DType::kF32);
  }
  std::vector<TensorSource> moments;
  for (const TrainedParameter& p : parameters) {
    for (const NamedState& part : state_of(p)) {
      moments.push_back(tensor_source(part.name, part.value, part.value.dtype));
    }
  }
  write_safetensors(folder.temporary() / "optimizer.safetensors", std::move(moments));
  write_file_atomic(folder.temporary() / "state.json", state_to_json(state).dump(2) + "\n");
  folder.commit();
  return path;
}

std::optional<fs::path> latest_checkpoint(const fs::path& checkpoints) {
  const auto found = finished_checkpoints(checkpoints);
  if (found.empty()) return std::nullopt;
  return found.back();
}

void prune_checkpoints(const fs::path& checkpoints, std::int64_t limit, std::int64_t best) {
  if (limit <= 0) return;
  const auto found = finished_checkpoints(checkpoints);
  for (std::size_t i = 0; i + static_cast<std::size_t>(limit) < found.size(); ++i) {
    if (found[i] == checkpoint_path(checkpoints, best)) continue;
    // state.json goes first: a folder without it is not a checkpoint, however far the removal came.
    std::error_code ignored;
    fs::remove(found[i] / "state.json", ignored);
    fs::remove_all(found[i], ignored);
  }
}

OptimizerKind optimizer_of_checkpoint(const fs::path& checkpoint) {
  const SafetensorsFile moments(checkpoint / "optimizer.safetensors");
  for (const StoredTensor& tensor : moments.tensors()) {
    if (!tensor.name.ends_with(".exp_avg")) continue;
    return tensor.dtype == DType::kU8     ? OptimizerKind::kAdamW8Bit
           : tensor.dtype == DType::kBF16 ? OptimizerKind::kAdamWBf16
                                          : OptimizerKind::kAdamW;
  }
  throw BadFile("[{}] holds no moment of AdamW", moments.path().string());
}

TrainState load_checkpoint(const fs::path& checkpoint, std::span<const TrainedParameter> parameters) {
  const fs::path adapter = checkpoint / "adapter_model.safetensors";
  const SafetensorsFile values(fs::exists(adapter) ? adapter : checkpoint / "model.safetensors");
  const SafetensorsFile moments(checkpoint / "optimizer.safetensors");
  for (const TrainedParameter& p : parameters) {
    read_into(p.value, values, p.name);
    for (const NamedState& part : state_of(p)) read_into(part.value, moments, part.name);
  }
  const std::string where = checkpoint / "state.json";
  return state_from_json(parse_json(read_file(where), where), where);
}

}  // namespace attune
