#include "eval/run_samples.h"

#include <algorithm>

#include "base/json.h"
#include "token/template_parts.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostSampleBytes = std::uint64_t{1} << 20;

// The samples that the file has; none when there is no file, or none of ours.
Json samples_in(const fs::path& file) {
  if (!fs::exists(file)) return Json::array();
  const Json json = Json::parse(read_file(file, kMostSampleBytes), nullptr, false);
  return json.is_object() && json.contains("samples") && json["samples"].is_array() ? json["samples"] : Json::array();
}

// What stands before a user's words and after them in rendered prompts.
struct UserTurn {
  std::string before, after;
};

// Nothing where the template does not tell.
UserTurn user_turn_of(const ChatTemplate& chat_template) {
  const auto parts =
      parts_around(chat_template, {{"user", "qqfirstqq"}, {"assistant", "qqanswerqq"}, {"user", "qqsecondqq"}});
  if (!parts) return {};
  return {common_end((*parts)[0], (*parts)[2]), (*parts)[3]};
}

}  // namespace

void write_run_samples(const fs::path& file, std::int64_t step, const std::vector<RunSample>& samples) {
  const Json known = step > 0 ? samples_in(file) : Json::array();
  Json written = {{"step", step}, {"samples", Json::array()}};
  for (const RunSample& sample : samples) {
    Json json = {{"prompt", sample.prompt}};
    if (step == 0) {
      json["base"] = sample.answer;
    } else {
      const auto before = std::ranges::find_if(known, [&](const Json& one) {
        return one.is_object() && one.contains("base") && one.value("prompt", Json()) == sample.prompt &&
               one.value("person", Json()) == sample.person;
      });
      if (before != known.end()) json["base"] = (*before)["base"];
      json["tuned"] = sample.answer;
    }
    json["person"] = sample.person;
    written["samples"].push_back(std::move(json));
  }
  write_file_atomic(file, written.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string last_question(const std::string& prompt, const ChatTemplate& chat_template) {
  const UserTurn turn = user_turn_of(chat_template);
  if (turn.before.empty() || !prompt.ends_with(turn.after)) return prompt;
  const std::size_t end = prompt.size() - turn.after.size(), begin = prompt.rfind(turn.before, end);
  if (begin == prompt.npos || begin + turn.before.size() > end) return prompt;
  std::size_t words = begin + turn.before.size();
  while (words < end && prompt[words] == ' ') ++words;  // SentencePiece puts one before the first word of a part
  return prompt.substr(words, end - words);
}

}  // namespace attune
