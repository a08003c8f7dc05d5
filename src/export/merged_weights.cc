#include "export/merged_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "quant/blocks.h"
#include "quant/weight.h"

namespace attune {
namespace {

constexpr std::int64_t kPieceElements = 1 << 20;  // 4 MB of f32
constexpr std::int64_t kFetchedRows = 512;        // when they come in another order

Checkpoint open_original(const fs::path& model_folder) {
  Checkpoint checkpoint = open_checkpoint(model_folder);
  if (checkpoint.quantized) {
    throw Unsupported("[{}] is stored as nf4; expected the original model in 16 or 32 bits", model_folder.string());
  }
  return checkpoint;
}

std::int64_t columns_of(const ModelTensor& tensor) { return tensor.shape.rank == 1 ? 1 : tensor.shape[1]; }

std::int64_t row_bytes_of(WeightFormat format, std::int64_t columns) {
  if (const auto layout = block_layout(format)) return columns / layout->elements * layout->bytes;
  return columns * (format == WeightFormat::kF32 ? 4 : 2);
}

// False when a value does not survive in this format.
bool encode_row(std::uint8_t* out, const float* values, std::int64_t columns, WeightFormat format) {
  bool finite = true;
  for (std::int64_t i = 0; i < columns; ++i) finite = std::isfinite(values[i]) && finite;
  if (!finite) return false;
  switch (format) {
    case WeightFormat::kF32:
      std::copy_n(reinterpret_cast<const std::uint8_t*>(values), columns * 4, out);
      return true;
    case WeightFormat::kBF16:
      for (std::int64_t i = 0; i < columns; ++i) reinterpret_cast<bf16*>(out)[i] = to_bf16(values[i]);
      return true;
    case WeightFormat::kF16:
      for (std::int64_t i = 0; i < columns; ++i) {
        const f16 half = to_f16(values[i]);
        finite = (half.bits & 0x7C00) != 0x7C00 && finite;
        reinterpret_cast<f16*>(out)[i] = half;
      }
      return finite;
    default:
      encode_blocks(out, format, values, columns / block_layout(format)->elements);
      return true;
  }
}

}  // namespace

MergedWeights::MergedWeights(const fs::path& model_folder, const std::optional<fs::path>& adapter_folder)
    : checkpoint_(open_original(model_folder)) {
  shell_.config = checkpoint_.config;
  shell_.blocks.resize(static_cast<std::size_t>(shell_.config.layers));
  if (adapter_folder) adapter_ = Adapter::load(shell_, *adapter_folder, false);
}

const LoraPair* MergedWeights::pair_of(const ModelTensor& tensor) const {
  if (tensor.role != TensorRole::kLinear) return nullptr;
  const LoraPair& pair = shell_.blocks[static_cast<std::size_t>(tensor.layer)][tensor.slot].lora;
  return pair.rank > 0 ? &pair : nullptr;
}

void MergedWeights::read_rows(TensorView out, const CheckpointTensor& entry, std::int64_t begin) const {
  const std::int64_t columns = columns_of(entry.tensor), count = out.rows();
  const std::size_t width = size_of(*entry.stored->dtype);
  StoredTensor part = *entry.stored;
  part.shape = {count, columns};
  part.bytes = part.bytes.subspan(static_cast<std::size_t>(begin * columns) * width,
                                  static_cast<std::size_t>(count * columns) * width);
  read_as_f32(out, part);
  const LoraPair* const pair = pair_of(entry.tensor);
  if (pair == nullptr) return;
  const float* const a = pair->a.as<float>();
  const float* const b = pair->b.as<float>() + begin * pair->rank;
#pragma omp parallel for schedule(static)
  for (std::int64_t r = 0; r < count; ++r) {
    float* const row = out.as<float>() + r * columns;
    for (std::int64_t k = 0; k < pair->rank; ++k) {
      const float factor = pair->scale * b[r * pair->rank + k];
      for (std::int64_t i = 0; i < columns; ++i) row[i] += factor * a[k * columns + i];
    }
  }
}

void write_rows(const ByteSink& sink, const MergedWeights& weights, const CheckpointTensor& entry, WeightFormat format,
                const std::string& where, const std::function<std::int64_t(std::int64_t)>& row_of) {
  const std::int64_t rows = entry.tensor.shape[0], columns = columns_of(entry.tensor);
  const std::int64_t row_bytes = row_bytes_of(format, columns);
  const std::int64_t piece = std::clamp<std::int64_t>(kPieceElements / columns, 1, row_of ? kFetchedRows : rows);
  std::vector<float> values(static_cast<std::size_t>(piece * columns));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(piece * row_bytes));
  for (std::int64_t begin = 0; begin < rows; begin += piece) {
    if (interrupt_requested()) throw Interrupted("[{}] stopped; nothing was written", where);
    const std::int64_t count = std::min(piece, rows - begin);
    if (row_of) {
      for (std::int64_t r = 0; r < count; ++r) {
        weights.read_rows({values.data() + r * columns, DType::kF32, {1, columns}}, entry, row_of(begin + r));
      }
    } else {
      weights.read_rows({values.data(), DType::kF32, {count, columns}}, entry, begin);
    }
    std::atomic<bool> good = true;
#pragma omp parallel for schedule(static)
    for (std::int64_t r = 0; r < count; ++r) {
      if (!encode_row(bytes.data() + r * row_bytes, values.data() + r * columns, columns, format)) good = false;
    }
    if (!good) {
      throw UserError("[{}: tensor {}] holds a value that is not finite or too large for {}; {}", where,
                      entry.tensor.name, name_of(format),
                      format == WeightFormat::kF16 ? "choose bf16" : "the weights are damaged");
    }
    sink(std::as_bytes(std::span(bytes.data(), static_cast<std::size_t>(count * row_bytes))));
  }
  weights.release(entry);
}

}  // namespace attune
