// The words that somebody wrote in a mail: without what it answers and without the signature.
#pragma once

#include <string>
#include <string_view>

namespace attune {

// Left out: lines that begin with ">", the line before them that says who wrote when ("... wrote:", in any language),
// everything behind a "-----Original Message-----" or Outlook's block of From:, Sent:, To:, Subject:, and everything
// behind "-- ". Answers between quoted lines stay. "" when nothing is left.
std::string own_words(std::string_view mail_text);

// "Re: VÁ: Hétvége" -> "hétvége"; `answers` says whether there was such a word before it.
std::string base_subject(std::string_view subject, bool& answers);

}  // namespace attune
