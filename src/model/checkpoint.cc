#include "model/checkpoint.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/error.h"
#include "format/gguf.h"
#include "quant/nf4.h"

namespace attune {
namespace {

constexpr std::string_view kStateSuffix = ".quant_state.bitsandbytes__nf4";

bool is_float(const StoredTensor& tensor) {
  return tensor.dtype == DType::kF32 || tensor.dtype == DType::kBF16 || tensor.dtype == DType::kF16;
}

// True for a folder that bitsandbytes quantized to NF4.
bool is_quantized(const Json& source, const std::string& where) {
  const auto found = source.find("quantization_config");
  if (found == source.end() || found->is_null()) return false;
  const auto method = json_get_or<std::string>(*found, "quant_method", "", where);
  if (method != "bitsandbytes") {
    throw Unsupported("[{}] weights quantized by \"{}\" are not supported; use the unquantized model", where, method);
  }
  const auto type = json_get_or<std::string>(*found, "bnb_4bit_quant_type", "fp4", where);
  if (!json_get_or<bool>(*found, "load_in_4bit", false, where) || type != "nf4") {
    throw Unsupported("[{}] of bitsandbytes' types only nf4 is supported; use the unquantized model", where);
  }
  return true;
}

// Decoding relies on finite scales. The values may lie at any address.
void require_finite(const StoredTensor& floats, const std::string& where) {
  for (std::size_t at = 0; at < floats.bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, floats.bytes.data() + at, sizeof value);
    if (!std::isfinite(value)) {
      throw BadFile("[{}] {} holds a value that is not a finite number; the file is damaged", where, floats.name);
    }
  }
}

// Collects the parts of one NF4 tensor and marks their names as expected.
StoredNf4 read_nf4(const Checkpoint& checkpoint, const ModelTensor& tensor, std::set<std::string>& expected) {
  const auto part = [&](std::string_view suffix) {
    const std::string name = tensor.name + std::string(suffix);
    expected.insert(name);
    return checkpoint.folder.find(name);
  };
  StoredNf4 nf4{.codes = part(""),
                .absmax = part(".absmax"),
                .nested_absmax = part(".nested_absmax"),
                .nested_map = part(".nested_quant_map")};
  part(".quant_map");  // the sixteen values, which are fixed
  const StoredTensor& state = *part(kStateSuffix);
  const std::string where = place_of(checkpoint, state);
  const Json json = parse_json({reinterpret_cast<const char*>(state.bytes.data()), state.bytes.size()}, where);
  Json shape = Json::array();
  for (int i = 0; i < tensor.shape.rank; ++i) shape.push_back(tensor.shape[i]);
  if (!json.is_object() || json.value("shape", Json()) != shape) {
    throw BadFile("[{}] expected shape {}, got {}; the weights do not fit config.json", where, to_string(tensor.shape),
                  to_json_line(json.is_object() ? json.value("shape", Json()) : Json()));
  }
  if (json_require<std::string>(json, "quant_type", where) != "nf4" ||
      json_require<std::int64_t>(json, "blocksize", where) != kNf4Block) {
    throw Unsupported("[{}] expected nf4 in blocks of {}; use the unquantized model", where, kNf4Block);
  }
  const auto require = [&](const StoredTensor* stored, const char* what, std::optional<DType> dtype,
                           std::int64_t bytes) {
    if (stored == nullptr) throw BadFile("[{}] its {} is missing", where, what);
    if ((dtype && stored->dtype != dtype) || std::ssize(stored->bytes) != bytes) {
      throw BadFile("[{}] expected {} bytes of {}, got {} {}", where, bytes, what, stored->dtype_name,
                    shape_text(stored->shape));
    }
  };
  const std::int64_t elements = tensor.shape.elements(), blocks = nf4_blocks(elements);
  require(nf4.codes, "codes", std::nullopt, nf4_code_bytes(elements));
  if (nf4.nested_absmax == nullptr) {
    require(nf4.absmax, "absmax", DType::kF32, 4 * blocks);
    require_finite(*nf4.absmax, where);
    return nf4;
  }
  require(nf4.absmax, "absmax", DType::kU8, blocks);
  require(nf4.nested_absmax, "nested_absmax", DType::kF32, 4 * nf4_nested_blocks(blocks));
  require(nf4.nested_map, "nested_quant_map", DType::kF32, 4 * 256);
  if (json_require<std::int64_t>(json, "nested_blocksize", where) != kNf4NestedBlock) {
    throw Unsupported("[{}] expected scales in blocks of {}; use the unquantized model", where, kNf4NestedBlock);
  }
  require_finite(*nf4.nested_absmax, where);
  require_finite(*nf4.nested_map, where);
  const auto offset = json_require<double>(json, "nested_offset", where);
  if (!(std::abs(offset) <= std::numeric_limits<float>::max())) {
    throw BadFile("[{}] nested_offset: expected a 32-bit number, got {}", where, offset);
  }
  nf4.nested_offset = static_cast<float>(offset);
  return nf4;
}

const StoredTensor* read_plain(const Checkpoint& checkpoint, const ModelTensor& tensor, const fs::path& folder) {
  const StoredTensor* const stored = checkpoint.folder.find(tensor.name);
  if (stored == nullptr) {
    throw BadFile("[{}] tensor {} is missing; config.json describes another model", folder.string(), tensor.name);
  }
  const std::string where = place_of(checkpoint, *stored);
  if (!is_float(*stored)) throw Unsupported("[{}] expected F32, BF16 or F16, got {}", where, stored->dtype_name);
  if (!stored->has_shape(tensor.shape)) {
    throw BadFile("[{}] expected shape {}, got {}; the weights do not fit config.json", where, to_string(tensor.shape),
                  shape_text(stored->shape));
  }
  return stored;
}

// Tensors that older files carry although they follow from the configuration.
bool may_be_ignored(const std::string& name, const ModelConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tie_word_embeddings && name == "lm_head.weight");
}

}  // namespace

std::string place_of(const Checkpoint& checkpoint, const StoredTensor& tensor) {
  return checkpoint.folder.file_of(tensor).path().string() + ": tensor " + tensor.name;
}

Checkpoint open_checkpoint(const fs::path& model_folder) {
  if (is_gguf_path(model_folder)) {
    throw Unsupported("[{}] is a GGUF file; expected the folder of the original model, as Hugging Face writes it",
                      model_folder.string());
  }
  Checkpoint checkpoint{.config = load_model_config(model_folder), .folder = SafetensorsFolder(model_folder)};
  checkpoint.quantized = is_quantized(checkpoint.config.source, (model_folder / "config.json").string());
  std::set<std::string> expected;
  for (ModelTensor& tensor : model_tensors(checkpoint.config)) {
    CheckpointTensor entry;
    expected.insert(tensor.name);
    const bool nf4 = checkpoint.quantized && tensor.role == TensorRole::kLinear &&
                     checkpoint.folder.find(tensor.name + std::string(kStateSuffix)) != nullptr;
    if (nf4)
      entry.nf4 = read_nf4(checkpoint, tensor, expected);
    else
      entry.stored = read_plain(checkpoint, tensor, model_folder);
    entry.tensor = std::move(tensor);
    checkpoint.tensors.push_back(std::move(entry));
  }
  for (const std::string& name : checkpoint.folder.names()) {
    if (!expected.contains(name) && !may_be_ignored(name, checkpoint.config)) {
      throw BadFile("[{}] tensor {} is unexpected; config.json describes another model", model_folder.string(), name);
    }
  }
  return checkpoint;
}

DType named_type(const ModelConfig& config, const std::string& where) {
  for (const char* const key : {"dtype", "torch_dtype"}) {  // transformers 5, and before
    const auto name = json_get<std::string>(config.source, key, where);
    if (name == "float32") return DType::kF32;
    if (name == "float16") return DType::kF16;
  }
  return DType::kBF16;
}

DType stored_type(const fs::path& folder, const ModelConfig& config) {
  if (is_gguf_path(folder)) {
    const GgufFile file(folder);
    const GgufTensor* const embedding = file.find("token_embd.weight");
    return embedding != nullptr && embedding->type ? embedding->type->dtype.value_or(DType::kF16) : DType::kF16;
  }
  if (fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json")) {
    const SafetensorsFolder weights(folder);
    const StoredTensor* const embedding = weights.find("model.embed_tokens.weight");
    if (embedding != nullptr && embedding->dtype) return *embedding->dtype;
  }
  return named_type(config, (folder / "config.json").string());
}

AlignedTensor::AlignedTensor(const StoredTensor& tensor) {
  if (tensor.aligned()) {
    view_ = tensor.view();
    return;
  }
  copy_.resize((tensor.bytes.size() + sizeof(float) - 1) / sizeof(float));
  std::memcpy(copy_.data(), tensor.bytes.data(), tensor.bytes.size());
  StoredTensor moved = tensor;
  moved.bytes = std::as_bytes(std::span(copy_)).first(tensor.bytes.size());
  view_ = moved.view();
}

void read_as_f32(TensorView out, const StoredTensor& tensor) {
  const AlignedTensor source(tensor);
  const TensorView& view = source.view();
  const WeightFormat format = view.dtype == DType::kF32    ? WeightFormat::kF32
                              : view.dtype == DType::kBF16 ? WeightFormat::kBF16
                                                           : WeightFormat::kF16;
  out.shape = {view.rows(), view.columns()};
  decode_rows(out, {.format = format, .rows = view.rows(), .columns = view.columns(), .data = view.data}, 0);
}

}  // namespace attune
