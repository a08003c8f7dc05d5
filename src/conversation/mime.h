// Mail messages (RFC 5322, MIME): the fields that matter and the text, in UTF-8 whatever they were sent in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct Mail {
  std::string name, address;  // of the sender; the address in lower case
  std::string subject;
  std::string id;                       // Message-ID without brackets
  std::vector<std::string> references;  // of the mails before it in its thread, oldest first (References, In-Reply-To)
  std::string date;                     // the Date header as it stands
  std::optional<std::int64_t> time;     // what it says in seconds since 1970, UTC
  bool automatic = false;               // sent by a program: an answer on holiday, a bounce
  bool attachments = false;
  std::string text;  // the plain text part, else the HTML part as text
};

// Broken mail is read as far as it goes: there is no mail that throws.
Mail parse_mail(std::string_view message);

// RFC 2047: "=?utf-8?Q?J=C3=B3?=" -> "Jó".
std::string decode_header(std::string_view value);
// Bytes of a charset by its MIME name -> UTF-8, through iconv; what is no such text, or an unknown charset, as UTF-8 with
// U+FFFD for what is none.
std::string decode_charset(std::string_view bytes, std::string_view charset);
std::string decode_quoted_printable(std::string_view text, bool header = false);
std::string decode_base64(std::string_view text);

// HTML as text: paragraphs and breaks as lines, entities as characters; quotations (blockquote), scripts and styles left
// out.
std::string html_text(std::string_view html);

}  // namespace attune
