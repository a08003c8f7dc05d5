// The "decoder" of a tokenizer.json: turns token strings back into text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace attune {

class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

struct Decoder {
  std::vector<std::unique_ptr<const DecoderStep>> steps;  // in order
  bool joins_with_spaces = false;                         // the file names no decoder
  bool byte_level = false;                                // has a ByteLevel step
  bool byte_fallback = false;                             // has a ByteFallback step
};

// Supports Sequence, ByteLevel, ByteFallback, Replace, Fuse, Strip, Metaspace and BPEDecoder. Throws BadFile and
// Unsupported.
Decoder read_decoder(const Json& value, const std::string& where);

std::string decode_tokens(const Decoder& decoder, std::vector<std::string> tokens);

// The byte of a byte-fallback token "<0x0A>"; -1 for other tokens.
int byte_of_fallback_token(std::string_view token);

}  // namespace attune
