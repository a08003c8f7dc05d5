#include "format/llama2c.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"

namespace attune {
namespace {

constexpr std::uint32_t kMagic = 0x616B3432;  // "ak42"
constexpr std::size_t kHeaderBytes = 256;     // of version 1

struct Header {
  std::int64_t hidden, inner, layers, heads, kv_heads, vocab, positions;
  bool tied, legacy;
  std::size_t begin;  // of the weights

  std::int64_t head_size() const { return hidden / heads; }
  std::int64_t kv_size() const { return kv_heads * head_size(); }
};

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Header read_header(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < kHeaderBytes)
    throw BadFile("[{}] has {} bytes, expected a llama2.c checkpoint", where, bytes.size());
  Header header{};
  header.legacy = read_at<std::uint32_t>(bytes, 0) != kMagic;
  if (!header.legacy && read_at<std::int32_t>(bytes, 4) != 1) {
    throw Unsupported("[{}] llama2.c checkpoint of version {}; expected 1 or the legacy layout", where,
                      read_at<std::int32_t>(bytes, 4));
  }
  std::array<std::int64_t, 7> sizes;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] = read_at<std::int32_t>(bytes, (header.legacy ? 0u : 8u) + 4 * i);
  }
  // The legacy layout says "own output head" by a negative vocabulary size.
  header.tied = header.legacy ? sizes[5] > 0 : read_at<std::uint8_t>(bytes, 36) != 0;
  if (header.legacy) sizes[5] = std::abs(sizes[5]);
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > 1 << 20) throw BadFile("[{}] is not a llama2.c checkpoint: a size of {}", where, size);
  }
  std::tie(header.hidden, header.inner, header.layers, header.heads, header.kv_heads, header.vocab, header.positions) =
      std::tuple_cat(sizes);
  if (header.hidden % header.heads != 0 || header.head_size() % 2 != 0 || header.heads % header.kv_heads != 0) {
    throw BadFile("[{}] is not a llama2.c checkpoint: {} wide, {} heads, {} key/value heads", where, header.hidden,
                  header.heads, header.kv_heads);
  }
  header.begin = header.legacy ? 28 : kHeaderBytes;
  return header;
}

// Hands out the arrays of the file one after the other.
class WeightCursor {
 public:
  WeightCursor(std::span<const std::byte> bytes, std::size_t begin, const std::string& where)
      : bytes_(bytes), position_(begin), where_(where) {}

  TensorView take(Shape shape) {
    const auto bytes = static_cast<std::size_t>(shape.elements()) * sizeof(float);
    if (bytes > bytes_.size() - position_) {
      throw BadFile("[{}] ends at byte {}, expected more weights; the file is cut short", where_, bytes_.size());
    }
    const TensorView view{const_cast<std::byte*>(bytes_.data() + position_), DType::kF32, shape};
    position_ += bytes;
    return view;
  }
  void expect_end() const {
    if (position_ == bytes_.size()) return;
    throw BadFile("[{}] expected {} bytes, got {}; not a llama2.c checkpoint", where_, position_, bytes_.size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_;
  const std::string& where_;
};

// Rows 2 j and 2 j + 1 of a head become rows j and j + D/2.
TensorSource half_split(std::string name, const TensorView& matrix, std::int64_t head_size) {
  return {std::move(name), DType::kF32, matrix.shape, [=](const ByteSink& sink) {
            for (std::int64_t row = 0; row < matrix.rows(); ++row) {
              const std::int64_t head = row / head_size, in_head = row % head_size, half = head_size / 2;
              const std::int64_t from = head * head_size + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
              const TensorView part = matrix.slice_rows(from, 1);
              sink({static_cast<const std::byte*>(part.data), part.bytes()});
            }
          }};
}

struct Arrays {
  TensorView embedding, attention_norms, q, k, v, o, mlp_norms, gate, down, up, final_norm, head;
};

Arrays read_arrays(WeightCursor& cursor, const Header& h) {
  Arrays a;
  const Shape norms{h.layers, h.hidden};
  if (h.legacy) a.embedding = cursor.take({h.vocab, h.hidden});
  a.attention_norms = cursor.take(norms);
  if (!h.legacy) {
    a.mlp_norms = cursor.take(norms);
    a.final_norm = cursor.take({h.hidden});
    a.embedding = cursor.take({h.vocab, h.hidden});
  }
  a.q = cursor.take({h.layers, h.hidden, h.hidden});
  a.k = cursor.take({h.layers, h.kv_size(), h.hidden});
  a.v = cursor.take({h.layers, h.kv_size(), h.hidden});
  a.o = cursor.take({h.layers, h.hidden, h.hidden});
  if (h.legacy) a.mlp_norms = cursor.take(norms);
  a.gate = cursor.take({h.layers, h.inner, h.hidden});
  a.down = cursor.take({h.layers, h.hidden, h.inner});
  a.up = cursor.take({h.layers, h.inner, h.hidden});
  if (h.legacy) {
    a.final_norm = cursor.take({h.hidden});
    cursor.take({2, h.positions, h.head_size() / 2});  // cosines and sines of the rotation, which follow from the rest
  }
  if (!h.tied) a.head = cursor.take({h.vocab, h.hidden});
  cursor.expect_end();
  return a;
}

// Matrix `layer` of [layers, rows, columns], or vector `layer` of [layers, elements].
TensorView of_layer(const TensorView& stack, std::int64_t layer) {
  TensorView part = stack.slice_rows(layer, 1);
  part.shape = stack.shape.rank == 3 ? Shape{stack.shape[1], stack.shape[2]} : Shape{stack.shape[1]};
  return part;
}

std::vector<TensorSource> tensor_sources(const Arrays& a, const Header& h) {
  std::vector<TensorSource> tensors;
  const auto plain = [&](std::string name, const TensorView& view) {
    tensors.push_back(tensor_source(std::move(name) + ".weight", view, DType::kF32));
  };
  plain("model.embed_tokens", a.embedding);
  plain("model.norm", a.final_norm);
  if (!h.tied) plain("lm_head", a.head);
  for (std::int64_t layer = 0; layer < h.layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    tensors.push_back(half_split(prefix + "self_attn.q_proj.weight", of_layer(a.q, layer), h.head_size()));
    tensors.push_back(half_split(prefix + "self_attn.k_proj.weight", of_layer(a.k, layer), h.head_size()));
    plain(prefix + "self_attn.v_proj", of_layer(a.v, layer));
    plain(prefix + "self_attn.o_proj", of_layer(a.o, layer));
    plain(prefix + "mlp.gate_proj", of_layer(a.gate, layer));
    plain(prefix + "mlp.up_proj", of_layer(a.up, layer));
    plain(prefix + "mlp.down_proj", of_layer(a.down, layer));
    plain(prefix + "input_layernorm", of_layer(a.attention_norms, layer));
    plain(prefix + "post_attention_layernorm", of_layer(a.mlp_norms, layer));
  }
  return tensors;
}

Json config_json(const Header& h) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", h.vocab},
          {"hidden_size", h.hidden},
          {"intermediate_size", h.inner},
          {"num_hidden_layers", h.layers},
          {"num_attention_heads", h.heads},
          {"num_key_value_heads", h.kv_heads},
          {"max_position_embeddings", h.positions},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", h.tied},
          {"bos_token_id", 1},
          {"eos_token_id", 2},
          {"torch_dtype", "float32"}};
}

}  // namespace

void convert_llama2c_model(const fs::path& checkpoint, const fs::path& folder) {
  const std::string where = checkpoint.string();
  const MappedFile file(checkpoint);
  const Header header = read_header(file.bytes(), where);
  WeightCursor cursor(file.bytes(), header.begin, where);
  const Arrays arrays = read_arrays(cursor, header);
  write_safetensors(folder / "model.safetensors", tensor_sources(arrays, header));
  write_file_atomic(folder / "config.json", config_json(header).dump(2) + "\n");
  const Json generation = {{"bos_token_id", 1}, {"eos_token_id", 2}};
  write_file_atomic(folder / "generation_config.json", generation.dump(2) + "\n");
}

void convert_llama2c(const fs::path& checkpoint, const fs::path& tokenizer, const fs::path& folder) {
  convert_llama2c_model(checkpoint, folder);
  convert_llama2c_tokenizer(tokenizer, read_header(MappedFile(checkpoint).bytes(), checkpoint.string()).vocab, folder);
}

}  // namespace attune
