#include "export/gguf_model.h"

#include <cmath>
#include <map>
#include <numbers>

#include "base/error.h"
#include "export/merged_weights.h"
#include "model/gguf_names.h"
#include "token/chat_template.h"
#include "token/encode.h"
#include "token/gguf_vocabulary.h"

namespace attune {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;

// Texts in which tokenizers like to differ.
constexpr std::string_view kProbes[] = {"Hello, world!",
                                        " two  spaces, three   spaces",
                                        "line\nline\n\n\tindented\r\n",
                                        "Árvíztűrő tükörfúrógép, 12345.67 Ft",
                                        "don't I'LL we've",
                                        "日本語 и русский 😀👩‍💻",
                                        "x=1;y=\"a_b\"//c"};

// One number per frequency, which divides it (INTEROP section 5).
std::vector<float> rope_factors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto original = static_cast<double>(scaling.original_max_position);
  std::vector<float> factors;
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config.head_dim);
    const double wavelength = 2 * std::numbers::pi * std::pow(config.rope_theta, exponent);
    if (wavelength < original / scaling.high_freq_factor) {
      factors.push_back(1.0f);
    } else if (wavelength > original / scaling.low_freq_factor) {
      factors.push_back(static_cast<float>(scaling.factor));
    } else {
      const double smooth =
          (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
      factors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / scaling.factor + smooth)));
    }
  }
  return factors;
}

GgufTensorSource rope_source(const ModelConfig& config) {
  return {"rope_freqs.weight",
          &gguf_type(DType::kF32),
          {config.head_dim / 2},
          [factors = rope_factors(config)](const ByteSink& sink) { sink(std::as_bytes(std::span(factors))); }};
}

std::vector<GgufTensorSource> tensor_sources(const MergedWeights& weights, const GgufExport& options) {
  const ModelConfig& config = weights.config();
  std::vector<GgufTensorSource> sources;
  if (config.rope_scaling.kind == RopeScaling::Kind::kLlama3) sources.push_back(rope_source(config));
  for (const CheckpointTensor& entry : weights.tensors()) {
    const WeightFormat format = gguf_format_of(entry.tensor, config, options.dtype);
    std::function<std::int64_t(std::int64_t)> row_of;
    if (gguf_reorders(config, entry.tensor)) {
      row_of = [head_dim = config.head_dim](std::int64_t row) { return gguf_source_row(row, head_dim); };
    }
    sources.push_back({gguf_name(entry.tensor), &gguf_type_of(format), entry.tensor.shape,
                       [&weights, &entry, format, row_of, where = options.model.string()](const ByteSink& sink) {
                         write_rows(sink, weights, entry, format, where, row_of);
                       }});
  }
  return sources;
}

// llama.cpp ends an answer at eos: that must be what ends a turn in this template.
std::optional<TokenId> end_of_turn_token(const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  if (const auto id = tokenizer.id_of(chat_template.habits().end_of_turn)) return id;
  for (const TokenId id : stop_tokens(chat_template, tokenizer)) {
    if (id != tokenizer.eos) return id;
  }
  return tokenizer.eos;
}

void compare_tokenizers(GgufExported& result, const Tokenizer& ours, const Tokenizer& theirs,
                        const std::optional<ChatTemplate>& chat_template) {
  std::vector<std::string> texts(std::begin(kProbes), std::end(kProbes));
  if (chat_template) texts.push_back(chat_template->render({{"user", "Hi there"}}, true));
  for (const std::string& text : texts) {
    ++result.probes;
    result.probes_differ += ours.encode(text) == theirs.encode(text) ? 0 : 1;
  }
}

}  // namespace

std::vector<GgufEntry> architecture_entries(const ModelConfig& config, const std::string& where) {
  const std::string architecture(gguf_architecture(config.family));
  if (config.family == Family::kQwen3 && config.qkv_bias) {
    throw Unsupported("[{}] key \"attention_bias\": llama.cpp has no biases in architecture qwen3", where);
  }
  std::vector<GgufEntry> entries = {{"general.architecture", architecture}};
  const auto add = [&](const char* name, GgufValue value) {
    entries.emplace_back(architecture + "." + name, std::move(value));
  };
  const auto whole = [&](const char* name, std::int64_t value) { add(name, static_cast<std::uint32_t>(value)); };
  const auto real = [&](const char* name, double value) { add(name, static_cast<float>(value)); };
  whole("block_count", config.layers);
  whole("context_length", config.max_position);
  whole("embedding_length", config.hidden_size);
  whole("feed_forward_length", config.intermediate_size);
  whole("attention.head_count", config.heads);
  whole("attention.head_count_kv", config.kv_heads);
  real("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  whole("attention.key_length", config.head_dim);
  whole("attention.value_length", config.head_dim);
  if (config.sliding_window > 0) whole("attention.sliding_window", config.sliding_window);
  real("rope.freq_base", config.rope_theta);
  whole("rope.dimension_count", config.head_dim);
  whole("vocab_size", config.vocab_size);
  if (config.rope_scaling.kind == RopeScaling::Kind::kLinear) {
    add("rope.scaling.type", std::string("linear"));
    real("rope.scaling.factor", config.rope_scaling.factor);
  }
  return entries;
}

GgufExported export_gguf(const GgufExport& options, const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  if (fs::exists(options.output)) {
    throw UserError("[{}] already exists; choose another name or remove it", options.output.string());
  }
  const MergedWeights weights(options.model, options.adapter);
  const auto tokenizer = load_tokenizer(options.model);
  const std::optional<ChatTemplate> chat_template = find_chat_template(options.model);
  GgufVocabulary vocabulary = read_gguf_vocabulary(options.model, weights.config().vocab_size);
  if (options.add_bos) vocabulary.add_bos = *options.add_bos && vocabulary.bos.has_value();

  GgufExported result;
  std::vector<GgufEntry> entries = architecture_entries(weights.config(), options.model.string());
  const fs::path name = options.model.filename().empty() ? options.model.parent_path() : options.model;
  const std::vector<GgufEntry> general = {{"general.type", std::string("model")},
                                          {"general.name", name.filename().string()},
                                          {"general.file_type", gguf_file_type(options.dtype)},
                                          {"general.quantization_version", kQuantizationVersion}};
  entries.insert(entries.begin() + 1, general.begin(), general.end());
  if (chat_template) {
    vocabulary.eos = end_of_turn_token(*chat_template, *tokenizer);
    if (vocabulary.eos) result.end_of_turn = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.eos)];
  }
  for (GgufEntry& entry : gguf_entries(vocabulary)) entries.push_back(std::move(entry));
  if (chat_template) {
    if (vocabulary.eos)
      entries.emplace_back("tokenizer.ggml.eot_token_id", static_cast<std::uint32_t>(*vocabulary.eos));
    entries.emplace_back("tokenizer.chat_template", chat_template->source());
  }
  compare_tokenizers(result, *tokenizer, *make_gguf_tokenizer(vocabulary, options.model.string()), chat_template);

  const std::vector<GgufTensorSource> sources = tensor_sources(weights, options);
  write_gguf(options.output, entries, sources, progress);
  std::map<std::string, int> types;
  for (const GgufTensorSource& source : sources) ++types[std::string(source.type->name)];
  result.types.assign(types.begin(), types.end());
  result.bytes = fs::file_size(options.output);
  return result;
}

}  // namespace attune
