// WhatsApp's own phrases in exports, in the languages of its interface. They are needed only where structure
// does not tell (see whatsapp_text.cc): a phrase missing here is mostly still caught by its mark, its angle
// brackets or its repetition. All are folded with fold_phrase().
#pragma once

#include <string_view>

namespace attune {

// Each takes text folded by fold_phrase() and is safe to call from several threads.
bool is_deleted_phrase(std::string_view folded);  // "this message was deleted", whole text
bool is_omitted_phrase(std::string_view folded);  // "image omitted", whole text
bool is_contact_phrase(std::string_view folded);  // "contact card omitted", whole text
// "missed voice call", whole text; with the mark also "voice call, 5 min".
bool is_call_phrase(std::string_view folded, bool marked);
bool is_live_location_phrase(std::string_view folded);
bool is_edited_phrase(std::string_view folded);  // "this message was edited", without its brackets
bool is_notice_phrase(std::string_view folded);  // begins like the encryption or security-code notice
bool has_group_phrase(std::string_view folded);  // contains "changed the subject", "created group", ...

}  // namespace attune
