// A model folder whose weights have been matched with its config.json: every tensor is there, has its shape
// and a type that can be read. Nothing has been copied yet.
#pragma once

#include <optional>
#include <vector>

#include "format/safetensors.h"
#include "model/tensors.h"

namespace attune {

// A linear that bitsandbytes stored as NF4 (INTEROP section 6).
struct StoredNf4 {
  const StoredTensor* codes = nullptr;
  const StoredTensor* absmax = nullptr;         // F32, or U8 codes with double quantization and then:
  const StoredTensor* nested_absmax = nullptr;  // F32
  const StoredTensor* nested_map = nullptr;     // F32 [256]
  float nested_offset = 0.0f;
};

struct CheckpointTensor {
  ModelTensor tensor;
  const StoredTensor* stored = nullptr;  // f32, bf16 or f16
  std::optional<StoredNf4> nf4;          // set instead of `stored`
};

struct Checkpoint {
  ModelConfig config;
  SafetensorsFolder folder;
  std::vector<CheckpointTensor> tensors = {};  // in the order of model_tensors()
  bool quantized = false;                      // by bitsandbytes
};

// Throws BadFile naming the first tensor that is missing, unexpected or of another shape; Unsupported for
// other quantization methods and for a GGUF file.
Checkpoint open_checkpoint(const fs::path& model_folder);

// "path: tensor name", for messages.
std::string place_of(const Checkpoint& checkpoint, const StoredTensor& tensor);

// The values of a tensor at an address that suits their type; copied only when the file has them elsewhere.
class AlignedTensor {
 public:
  explicit AlignedTensor(const StoredTensor& tensor);
  const TensorView& view() const { return view_; }

 private:
  std::vector<float> copy_;
  TensorView view_;
};

// Converts the stored values to f32.
void read_as_f32(TensorView out, const StoredTensor& tensor);

}  // namespace attune
