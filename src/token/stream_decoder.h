// Ids to text as they come, for a chat: the concatenation of everything returned equals decode() of all the ids.
#pragma once

#include <string>
#include <vector>

#include "token/tokenizer.h"

namespace attune {

// One thread at a time. Keeps a reference to the tokenizer.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that can be printed now that `id` has come: valid UTF-8, possibly empty. Held back: bytes that do not yet
  // make a character, and a run of byte-fallback tokens, which later bytes may turn invalid.
  std::string push(TokenId id);

  // What was held back; the decoder then begins anew.
  std::string finish();

 private:
  std::string take();

  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<TokenId> recent_;  // the last ids: enough for what follows to decode as it does after all of them
  std::size_t shown_ = 0;        // bytes of decode(recent_) that were returned
};

}  // namespace attune
