#include "token/gguf_pre.h"

#include <array>
#include <vector>

#include "base/error.h"

namespace attune {
namespace {

// Words may take one mark before them, digits go by three (Llama 3) or one (Qwen 2).
#define WORDS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define MARKS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
constexpr std::array<GgufPre, 5> kPres = {{
    {"gpt-2", false, "", false, false},
    {"smollm", true, "", false, false},
    {"llama-bpe", false, WORDS "\\p{N}{1,3}" MARKS, true, false},
    {"qwen2", false, WORDS "\\p{N}" MARKS, false, true},
    {"tekken", false,
     "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
     "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
     "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     true, false},
}};
#undef WORDS
#undef MARKS

// Names that mean the same as one above.
struct Alias {
  std::string_view name, of;
};
constexpr std::array<Alias, 8> kAliases = {{{"llama3", "llama-bpe"},
                                            {"llama-v3", "llama-bpe"},
                                            {"pixtral", "llama-bpe"},
                                            {"phi-2", "gpt-2"},
                                            {"deepseek-r1-qwen", "qwen2"},
                                            {"starcoder", "smollm"},
                                            {"refact", "smollm"},
                                            {"command-r", "smollm"}}};

// The steps of a pre-tokenizer, a sequence opened.
void collect(const Json& value, std::vector<Json>& steps) {
  if (value.is_object() && value.value("type", Json()) == "Sequence") {
    if (const auto list = value.find("pretokenizers"); list != value.end() && list->is_array()) {
      for (const Json& step : *list) collect(step, steps);
      return;
    }
  }
  steps.push_back(value);
}

bool is_digits(const Json& step) {
  return step.value("type", Json()) == "Digits" && step.value("individual_digits", Json()) == true;
}

bool is_split(const Json& step, std::string_view regex) {
  if (step.value("type", Json()) != "Split" || step.value("invert", Json(false)) != false) return false;
  return step.value("behavior", Json()) == "Isolated" &&
         step.value("pattern", Json::object()).value("Regex", "") == regex;
}

bool is_bytes(const Json& step, bool with_regex) {
  return step.value("type", Json()) == "ByteLevel" && step.value("add_prefix_space", Json(true)) == false &&
         step.value("use_regex", Json(true)) == with_regex;
}

bool has_rules(const std::vector<Json>& steps, const GgufPre& pre) {
  std::size_t at = 0;
  const auto next = [&](const auto& is) { return at < steps.size() && steps[at].is_object() && is(steps[at]) && ++at; };
  if (pre.digits && !next(is_digits)) return false;
  if (!pre.regex.empty() && !next([&](const Json& step) { return is_split(step, pre.regex); })) return false;
  return next([&](const Json& step) { return is_bytes(step, pre.regex.empty()); }) && at == steps.size();
}

}  // namespace

const GgufPre& recognise_gguf_pre(const Json& pre_tokenizer, const std::string& where) {
  std::vector<Json> steps;
  collect(pre_tokenizer, steps);
  for (const GgufPre& pre : kPres) {
    if (has_rules(steps, pre)) return pre;
  }
  throw Unsupported("[{}] splits text in a way for which attune knows no name of llama.cpp's: GGUF would mis-tokenize",
                    where);
}

const GgufPre& find_gguf_pre(const std::string& name, const std::string& where) {
  std::string_view known = name;
  for (const Alias& alias : kAliases) {
    if (name == alias.name) known = alias.of;
  }
  for (const GgufPre& pre : kPres) {
    if (pre.name == known) return pre;
  }
  throw Unsupported(
      "[{}] key tokenizer.ggml.pre: \"{}\" is not supported; expected gpt-2, smollm, llama-bpe, qwen2 or tekken", where,
      name);
}

Json pre_tokenizer_json(const GgufPre& pre) {
  Json steps = Json::array();
  if (pre.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (!pre.regex.empty()) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pre.regex}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", pre.regex.empty()}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

}  // namespace attune
