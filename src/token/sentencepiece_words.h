// Whether the words of a SentencePiece model are encoded independently of each other, so that each can be looked up in
// a cache. The library merges over a whole text at once, which costs it more than the merges themselves.
//
// They are when the model is a BPE without rules of normalization that keeps every space, and no piece has a space (or
// U+2581, which stands for one) after another character: then no merge joins the characters on both sides of the place before a space that
// follows another character. Such are the models of Llama 2 and Mistral.
#pragma once

#include <string_view>
#include <vector>

#include "token/tokenizer.h"

namespace attune {

// `model`: bytes of a ModelProto (sentencepiece_model.proto) that the library took. False too where the bytes are not
// understood.
bool has_independent_words(std::string_view model);

// The parts of `text`, in order and without gaps: each but the first begins with a space that follows neither a space nor
// a U+2581.
std::vector<std::string_view> independent_words(std::string_view text);

}  // namespace attune
