// The weights of a model folder with an adapter merged in, a few rows at a time: what merge and export write. Nothing
// larger than a piece of one tensor is ever in memory; the rest stays in the mapped files.
#pragma once

#include <memory>
#include <optional>

#include "adapter/lora.h"
#include "format/safetensors.h"
#include "model/checkpoint.h"

namespace attune {

// One thread at a time; reading uses OpenMP inside.
class MergedWeights {
 public:
  // Throws as open_checkpoint and Adapter::load; Unsupported for a folder that bitsandbytes quantized and for a GGUF
  // file: merging needs the original weights.
  MergedWeights(const fs::path& model_folder, const std::optional<fs::path>& adapter_folder);

  const ModelConfig& config() const { return checkpoint_.config; }
  const std::vector<CheckpointTensor>& tensors() const { return checkpoint_.tensors; }
  const std::optional<Adapter>& adapter() const { return adapter_; }

  // The pair that changes this tensor, or nullptr.
  const LoraPair* pair_of(const ModelTensor& tensor) const;

  // Rows [begin, begin + out.rows()) of W + scale B A as f32; a vector counts as rows of one element. The sum is made in
  // f32 and not yet rounded.
  void read_rows(TensorView out, const CheckpointTensor& entry, std::int64_t begin) const;

  void release(const CheckpointTensor& entry) const { checkpoint_.folder.release(*entry.stored); }

 private:
  Checkpoint checkpoint_;
  Model shell_;  // without weights: what the adapter is attached to
  std::optional<Adapter> adapter_;
};

// Writes all rows of a tensor in `format`, in pieces. `row_of` gives the source row of each written row (absent: the
// same). Throws UserError, naming `where`, when a value is not finite or too large for `format`;
// Interrupted after Ctrl-C.
void write_rows(const ByteSink& sink, const MergedWeights& weights, const CheckpointTensor& entry, WeightFormat format,
                const std::string& where, const std::function<std::int64_t(std::int64_t)>& row_of = {});

}  // namespace attune
