// Which tokens a cache file holds: everything that they are a function of, as one digest.
#pragma once

#include <span>
#include <string>

#include "base/file.h"
#include "token/chat_template.h"
#include "train/recipe.h"

namespace attune {

// SHA-256 (hex) over the bytes of the data files, the tokenizer's files, the chat template and the recipe's keys that
// decide about rows and masks. Files that are only renamed keep it.
std::string token_key(const Recipe& recipe, const ChatTemplate& chat_template, std::span<const fs::path> train,
                      std::span<const fs::path> valid, std::span<const fs::path> replay);

// The folder that recipe.token_cache means for data of so many bytes, or "" for no cache. A template that reads the clock
// is never cached.
fs::path token_cache_folder(const Recipe& recipe, const ChatTemplate& chat_template, std::uint64_t data_bytes);

}  // namespace attune
