#include "cli/general_words.h"

#include "base/error.h"
#include "cli/assets.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostTextBytes = std::uint64_t{1} << 28;

fs::path file_of(const std::string& named, const char* bundled) {
  return named.empty() ? find_assets() / "general" / bundled : fs::path(named);
}

}  // namespace

std::string read_general_text(const std::string& named) {
  return read_file(file_of(named, "text.txt"), kMostTextBytes);
}

std::vector<Check> read_general_questions(const std::string& named) {
  std::vector<Check> questions = read_checks(file_of(named, "questions.jsonl"));
  for (const Check& check : questions) {
    if (check.kind == Check::Kind::kChoices) continue;
    throw BadFile("[{}] expected choices in \"expect\": general questions are answered by loss", check.where);
  }
  return questions;
}

}  // namespace attune
