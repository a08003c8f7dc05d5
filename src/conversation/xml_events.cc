#include "conversation/xml_events.h"

#include <expat.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <memory>

#include "base/error.h"
#include "base/freed.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxReferenceBytes = 12;
constexpr std::size_t kMaxElementBytes = std::size_t{1} << 28;  // a picture of an MMS lies in an attribute

using Parser = std::unique_ptr<std::remove_pointer_t<XML_Parser>, FreedBy<XML_ParserFree>>;

struct State {
  const XmlHandler& handler;
  XML_Parser parser = nullptr;
  std::exception_ptr thrown{};  // no exception may pass through expat, which is C
};

void guarded(State& state, const auto& action) {
  if (state.thrown) return;
  try {
    action();
  } catch (...) {
    state.thrown = std::current_exception();
    XML_StopParser(state.parser, XML_FALSE);
  }
}

void on_start(void* user, const XML_Char* name, const XML_Char** attributes) {
  auto& state = *static_cast<State*>(user);
  guarded(state, [&] {
    XmlAttributes values;
    for (; *attributes != nullptr; attributes += 2) values[attributes[0]] = attributes[1];
    state.handler.start(name, values);
  });
}

void on_end(void* user, const XML_Char* name) {
  auto& state = *static_cast<State*>(user);
  guarded(state, [&] { state.handler.end(name); });
}

void on_entity(void* user, const XML_Char*, int, const XML_Char*, int, const XML_Char*, const XML_Char*,
               const XML_Char*, const XML_Char*) {
  auto& state = *static_cast<State*>(user);
  guarded(state, [] { throw BadFile("the document declares entities of its own; no chat program does"); });
}

struct Reference {
  std::uint32_t value = 0;
  std::size_t length = 0;  // 0: there is none
};

// "&#55357;" or "&#xD83D;" at the beginning of the text.
Reference reference_at(std::string_view text) {
  if (!text.starts_with("&#")) return {};
  const bool hex = text.substr(2).starts_with('x');
  const std::size_t digits = hex ? 3 : 2;
  const std::size_t end = text.substr(0, kMaxReferenceBytes).find(';');
  if (end == std::string_view::npos) return {};
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(text.data() + digits, text.data() + end, value, hex ? 16 : 10);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + end) return {};
  return {value, end + 1};
}

bool is_high(std::uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(std::uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// What XML 1.0 allows as a character.
bool is_allowed(std::uint32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0xD800) ||
         (c >= 0xE000 && c < 0x110000 && c != 0xFFFE && c != 0xFFFF);
}

}  // namespace

std::string join_surrogate_references(std::string_view xml) {
  std::string joined;
  joined.reserve(xml.size());
  for (std::size_t i = 0; i < xml.size();) {
    const std::size_t next = std::min(xml.find("&#", i), xml.size());
    joined.append(xml, i, next - i);
    if (next == xml.size()) break;
    i = next;
    const Reference first = reference_at(xml.substr(i));
    if (first.length == 0 || is_allowed(first.value)) {
      const std::size_t length = std::max<std::size_t>(first.length, 2);
      joined.append(xml, i, length);
      i += length;
      continue;
    }
    i += first.length;
    const Reference second = is_high(first.value) ? reference_at(xml.substr(i)) : Reference{};
    if (is_low(second.value)) {
      append_utf8(joined, 0x10000 + ((first.value - 0xD800) << 10) + (second.value - 0xDC00));
      i += second.length;
    } else {
      append_utf8(joined, U'\uFFFD');
    }
  }
  return joined;
}

void read_xml(const PagedText& text, const std::string& source, const XmlHandler& handler) {
  const Parser parser(XML_ParserCreate("UTF-8"));
  if (!parser) throw InternalError("expat: out of memory");
  State state{handler, parser.get()};
  XML_SetUserData(parser.get(), &state);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetEntityDeclHandler(parser.get(), on_entity);
  const auto place = [&] { return fmt::format("{}:{}", source, XML_GetCurrentLineNumber(parser.get())); };
  for (std::size_t begin = 0; begin < text.size();) {
    // A piece ends in front of a tag, so that no reference is divided; a body full of text may have none.
    std::size_t end = std::min(begin + kPieceBytes, text.size());
    if (end < text.size()) {
      const std::size_t tag = text.all().rfind('<', end);
      if (tag != std::string_view::npos && tag > begin)
        end = tag;
      else
        end = std::min(text.all().find('<', end), text.size());
    }
    if (end - begin > kMaxElementBytes) throw BadFile("[{}] a tag of more than {} bytes", place(), kMaxElementBytes);
    const std::string piece = join_surrogate_references(text.view(begin, end - begin));
    begin = end;
    const auto status = XML_Parse(parser.get(), piece.data(), static_cast<int>(piece.size()), begin == text.size());
    if (state.thrown) {
      try {
        std::rethrow_exception(state.thrown);
      } catch (const BadFile& error) {
        throw BadFile("[{}] {}", place(), error.what());
      }
    }
    if (status == XML_STATUS_ERROR) {
      const XML_Error code = XML_GetErrorCode(parser.get());
      const bool cut = begin == text.size() && (code == XML_ERROR_NO_ELEMENTS || code == XML_ERROR_UNCLOSED_TOKEN ||
                                                code == XML_ERROR_PARTIAL_CHAR);
      throw BadFile("[{}] {}: {}", place(), cut ? "the file ends in the middle; it is cut off" : "not valid XML",
                    XML_ErrorString(code));
    }
  }
  if (text.size() == 0) throw BadFile("[{}] the file is empty", source);
}

}  // namespace attune
