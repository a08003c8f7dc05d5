// The sentences that the two reports share.
#pragma once

#include <cstdint>
#include <string>

#include "check/data_check.h"

namespace attune {

std::string range_of(const LengthSummary::Bin& bin);  // "100-149"
std::uint64_t tallest(const LengthSummary& lengths);  // rows of the fullest bin, at least 1
std::string epoch_sentence(const DataCheck& check);   // tokens, and how many are trained on
std::string length_sentence(const LengthSummary& lengths);
std::string cut_sentence(const DataCheck& check);  // what max_length cuts, and which one is suggested
std::string language_sentence(const LanguageShare& share);

}  // namespace attune
