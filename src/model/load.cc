// Loading a frozen model: plan what must be made, allocate it once, then stream the tensors through one by
// one.
#include <cstring>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/load_gguf.h"
#include "model/quantize_weight.h"
#include "model/weights_plan.h"

namespace attune {
namespace {

struct FrozenStorage {
  SafetensorsFolder folder;
  Arena arena;
  std::vector<Arena> streamed;  // linears of the first blocks, in files
};

// What one tensor needs in the arena; nothing when it is used straight from the mapped file.
struct Rows {
  WeightRows made;  // quantized or converted here
  BufferId copy;    // mapped at an address that does not suit its type
  BufferId nf4_absmax, nf4_nested_absmax,
      nf4_map;  // f32 parts of bitsandbytes' tensors, which may lie anywhere
};

Rows plan_rows(MemoryPlan& plan, const CheckpointTensor& entry, Quantization quantization) {
  Rows rows;
  const auto add = [&](const StoredTensor& part, DType dtype, Shape shape) {
    return plan.add(part.name, BufferKind::kWeights, dtype, shape);
  };
  const auto floats = [&](const StoredTensor& part) {
    return add(part, DType::kF32, {std::ssize(part.bytes) / std::int64_t{sizeof(float)}});
  };
  if (entry.nf4) {
    if (entry.nf4->nested_absmax == nullptr) {
      rows.nf4_absmax = floats(*entry.nf4->absmax);
    } else {
      rows.nf4_nested_absmax = floats(*entry.nf4->nested_absmax);
      rows.nf4_map = floats(*entry.nf4->nested_map);
    }
  } else if (is_converted(entry.tensor, quantization)) {
    rows.made = plan_weight(plan, entry.tensor, quantization, *entry.stored->dtype);
  } else if (!entry.stored->aligned()) {
    rows.copy = add(*entry.stored, *entry.stored->dtype, entry.tensor.shape);
  }
  return rows;
}

WeightMatrix stored_nf4(const CheckpointTensor& entry, const Rows& rows, const Arena& arena) {
  const StoredNf4& nf4 = *entry.nf4;
  WeightMatrix weight{.format = WeightFormat::kNF4,
                      .rows = entry.tensor.shape[0],
                      .columns = entry.tensor.shape[1],
                      .data = nf4.codes->bytes.data()};
  const auto floats = [&](BufferId row, const StoredTensor& part) {
    const TensorView view = arena.view(row);
    std::memcpy(view.data, part.bytes.data(), part.bytes.size());
    return view.as<float>();
  };
  if (nf4.nested_absmax == nullptr) {
    weight.absmax = floats(rows.nf4_absmax, *nf4.absmax);
    return weight;
  }
  weight.absmax_codes = reinterpret_cast<const std::uint8_t*>(nf4.absmax->bytes.data());
  weight.nested_absmax = floats(rows.nf4_nested_absmax, *nf4.nested_absmax);
  weight.nested_map = floats(rows.nf4_map, *nf4.nested_map);
  weight.nested_offset = nf4.nested_offset;
  return weight;
}

// A tensor used in its stored type: from the file, or from the copy when the file has it at an odd address.
TensorView stored_view(const CheckpointTensor& entry, const Rows& rows, const Arena& arena) {
  if (entry.stored->aligned()) return entry.stored->view();
  const TensorView view = arena.view(rows.copy);
  std::memcpy(view.data, entry.stored->bytes.data(), entry.stored->bytes.size());
  return view;
}

void load_tensor(Model& model, const Checkpoint& checkpoint, const CheckpointTensor& entry, Quantization quantization,
                 const Rows& rows, const Arena& arena) {
  const ModelTensor& tensor = entry.tensor;
  switch (tensor.role) {
    case TensorRole::kEmbedding:
      model.embedding = stored_view(entry, rows, arena);
      model.weight_bytes += model.embedding.bytes();
      return;
    case TensorRole::kHead:
    case TensorRole::kLinear: {
      WeightMatrix& weight = linear_of(model, tensor).weight;
      if (entry.nf4)
        weight = stored_nf4(entry, rows, arena);
      else if (is_converted(tensor, quantization))
        weight = quantize_weight(AlignedTensor(*entry.stored).view(), quantization, rows.made, arena,
                                 place_of(checkpoint, *entry.stored));
      else
        weight = plain_matrix(stored_view(entry, rows, arena));
      model.weight_bytes += weight.bytes();
      return;
    }
    default: {
      const TensorView values = arena.view(rows.made.values);
      read_as_f32(values, *entry.stored);
      if (tensor.role == TensorRole::kBias)
        linear_of(model, tensor).bias = values;
      else
        norm_of(model, tensor).weight = values;
      model.weight_bytes += values.bytes();
    }
  }
}

// Where each tensor's rows are planned and made: what is streamed has an arena in a file for each block.
struct Destinations {
  MemoryPlan resident;
  std::vector<MemoryPlan> streamed_plans;
  Arena arena;
  std::vector<Arena> streamed;

  explicit Destinations(const Streaming& streaming) : streamed_plans(static_cast<std::size_t>(streaming.blocks)) {}
  bool streams(const CheckpointTensor& entry) const {
    return entry.tensor.role == TensorRole::kLinear && entry.tensor.layer < std::ssize(streamed_plans);
  }
  MemoryPlan& plan_of(const CheckpointTensor& entry, bool converted) {
    return converted && streams(entry) ? streamed_plans[static_cast<std::size_t>(entry.tensor.layer)] : resident;
  }
  const Arena& arena_of(const CheckpointTensor& entry, bool converted) const {
    return converted && streams(entry) ? streamed[static_cast<std::size_t>(entry.tensor.layer)] : arena;
  }
  void allocate() {
    resident.place();
    arena = Arena(resident);
    for (MemoryPlan& plan : streamed_plans) {
      plan.place();
      streamed.push_back(Arena::in_file(plan, streaming_folder()));
    }
  }
};

// The bytes of a tensor that is streamed straight from the model's files.
void stream_from_files(WeightStream& stream, const CheckpointTensor& entry) {
  const auto block = static_cast<std::size_t>(entry.tensor.layer);
  if (!entry.nf4) return stream.add_to_block(block, entry.stored->bytes);
  stream.add_to_block(block, entry.nf4->codes->bytes);
  if (entry.nf4->nested_absmax != nullptr) stream.add_to_block(block, entry.nf4->absmax->bytes);
}

// Brings what is used straight from the files into memory, as the plan counts it.
void touch(std::span<const std::byte> bytes) {
  constexpr std::size_t kPage = 4096;
  volatile std::byte sink{};
  for (std::size_t at = 0; at < bytes.size(); at += kPage) sink = bytes[at];
  static_cast<void>(sink);
}

}  // namespace

Model load_model(const fs::path& model_folder, Quantization quantization,
                 const std::function<void(std::uint64_t, std::uint64_t)>& progress, const Streaming& streaming) {
  if (is_gguf_path(model_folder)) return load_gguf_model(model_folder, quantization, progress);
  Checkpoint checkpoint = open_checkpoint(model_folder);
  if (checkpoint.quantized && quantization == Quantization::kInt8) {
    throw Unsupported("[{}] is stored as nf4; int8 needs the unquantized model", model_folder.string());
  }
  // What bitsandbytes left unquantized stays so.
  if (checkpoint.quantized) quantization = Quantization::kNone;
  Destinations to(streaming);
  std::vector<Rows> rows;
  std::uint64_t total = 0, done = 0;
  const auto stored_bytes = [](const CheckpointTensor& entry) {
    return (entry.nf4 ? entry.nf4->codes : entry.stored)->bytes.size();
  };
  const auto converted = [&](const CheckpointTensor& entry) {
    return !entry.nf4 && is_converted(entry.tensor, quantization);
  };
  for (const CheckpointTensor& entry : checkpoint.tensors) {
    rows.push_back(plan_rows(to.plan_of(entry, converted(entry)), entry, quantization));
    total += stored_bytes(entry);
  }
  to.allocate();

  Model model;
  model.config = checkpoint.config;
  model.blocks.resize(static_cast<std::size_t>(model.config.layers));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const CheckpointTensor& entry = checkpoint.tensors[i];
    const Arena& arena = to.arena_of(entry, converted(entry));
    load_tensor(model, checkpoint, entry, quantization, rows[i], arena);
    if (converted(entry)) {
      checkpoint.folder.release(*entry.stored);
      if (to.streams(entry)) give_back(arena.span());
    } else if (entry.tensor.role == TensorRole::kEmbedding && streaming.embedding &&
               !model.config.tie_word_embeddings) {
      model.stream.set_embedding(entry.stored->bytes);
    } else if (to.streams(entry)) {
      stream_from_files(model.stream, entry);
    } else {
      touch(entry.nf4 ? entry.nf4->codes->bytes : entry.stored->bytes);
    }
    done += stored_bytes(entry);
    if (progress) progress(done, total);
  }
  for (std::size_t block = 0; block < to.streamed.size(); ++block) {
    if (to.streamed[block].bytes() > 0) model.stream.add_to_block(block, to.streamed[block].span());
  }
  if (model.config.tie_word_embeddings) model.head.weight = plain_matrix(model.embedding);
  model.storage = std::make_shared<FrozenStorage>(
      FrozenStorage{std::move(checkpoint.folder), std::move(to.arena), std::move(to.streamed)});
  return model;
}

void use_int8_products(Model& model) {
  for (Block& block : model.blocks) {
    for (Linear& linear : block.linears) linear.weight.int8_products = true;
  }
  model.head.weight.int8_products = true;
}

}  // namespace attune
