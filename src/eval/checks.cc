#include "eval/checks.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostChecksBytes = std::uint64_t{1} << 28;

const std::array<std::string, 5>& expect_keys() {
  static const std::array<std::string, 5> kKeys = {"equals", "contains", "regex", "choices", "answer"};
  return kKeys;
}

std::vector<Message> messages_of(const Json& row, const std::string& where) {
  if (!row.is_object()) throw BadFile("[{}] expected a JSON object, got {}", where, row.type_name());
  if (row.contains("prompt") == row.contains("messages")) {
    throw BadFile("[{}] expected \"prompt\" or \"messages\", one of them", where);
  }
  Json conversation = row;
  if (row.contains("prompt")) {
    Json messages = Json::array();
    messages.push_back(Json{{"role", "user"}, {"content", json_require<std::string>(row, "prompt", where)}});
    conversation = Json{{"messages", std::move(messages)}};
  }
  std::vector<Message> messages = conversation_from_json(conversation, where).messages;
  if (messages.back().role != "user") {
    throw BadFile("[{}] the last message must be the user's, which the model is to answer; got the role {}", where,
                  messages.back().role);
  }
  return messages;
}

// A text, or a list of texts.
std::vector<std::string> texts_of(const Json& value, const std::string& key, const std::string& where) {
  const Json list = value.is_array() ? value : Json::array({value});
  std::vector<std::string> texts;
  for (const Json& text : list) {
    if (!text.is_string()) {
      throw BadFile("[{}] key \"{}\": expected a string or a list of strings, got {}", where, key, text.type_name());
    }
    texts.push_back(text.get<std::string>());
    if (is_ascii_blank(texts.back())) throw BadFile("[{}] key \"{}\": a text is empty", where, key);
  }
  if (texts.empty()) throw BadFile("[{}] key \"{}\": the list is empty", where, key);
  return texts;
}

std::size_t right_choice(const Json& expect, const std::vector<std::string>& choices, const std::string& where) {
  const auto found = expect.find("answer");
  if (found == expect.end()) throw BadFile("[{}] \"choices\" needs \"answer\", one of them or its index", where);
  if (found->is_string()) {
    const auto text = found->get<std::string>();
    const auto at = std::find(choices.begin(), choices.end(), text);
    if (at == choices.end()) throw BadFile("[{}] the answer \"{}\" is none of the choices", where, text);
    return static_cast<std::size_t>(at - choices.begin());
  }
  const auto index = json_require<std::int64_t>(expect, "answer", where);
  if (index < 0 || index >= std::ssize(choices)) {
    throw BadFile("[{}] key \"answer\": expected an index from 0 to {}, got {}", where, choices.size() - 1, index);
  }
  return static_cast<std::size_t>(index);
}

void read_expect(Check& check, const Json& row) {
  const std::string& where = check.where;
  const auto found = row.find("expect");
  if (found == row.end()) throw BadFile("[{}] key \"expect\" is missing", where);
  const Json& expect = *found;
  if (!expect.is_object()) throw BadFile("[{}] key \"expect\": expected an object, got {}", where, expect.type_name());
  std::vector<std::string> named;
  for (const auto& [key, value] : expect.items()) {
    if (std::find(expect_keys().begin(), expect_keys().end(), key) == expect_keys().end()) {
      throw BadFile("[{}] unknown key \"{}\" in \"expect\"{}", where, key, did_you_mean(key, expect_keys()));
    }
    if (key != "answer") named.push_back(key);
  }
  if (named.size() != 1) {
    throw BadFile("[{}] expected one of equals, contains, regex and choices in \"expect\", got {}", where,
                  named.empty() ? "none" : fmt::format("{}", fmt::join(named, " and ")));
  }
  const std::string& key = named.front();
  if (expect.contains("answer") && key != "choices") {
    throw BadFile("[{}] \"answer\" belongs to \"choices\", not to \"{}\"", where, key);
  }
  if (key == "regex") {
    check.kind = Check::Kind::kRegex;
    check.regex.emplace(json_require<std::string>(expect, "regex", where), where);
    return;
  }
  check.texts = texts_of(expect[key], key, where);
  check.kind = key == "equals"     ? Check::Kind::kEquals
               : key == "contains" ? Check::Kind::kContains
                                   : Check::Kind::kChoices;
  if (check.kind == Check::Kind::kChoices) {
    if (check.texts.size() < 2) throw BadFile("[{}] expected two choices or more, got 1", where);
    check.right = right_choice(expect, check.texts, where);
  }
}

}  // namespace

const char* name_of(Check::Kind kind) {
  static constexpr std::array kNames = {"equals", "contains", "regex", "choices"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<Check> parse_checks(std::string_view text, const std::string& name) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<Check> checks;
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (is_ascii_blank(line)) continue;
    Check check;
    check.where = fmt::format("{}:{}", name, number);
    const Json row = parse_json(line, check.where);
    check.messages = messages_of(row, check.where);
    read_expect(check, row);
    checks.push_back(std::move(check));
  }
  if (checks.empty()) throw BadFile("[{}] the file has no row", name);
  return checks;
}

std::vector<Check> read_checks(const fs::path& file) {
  return parse_checks(read_file(file, kMostChecksBytes), file.string());
}

bool is_right(const Check& check, std::string_view answer) {
  const std::string text = to_valid_utf8(trimmed_ascii(answer));
  switch (check.kind) {
    case Check::Kind::kEquals:
      return std::any_of(check.texts.begin(), check.texts.end(),
                         [&](const std::string& right) { return trimmed_ascii(right) == text; });
    case Check::Kind::kContains:
      return std::all_of(check.texts.begin(), check.texts.end(),
                         [&](const std::string& part) { return text.find(part) != text.npos; });
    case Check::Kind::kRegex: {
      const std::vector<Match> slices = check.regex->find(text);
      return std::any_of(slices.begin(), slices.end(), [](const Match& slice) { return slice.matched; });
    }
    case Check::Kind::kChoices:
      break;
  }
  throw InternalError("[checks] choices are judged by their loss");
}

}  // namespace attune
