// What an OpenAI-compatible endpoint answers (POST .../chat/completions), read with every suspicion.
#pragma once

#include <string>
#include <string_view>

#include "synth/language_model.h"

namespace attune {

// BadFile when it is not what was asked for. Counts that are missing are estimated from the text and `call`.
ModelReply parse_completion(std::string_view body, const ModelCall& call, const std::string& where);

// The message of an error answer, one line of at most 300 characters, or "" when there is none.
std::string completion_error(std::string_view body);

// `text` with every `secret` replaced: an endpoint may say back what it was sent.
std::string without_secret(std::string text, const std::string& secret);

}  // namespace attune
