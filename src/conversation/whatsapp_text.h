// What the text of a WhatsApp entry is: the sender's words, or a notice, a picture's place-holder, a call,
// ... WhatsApp writes these in the phone's language. Structure tells most of them apart in any language: the
// mark U+200E before generated text, angle brackets, "file.ext (words)", and repetition; phrases
// (whatsapp_phrases.h) the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conversation/chat_log.h"

namespace attune {

// How often each piece of possibly generated text occurs in a file: what repeats word for word is generated.
class WhatsAppRepeats {
 public:
  void count(std::string_view raw);
  std::uint32_t of(const std::string& folded) const;

 private:
  std::unordered_map<std::string, std::uint32_t> counts_;
};

struct WhatsAppText {
  std::optional<Drop> drop;
  std::string text;             // the sender's words when `drop` is empty
  bool edited = false;          // an "edited" marker was removed
  bool unknown_notice = false;  // dropped as kSystem only because of its mark
};

// `raw` is the text after "Name: ", lines separated by '\n', marks still in it.
WhatsAppText classify_whatsapp_text(std::string_view raw, const WhatsAppRepeats& repeats);

// Whether what stands before ": " in an entry belongs to a notice that holds a colon: `Anna changed the
// subject to "Trip: Rome"`.
bool is_notice_before_colon(std::string_view before);

}  // namespace attune
