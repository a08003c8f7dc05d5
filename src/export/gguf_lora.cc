#include "export/gguf_lora.h"

#include <cmath>
#include <cstring>

#include "adapter/lora.h"
#include "base/error.h"
#include "format/gguf.h"
#include "model/gguf_names.h"

namespace attune {
namespace {

// Row r of the result is row_of(r) of the matrix times `factor`.
struct Factor {
  TensorView matrix;
  float factor = 1.0f;
  bool reordered = false;
  std::int64_t head_dim = 0;

  std::string encoded(WeightFormat format, const std::string& name) const {
    const std::int64_t columns = matrix.columns();
    std::string bytes;
    for (std::int64_t r = 0; r < matrix.rows(); ++r) {
      const float* const row = matrix.as<float>() + (reordered ? gguf_source_row(r, head_dim) : r) * columns;
      for (std::int64_t i = 0; i < columns; ++i) append(bytes, row[i] * factor, format, name);
    }
    return bytes;
  }

 private:
  template <typename T>
  static void append_bits(std::string& bytes, const T& value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, sizeof value);
  }
  static void append(std::string& bytes, float value, WeightFormat format, const std::string& name) {
    bool finite = std::isfinite(value);
    if (format == WeightFormat::kF32) {
      append_bits(bytes, value);
    } else if (format == WeightFormat::kBF16) {
      append_bits(bytes, to_bf16(value));
    } else {
      const f16 half = to_f16(value);
      finite = finite && (half.bits & 0x7C00) != 0x7C00;
      append_bits(bytes, half);
    }
    if (!finite) {
      throw UserError("[{}] holds a value that is not finite or too large for {}; choose f32", name, name_of(format));
    }
  }
};

WeightFormat format_of(GgufDType dtype) {
  switch (dtype) {
    case GgufDType::kF32:
      return WeightFormat::kF32;
    case GgufDType::kF16:
      return WeightFormat::kF16;
    case GgufDType::kBF16:
      return WeightFormat::kBF16;
    default:
      throw UserError("[--dtype] expected f32, f16 or bf16 for gguf-lora, got {}", name_of(dtype));
  }
}

}  // namespace

std::uint64_t export_gguf_lora(const GgufLoraExport& options) {
  const WeightFormat format = format_of(options.dtype);
  if (fs::exists(options.output)) {
    throw UserError("[{}] already exists; choose another name or remove it", options.output.string());
  }
  Model shell;  // without weights: names and shapes are enough
  shell.config = load_model_config(options.model);
  shell.blocks.resize(static_cast<std::size_t>(shell.config.layers));
  const Adapter adapter = Adapter::load(shell, options.adapter, false);

  const AdapterTarget& first = adapter.targets().front();
  const float first_alpha = first.scale * static_cast<float>(first.rank);
  const float alpha = first_alpha > 0 ? first_alpha : static_cast<float>(first.rank);  // 0 would mean "as it is"
  std::vector<GgufTensorSource> sources;
  for (std::size_t i = 0; i < adapter.targets().size(); ++i) {
    const AdapterTarget& target = adapter.targets()[i];
    const ModelTensor tensor{
        target.path + ".weight", {target.outputs, target.inputs}, TensorRole::kLinear, target.layer, target.slot};
    Factor a{.matrix = adapter.parameters()[2 * i].value}, b{.matrix = adapter.parameters()[2 * i + 1].value};
    const float in_file = alpha / static_cast<float>(target.rank);
    if (target.scale != in_file) b.factor = target.scale / in_file;
    b.reordered = gguf_reorders(shell.config, tensor);
    b.head_dim = shell.config.head_dim;
    const auto add = [&](const Factor& part, const char* suffix) {
      const std::string name = gguf_name(tensor) + suffix;
      sources.push_back({name, &gguf_type_of(format), part.matrix.shape, [part, format, name](const ByteSink& sink) {
                           const std::string bytes = part.encoded(format, name);
                           sink(std::as_bytes(std::span(bytes)));
                         }});
    };
    add(a, ".lora_a");
    add(b, ".lora_b");
  }
  write_gguf(options.output,
             {{"general.architecture", std::string(gguf_architecture(shell.config.family))},
              {"general.type", std::string("adapter")},
              {"general.name", options.adapter.filename().string()},
              {"general.file_type", gguf_file_type(options.dtype)},
              {"adapter.type", std::string("lora")},
              {"adapter.lora.alpha", alpha}},
             sources);
  return fs::file_size(options.output);
}

}  // namespace attune
