// What can stay in the mapped file stays there; the rest is planned, allocated once and made tensor by tensor.
#include "model/load_gguf.h"

#include <cstring>
#include <set>

#include "base/error.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/quantize_weight.h"
#include "quant/blocks.h"

namespace attune {
namespace {

struct GgufStorage {
  GgufFile file;
  Arena arena;
};

struct Entry {
  ModelTensor tensor;
  const GgufTensor* stored;
  WeightFormat format;
  bool reordered = false;  // rows differ from Hugging Face's
  WeightRows made;         // quantized or converted here
  BufferId copy;           // the same format with other rows or at another address; or an embedding in f16
};

bool is_matrix(TensorRole role) {
  return role == TensorRole::kEmbedding || role == TensorRole::kLinear || role == TensorRole::kHead;
}

std::string place_of(const GgufFile& file, const GgufTensor& tensor) {
  return file.path().string() + ": tensor " + tensor.name;
}

WeightMatrix stored_matrix(const GgufTensor& tensor, WeightFormat format) {
  return {.format = format, .rows = tensor.rows(), .columns = tensor.columns(), .data = tensor.bytes.data()};
}

std::vector<Entry> match_tensors(const GgufFile& file, const ModelConfig& config) {
  std::vector<Entry> entries;
  std::set<std::string> expected = {"rope_freqs.weight"};
  for (ModelTensor& tensor : model_tensors(config)) {
    const std::string name = gguf_name(tensor);
    const GgufTensor* const stored = file.find(name);
    expected.insert(name);
    if (stored == nullptr)
      throw BadFile("[{}] tensor {} is missing; this is no whole model", file.path().string(), name);
    if (!stored->has_shape(tensor.shape)) {
      throw BadFile("[{}] expected shape {}, got {}; the tensors do not fit the file's own keys",
                    place_of(file, *stored), to_string(tensor.shape), shape_text(stored->shape));
    }
    const auto format = weight_format_of(*stored->type);
    if (!format || (block_layout(*format) && !is_matrix(tensor.role))) {
      throw Unsupported(
          "[{}] type {} is not supported; choose a model in F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K, Q5_K or Q6_K",
          place_of(file, *stored), stored->type->name);
    }
    const bool reordered = gguf_reorders(config, tensor);
    entries.push_back({std::move(tensor), stored, *format, reordered, {}, {}});
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (expected.contains(tensor.name)) continue;
    throw BadFile("[{}] is unexpected; the file's keys describe another model", place_of(file, tensor));
  }
  return entries;
}

bool aligned(const GgufTensor& tensor) {
  const std::size_t width = tensor.type->dtype ? size_of(*tensor.type->dtype) : 1;
  return reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % width == 0;
}

void plan_entry(MemoryPlan& plan, Entry& entry, Quantization quantization) {
  const auto bytes = std::ssize(entry.stored->bytes);
  if (is_converted(entry.tensor, quantization)) {
    entry.made = plan_weight(plan, entry.tensor, quantization, DType::kF32);
  } else if (entry.tensor.role == TensorRole::kEmbedding && block_layout(entry.format)) {
    entry.copy = plan.add(entry.tensor.name, BufferKind::kWeights, DType::kF16, entry.tensor.shape);
  } else if (entry.reordered || !aligned(*entry.stored)) {
    entry.copy = plan.add(entry.tensor.name, BufferKind::kWeights, DType::kU8, {bytes});
  }
}

// The tensor's bytes with its rows in Hugging Face's order.
void copy_rows(std::byte* out, const Entry& entry, const ModelConfig& config) {
  const std::int64_t rows = entry.tensor.shape[0];
  const std::size_t row_bytes = entry.stored->bytes.size() / static_cast<std::size_t>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t to = entry.reordered ? gguf_source_row(r, config.head_dim) : r;
    std::memcpy(out + static_cast<std::size_t>(to) * row_bytes,
                entry.stored->bytes.data() + static_cast<std::size_t>(r) * row_bytes, row_bytes);
  }
}

// All rows as f32.
std::vector<float> decoded(const WeightMatrix& matrix) {
  std::vector<float> values(static_cast<std::size_t>(matrix.rows * matrix.columns));
#pragma omp parallel for schedule(static)
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    decode_rows({values.data() + r * matrix.columns, DType::kF32, {1, matrix.columns}}, matrix, r);
  }
  return values;
}

class Loader {
 public:
  Loader(Model& model, const GgufFile& file, const Arena& arena, Quantization quantization)
      : model_(model), file_(file), arena_(arena), quantization_(quantization) {}

  void load(const Entry& entry) const {
    switch (entry.tensor.role) {
      case TensorRole::kEmbedding:
        model_.embedding = embedding(entry);
        model_.weight_bytes += model_.embedding.bytes();
        if (!model_.config.tie_word_embeddings) return;
        model_.head.weight = plain_matrix(model_.embedding);
        if (block_layout(entry.format)) {
          // The head reads the file's own blocks: exact, and fewer bytes than the embedding's f16.
          model_.head.weight = stored_matrix(*entry.stored, entry.format);
          model_.weight_bytes += model_.head.weight.bytes();
        }
        return;
      case TensorRole::kLinear:
      case TensorRole::kHead: {
        WeightMatrix& weight = linear_of(model_, entry.tensor).weight;
        weight = is_converted(entry.tensor, quantization_) ? quantized(entry) : in_own_format(entry);
        model_.weight_bytes += weight.bytes();
        return;
      }
      default: {
        const TensorView values = vector_of(entry);
        (entry.tensor.role == TensorRole::kBias ? linear_of(model_, entry.tensor).bias
                                                : norm_of(model_, entry.tensor).weight) = values;
        model_.weight_bytes += values.bytes();
      }
    }
  }

 private:
  TensorView embedding(const Entry& entry) const {
    if (!entry.copy.valid()) {
      return {const_cast<std::byte*>(entry.stored->bytes.data()), *entry.stored->type->dtype, entry.tensor.shape};
    }
    TensorView out = arena_.view(entry.copy);
    if (!block_layout(entry.format)) {
      copy_rows(static_cast<std::byte*>(out.data), entry, model_.config);
      return {out.data, *entry.stored->type->dtype, entry.tensor.shape};
    }
    const WeightMatrix matrix = stored_matrix(*entry.stored, entry.format);
#pragma omp parallel
    {
      std::vector<float> row(static_cast<std::size_t>(matrix.columns));
#pragma omp for schedule(static)
      for (std::int64_t r = 0; r < matrix.rows; ++r) {
        decode_rows({row.data(), DType::kF32, {1, matrix.columns}}, matrix, r);
        f16* const to = out.as<f16>() + r * matrix.columns;
        for (std::int64_t i = 0; i < matrix.columns; ++i) to[i] = to_f16(row[static_cast<std::size_t>(i)]);
      }
    }
    return out;
  }

  WeightMatrix in_own_format(const Entry& entry) const {
    WeightMatrix matrix = stored_matrix(*entry.stored, entry.format);
    if (entry.copy.valid()) {
      const TensorView copy = arena_.view(entry.copy);
      copy_rows(static_cast<std::byte*>(copy.data), entry, model_.config);
      matrix.data = copy.data;
    }
    return matrix;
  }

  WeightMatrix quantized(const Entry& entry) const {
    std::vector<std::byte> rows(entry.stored->bytes.size());
    copy_rows(rows.data(), entry, model_.config);
    WeightMatrix matrix = stored_matrix(*entry.stored, entry.format);
    matrix.data = rows.data();
    std::vector<float> values = decoded(matrix);
    return quantize_weight({values.data(), DType::kF32, entry.tensor.shape}, quantization_, entry.made, arena_,
                           place_of(file_, *entry.stored));
  }

  // A norm or a bias in f32; its elements are rows of one.
  TensorView vector_of(const Entry& entry) const {
    const TensorView out = arena_.view(entry.made.values);
    std::vector<std::byte> rows(entry.stored->bytes.size());
    copy_rows(rows.data(), entry, model_.config);
    const WeightMatrix matrix{
        .format = entry.format, .rows = 1, .columns = entry.tensor.shape.elements(), .data = rows.data()};
    decode_rows({out.data, DType::kF32, {1, matrix.columns}}, matrix, 0);
    return out;
  }

  Model& model_;
  const GgufFile& file_;
  const Arena& arena_;
  Quantization quantization_;
};

}  // namespace

std::optional<WeightFormat> weight_format_of(const GgufType& type) {
  for (const auto& [name, format] : {std::pair("F32", WeightFormat::kF32), std::pair("F16", WeightFormat::kF16),
                                     std::pair("BF16", WeightFormat::kBF16), std::pair("Q8_0", WeightFormat::kQ8_0),
                                     std::pair("Q4_0", WeightFormat::kQ4_0), std::pair("Q5_0", WeightFormat::kQ5_0),
                                     std::pair("Q4_K", WeightFormat::kQ4K), std::pair("Q5_K", WeightFormat::kQ5K),
                                     std::pair("Q6_K", WeightFormat::kQ6K)}) {
    if (type.name == name) return format;
  }
  return std::nullopt;
}

Model load_gguf_model(const fs::path& path, Quantization quantization,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  GgufFile file(path);
  Model model;
  model.config = model_config_from_gguf(file);
  model.blocks.resize(static_cast<std::size_t>(model.config.layers));
  std::vector<Entry> entries = match_tensors(file, model.config);
  MemoryPlan plan;
  std::uint64_t total = 0, done = 0;
  for (Entry& entry : entries) {
    plan_entry(plan, entry, quantization);
    total += entry.stored->bytes.size();
  }
  plan.place();
  Arena arena(plan);
  const Loader loader(model, file, arena, quantization);
  for (const Entry& entry : entries) {
    loader.load(entry);
    if (is_converted(entry.tensor, quantization) || (entry.copy.valid() && entry.tensor.role == TensorRole::kLinear)) {
      file.release(*entry.stored);
    }
    done += entry.stored->bytes.size();
    if (progress) progress(done, total);
  }
  model.storage = std::make_shared<GgufStorage>(GgufStorage{std::move(file), std::move(arena)});
  return model;
}

}  // namespace attune
