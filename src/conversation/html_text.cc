// The words of an HTML mail.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/ascii.h"
#include "base/utf8.h"
#include "conversation/mime.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

std::string lower_name(std::string_view tag) {
  std::string name;
  for (const char c : tag) {
    if (!is_ascii_letter(c) && !is_digit(c) && !(c == '/' && name.empty())) break;
    name += lower_ascii(c);
  }
  return name;
}

bool breaks_line(const std::string& name) {
  static constexpr std::array<std::string_view, 14> kBlocks = {"br", "p",  "/p", "div", "/div", "tr",  "li",
                                                               "h1", "h2", "h3", "h4",  "/ul",  "/ol", "hr"};
  return std::find(kBlocks.begin(), kBlocks.end(), name) != kBlocks.end();
}

// The character of an entity without & and ;, or "".
std::string entity(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kNames = {
      {{"amp", "&"},    {"lt", "<"},     {"gt", ">"},     {"quot", "\""},  {"apos", "'"},   {"nbsp", " "},
       {"aacute", "á"}, {"eacute", "é"}, {"iacute", "í"}, {"oacute", "ó"}, {"uacute", "ú"}, {"ouml", "ö"},
       {"uuml", "ü"},   {"auml", "ä"},   {"szlig", "ß"},  {"Aacute", "Á"}, {"Eacute", "É"}, {"Ouml", "Ö"},
       {"Uuml", "Ü"},   {"ndash", "–"},  {"mdash", "—"},  {"hellip", "…"}, {"rsquo", "’"},  {"lsquo", "‘"},
       {"ldquo", "“"},  {"rdquo", "”"}}};
  if (name.starts_with('#')) {
    const bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    std::uint32_t code = 0;
    const char* const begin = name.data() + (hex ? 2 : 1);
    const auto parsed = std::from_chars(begin, name.data() + name.size(), code, hex ? 16 : 10);
    std::string text;
    if (parsed.ec == std::errc() && code > 0 && code < 0x110000 && !(code >= 0xD800 && code < 0xE000)) {
      append_utf8(text, static_cast<char32_t>(code));
    }
    return text;
  }
  for (const auto& [known, text] : kNames) {
    if (name == known) return std::string(text);
  }
  return "";
}

}  // namespace

std::string html_text(std::string_view html) {
  std::string text;
  int quoted = 0;
  for (std::size_t i = 0; i < html.size();) {
    if (html[i] == '<') {
      if (html.substr(i).starts_with("<!--")) {
        const std::size_t end = html.find("-->", i);
        i = end == std::string_view::npos ? html.size() : end + 3;
        continue;
      }
      const std::size_t end = std::min(html.find('>', i), html.size());
      const std::string name = lower_name(html.substr(i + 1, std::min<std::size_t>(end - i - 1, 16)));
      i = end + 1;
      if (name == "script" || name == "style" || name == "head" || name == "title") {
        const std::size_t close = html.find("</" + name, i);
        i = close == std::string_view::npos ? html.size() : close;
      } else if (name == "blockquote") {
        ++quoted;
      } else if (name == "/blockquote") {
        quoted = std::max(quoted - 1, 0);
      } else if (breaks_line(name) && quoted == 0 && !text.ends_with('\n')) {
        text += '\n';
      } else if (name == "br" && quoted == 0) {
        text += '\n';
      }
      continue;
    }
    if (quoted > 0) {
      ++i;
    } else if (html[i] == '&') {
      const std::size_t end = html.substr(0, std::min(html.size(), i + 12)).find(';', i);
      const std::string character = end == std::string_view::npos ? "" : entity(html.substr(i + 1, end - i - 1));
      text += character.empty() ? "&" : character;
      i = character.empty() ? i + 1 : end + 1;
    } else if (html[i] == '\n' || html[i] == '\r' || html[i] == ' ' || html[i] == '\t') {
      if (!text.empty() && text.back() != ' ' && text.back() != '\n') text += ' ';
      ++i;
    } else {
      text += html[i++];
    }
  }
  return std::string(trim(text));
}

}  // namespace attune
