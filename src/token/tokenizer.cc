#include "token/tokenizer.h"

#include "base/error.h"
#include "token/gguf_vocabulary.h"
#include "token/sentencepiece_tokenizer.h"
#include "token/tokenizer_config.h"
#include "token/tokenizer_json.h"

namespace attune {

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& model_folder) {
  constexpr std::uint64_t kMaxBytes = 256 << 20;
  if (is_gguf_path(model_folder)) {
    return make_gguf_tokenizer(read_gguf_vocabulary(GgufFile(model_folder)), model_folder.string());
  }
  if (!fs::is_directory(model_folder)) {
    throw UserError("[{}] expected a model folder; it does not exist or is no folder", model_folder.string());
  }
  const TokenizerConfig config = read_tokenizer_config(model_folder);
  if (const fs::path path = model_folder / "tokenizer.json"; fs::exists(path)) {
    return make_json_tokenizer(read_file(path, kMaxBytes), config, path.string());
  }
  if (const fs::path path = model_folder / "tokenizer.model"; fs::exists(path)) {
    return make_sentencepiece_tokenizer(read_file(path, kMaxBytes), config, path.string());
  }
  throw UserError("[{}] expected tokenizer.json or tokenizer.model in the model folder, found neither",
                  model_folder.string());
}

}  // namespace attune
