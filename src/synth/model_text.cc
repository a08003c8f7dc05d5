#include "synth/model_text.h"

#include <algorithm>

#include "base/json.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr int kMaxStarts = 64;  // brackets that may begin the JSON
constexpr std::size_t kMaxExchanges = 1000;

std::string_view without_thoughts(std::string_view text) {
  const std::size_t end = text.rfind("</think>");
  return end == text.npos ? text : text.substr(end + 8);
}

// The length of the JSON value that begins text with a bracket, by its brackets alone; 0: it does not end.
std::size_t value_length(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if ((c == ']' || c == '}') && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

// Calls visit(value) for the JSON lists and objects in the text, outermost first, until it returns true.
template <typename Visit>
bool visit_values(std::string_view text, const Visit& visit) {
  std::size_t at = 0;
  for (int starts = 0; starts < kMaxStarts; ++starts) {
    at = text.find_first_of("[{", at);
    if (at == text.npos) return false;
    const std::size_t length = value_length(text.substr(at));
    if (length > 0) {
      try {
        if (visit(parse_json(text.substr(at, length), "reply"))) return true;
      } catch (const BadFile&) {
        // words in brackets; the JSON may come after them
      }
    }
    ++at;
  }
  return false;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::string(trim(found->get_ref<const std::string&>())) : "";
}

bool read_list(const Json& list, std::vector<Exchange>& exchanges) {
  for (const Json& entry : list) {
    if (!entry.is_object() || exchanges.size() == kMaxExchanges) continue;
    Exchange exchange{text_of(entry, "question"), text_of(entry, "answer")};
    if (!exchange.question.empty() && !exchange.answer.empty()) exchanges.push_back(std::move(exchange));
  }
  return !exchanges.empty();
}

}  // namespace

std::vector<Exchange> parse_exchanges(std::string_view text) {
  std::vector<Exchange> exchanges;
  visit_values(without_thoughts(text), [&](const Json& value) {
    if (value.is_array()) return read_list(value, exchanges);
    for (const Json& member : value) {
      if (member.is_array() && read_list(member, exchanges)) return true;
    }
    return read_list(Json::array({value}), exchanges);
  });
  return exchanges;
}

std::optional<double> parse_score(std::string_view text) {
  std::optional<double> score;
  visit_values(without_thoughts(text), [&](const Json& value) {
    if (!value.is_object()) return false;
    const auto found = value.find("score");
    if (found == value.end() || !found->is_number()) return false;
    const double number = found->get<double>();
    if (number >= 0 && number <= 10) score = number;
    return score.has_value();
  });
  return score;
}

}  // namespace attune
