// The weights of a model, frozen or trained, and the linear layer with its optional LoRA pair.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/weight_stream.h"
#include "quant/weight.h"
#include "tensor/memory_plan.h"
#include "tensor/tensor.h"

namespace attune {

// LoRA (Hu et al., 2021): y = W x + scale * B A dropout(x). Set by adapter/; a pair with rank 0 is absent.
struct LoraPair {
  std::int64_t rank = 0;
  float scale = 0.0f, dropout = 0.0f;
  TensorView a, b;           // [R, inputs], [outputs, R] f32: what the optimizer updates
  TensorView da, db;         // their gradients, f32; empty when the adapter is not trained
  std::uint64_t stream = 0;  // names this pair's dropout masks
};

struct Linear {
  WeightMatrix weight;  // [outputs, inputs]
  TensorView bias;      // [outputs] f32, or empty
  LoraPair lora;
  TensorView dweight;  // [outputs, inputs] f32 when the base itself is trained (weight.format is kF32 then)
  TensorView dbias;
};

struct Norm {
  TensorView weight;   // [C] f32
  TensorView dweight;  // [C] f32 or empty
};

// The seven linears of a block in PEFT's order of names.
enum class Slot { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr int kSlots = 7;
std::string_view module_name(Slot slot);  // "self_attn.q_proj", ..., "mlp.down_proj"

struct Block {
  Norm attention_norm, mlp_norm, q_norm, k_norm;  // q_norm, k_norm: empty unless config.qk_norm
  std::array<Linear, kSlots> linears;
  Linear& operator[](Slot slot) { return linears[static_cast<std::size_t>(slot)]; }
  const Linear& operator[](Slot slot) const { return linears[static_cast<std::size_t>(slot)]; }
};

enum class Quantization : std::uint8_t { kNone, kNF4, kInt8 };

// Everything forward and backward read. Owns the bytes its views point to (`storage`): quantized copies made while
// loading, or the mapped files themselves. Movable; const while a pass runs.
struct Model {
  ModelConfig config;
  TensorView embedding, dembedding;  // [V, C] f32, bf16 or f16; gradient f32 or empty
  std::vector<Block> blocks;
  Norm final_norm;
  Linear head;                    // weight aliases embedding when tied; never quantized, never LoRA
  std::shared_ptr<void> storage;  // keeps the bytes alive
  std::size_t weight_bytes = 0;   // bytes of the weights as held, in memory or on disk
  WeightStream stream;            // those on disk
};

// Adds a row per tensor of a frozen model to a plan, named after the tensors, as load_model holds them; `stored` is the
// files' type. Load itself allocates the rows whose bytes it must make and maps the others from the files.
void plan_weights(MemoryPlan& plan, const ModelConfig& config, Quantization quantization, DType stored);

// The same for a model whose weights are trained: f32 values and gradients.
void plan_trainable_weights(MemoryPlan& plan, const ModelConfig& config);

// Loads a Hugging Face folder (safetensors single or sharded; INTEROP sections 4 and 6) or a folder that bitsandbytes
// quantized to NF4. The blocks' linears become `quantization`; with kNone they stay in the file's type, mapped.
// Norms and biases become f32. Tensors are streamed: peak memory is the result plus one tensor. `progress` may be null
// and is called with (bytes done, bytes in all). Throws BadFile naming tensor, expected and found shape; UserError for
// a folder with no weights. `streaming` leaves weights on disk: in the model's own files where they are used as stored
// there, else in a file without a name in streaming_folder().
Model load_model(const fs::path& model_folder, Quantization quantization,
                 const std::function<void(std::uint64_t, std::uint64_t)>& progress = {},
                 const Streaming& streaming = {});

// The type of the weights in a folder: of the embedding in its files, or as config.json says where there are none.
DType stored_type(const fs::path& model_folder, const ModelConfig& config);
DType named_type(const ModelConfig& config, const std::string& where);  // as config.json says

// Multiplies the linears and the head, frozen ones, in 8-bit integers from now on, forward and to the inputs' gradients.
// bench/int8_loss.py holds what is learnt then to what bf16 learns.
void use_int8_products(Model& model);

// Like load_model(kNone), but every tensor is a writable f32 copy and the gradient views are set: full training.
Model load_trainable_model(const fs::path& model_folder);

// A model of this shape with weights drawn as transformers initialises them (normal, std 0.02 unless the config's
// initializer_range says otherwise; norms 1), trainable f32 with gradients: the start of `attune pretrain`.
Model make_trainable_model(const ModelConfig& config, std::uint64_t seed);

// The named parameters of a model in checkpoint order, under their Hugging Face names. `gradient` may be empty.
struct NamedParameter {
  std::string name;
  TensorView value, gradient;
};
std::vector<NamedParameter> trainable_parameters(const Model& model);  // full training: every weight, tied ones once

// Writes config.json, generation_config.json and model.safetensors (bf16 or f32) of a trainable model into an existing
// folder; the caller adds tokenizer files. Atomic per file.
void save_model(const fs::path& folder, const Model& model, DType dtype);

}  // namespace attune
