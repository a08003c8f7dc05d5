#include "train/token_key.h"

#include <cstdlib>

#include "base/digest.h"

namespace attune {
namespace {

// Raised when the same input would give other tokens than before.
constexpr int kEncoding = 1;
constexpr std::uint64_t kWorthCaching = 16'000'000;  // bytes; less is tokenized in a moment

std::string file_digest(const fs::path& path) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  const MappedFile file(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  Sha256 digest;
  for (std::size_t at = 0; at < bytes.size(); at += kStep) digest.update(bytes.substr(at, kStep));
  return digest.hex();
}

}  // namespace

std::string token_key(const Recipe& recipe, const ChatTemplate& chat_template, std::span<const fs::path> train,
                      std::span<const fs::path> valid, std::span<const fs::path> replay) {
  std::string parts = fmt::format("tokens {}\nmax_length {}\nassistant_only_loss {}\neval_share {}\neval_max {}\n",
                                  kEncoding, recipe.train.max_length, recipe.train.assistant_only_loss,
                                  recipe.eval.eval_share, recipe.eval.eval_max);
  parts += fmt::format("template {}\n", sha256_hex(chat_template.source()));
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"}) {
    const fs::path file = fs::path(recipe.model) / name;
    if (fs::exists(file)) parts += fmt::format("{} {}\n", name, file_digest(file));
  }
  for (const fs::path& file : train) parts += fmt::format("train {}\n", file_digest(file));
  for (const fs::path& file : valid) parts += fmt::format("valid {}\n", file_digest(file));
  for (const fs::path& file : replay)
    parts += fmt::format("replay {} {}\n", recipe.train.replay_ratio, file_digest(file));
  return sha256_hex(parts);
}

fs::path token_cache_folder(const Recipe& recipe, const ChatTemplate& chat_template, std::uint64_t data_bytes) {
  if (recipe.token_cache == "none" || chat_template.source().find("strftime_now") != std::string::npos) return "";
  if (recipe.token_cache != "auto") return recipe.token_cache;
  if (data_bytes < kWorthCaching) return "";
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return fs::path(cache) / "attune" / "tokens";
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? fs::path(home) / ".cache" / "attune" / "tokens" : fs::path();
}

}  // namespace attune
