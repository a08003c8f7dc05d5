// An evaluation for people: base and tuned side by side, and in one sentence whether it is good.
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "eval/evaluate.h"

namespace attune {
namespace {

// The share of training answers that come word for word beyond that of the held-out ones, above which a model knows
// them by heart.
constexpr double kKnownByHeart = 0.05;

using Format = std::string (*)(double);

std::string with_3_digits(double x) { return fmt::format("{:.3f}", x); }
std::string with_1_digit(double x) { return fmt::format("{:.1f}", x); }
std::string percent(double x) { return fmt::format("{:.1f}%", 100 * x); }
std::string signed_percent(double x) { return fmt::format("{:+.1f}%", 100 * x); }
std::string whole(double x) { return fmt::format("{:.0f}", x); }

// The value at a JSON pointer, if it is a number.
std::optional<double> number_at(const Json& json, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json[at].is_number()) return std::nullopt;
  return json[at].get<double>();
}

// A row of the table: a number for each column that has one.
struct Row {
  const char* name;
  const char* pointer;  // {} stands for base, tuned, person
  Format format;
};

constexpr Row kRows[] = {
    {"held-out loss", "/held_out/{}/loss", with_3_digits},
    {"held-out perplexity", "/held_out/{}/perplexity", with_1_digit},
    {"words in an answer, median", "/style/{}/words/median", with_1_digit},
    {"words in an answer, mean", "/style/{}/words/mean", with_1_digit},
    {"words in an answer, 90% below", "/style/{}/words/p90", with_1_digit},
    {"answers that end by themselves", "/style/{}/end_of_turn", percent},
    {"distance in length", "/style/{}/distance/length", with_3_digits},
    {"distance in words", "/style/{}/distance/words", with_3_digits},
    {"distance in punctuation", "/style/{}/distance/punctuation", with_3_digits},
    {"distance in style, mean of the three", "/style/{}/distance/mean", with_3_digits},
    {"general text: loss", "/forgetting/text/{}/loss", with_3_digits},
    {"general text: KL to the base", "/forgetting/text/{}/kl", with_3_digits},
    {"general answers: loss", "/forgetting/questions/{}/loss", with_3_digits},
    {"general answers: KL to the base", "/forgetting/questions/{}/kl", with_3_digits},
    {"general questions: right by loss", "/forgetting/questions/{}/right", percent},
    {"training answers word for word", "/leak/training/{}/share", percent},
    {"held-out answers word for word", "/leak/held_out/{}/share", percent},
    {"personal data in answers", "/personal_data/{}/found", whole},
    {"  of it from the training data", "/personal_data/{}/in_training_data", whole},
};

constexpr const char* kColumns[] = {"base", "tuned", "person"};

void add_row(Json& table, const Json& json, const std::string& name, std::string_view pointer, Format format) {
  Json row = Json::array({name});
  bool any = false;
  for (const char* const column : kColumns) {
    std::string path(pointer);
    path.replace(path.find("{}"), 2, column);
    const auto value = number_at(json, path);
    any = any || value;
    row.push_back(value ? format(*value) : "");
  }
  if (any) table.push_back(std::move(row));
}

// The quantized forms stand under the voice that was measured.
void add_quantization(Json& table, const Json& json) {
  if (!json.contains("quantization_loss")) return;
  const Json& part = json["quantization_loss"];
  const auto add = [&](const std::string& name, const std::string& text) {
    const bool tuned = part["of"] == "tuned";
    table.push_back(Json::array({name, tuned ? "" : text, tuned ? text : "", ""}));
  };
  if (const auto loss = number_at(part, "/stored/loss")) add("loss with the weights as stored", with_3_digits(*loss));
  for (const char* const form : {"nf4", "int8"}) {
    const auto loss = number_at(part, fmt::format("/{}/loss", form));
    const auto kl = number_at(part, fmt::format("/{}/kl", form));
    if (loss) add(fmt::format("loss with the weights in {}", form), with_3_digits(*loss));
    if (kl) add(fmt::format("  KL of {} to the weights as stored", form), fmt::format("{:.4f}", *kl));
  }
}

void add_canaries(Json& table, const Json& json) {
  const Json leak = json.value("leak", Json::object());
  if (!leak.contains("canary_totals")) return;
  const std::size_t count = leak["canaries"].size();
  Json told = Json::array({"canaries told"}), exposed = Json::array({"canaries, highest exposure in bits"});
  for (const char* const column : kColumns) {
    const auto voice = leak["canary_totals"].find(column);
    const bool measured = voice != leak["canary_totals"].end();
    told.push_back(measured ? fmt::format("{} of {}", voice->at("told").get<int>(), count) : "");
    exposed.push_back(measured ? with_1_digit(voice->at("highest_exposure").get<double>()) : "");
  }
  table.push_back(std::move(told));
  table.push_back(std::move(exposed));
}

void add_checks(Json& table, const Json& json) {
  if (!json.contains("checks")) return;
  const Json& checks = json["checks"];
  const auto add = [&](const std::string& name, const std::string& count, const std::string& right) {
    Json row = Json::array({name});
    for (const char* const column : kColumns) {
      std::string path(right);
      path.replace(path.find("{}"), 2, column);
      const auto value = number_at(checks, path);
      row.push_back(value ? fmt::format("{:.0f} of {:.0f}", *value, number_at(checks, count).value_or(0)) : "");
    }
    table.push_back(std::move(row));
  };
  add("checks right", "/count", "/{}/right");
  for (const auto& [kind, counts] : checks["kinds"].items()) {
    add("  " + kind, "/kinds/" + kind + "/count", "/kinds/" + kind + "/{}");
  }
}

// Width on a terminal; every character of the table takes one column.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return right ? space + text : text + space;
}

// What is wrong, each as a phrase.
std::vector<std::string> problems_of(const Json& json) {
  std::vector<std::string> problems;
  const auto before = number_at(json, "/held_out/base/loss"), after = number_at(json, "/held_out/tuned/loss");
  if (before && after && *after >= *before) problems.push_back("the held-out loss did not fall");
  const auto far = number_at(json, "/style/base/distance/mean"), near = number_at(json, "/style/tuned/distance/mean");
  if (far && near && *near >= *far) problems.push_back("the style did not come closer");
  if (const auto ended = number_at(json, "/style/tuned/end_of_turn"); ended && *ended < 0.9) {
    problems.push_back(fmt::format("{} of the answers do not end by themselves", percent(1 - *ended)));
  }
  const auto increase = number_at(json, "/forgetting/loss_increase"), budget = number_at(json, "/forgetting/budget");
  if (increase && budget && *increase > *budget) {
    problems.push_back(fmt::format("forgets: the loss on general text or answers rises by {} and the budget is {}",
                                   percent(*increase), percent(*budget)));
  }
  const auto known = number_at(json, "/leak/training/tuned/share");
  const auto guessed = number_at(json, "/leak/held_out/tuned/share").value_or(0);
  if (known && *known - guessed > kKnownByHeart) {
    problems.push_back(fmt::format("knows training answers by heart: {} word for word, of the held-out ones {}",
                                   percent(*known), percent(guessed)));
  }
  const Json canaries = json.contains("leak") ? json["leak"].value("canaries", Json::array()) : Json::array();
  const auto learnt = std::ranges::count_if(canaries, [](const Json& canary) {
    const Json voice = canary.value("tuned", canary.value("base", Json::object()));
    return voice.value("told", false) || voice.value("rank", 0) == 1;
  });
  if (learnt > 0) problems.push_back(fmt::format("knows {} of {} canaries", learnt, canaries.size()));
  const auto told = number_at(json, "/personal_data/tuned/in_training_data");
  if (told && *told > 0) {
    problems.push_back(fmt::format("tells personal data of the training data in {:.0f} places", *told));
  }
  return problems;
}

// What was measured, each as a phrase.
std::vector<std::string> facts_of(const Json& json) {
  std::vector<std::string> facts;
  const auto add = [&](const char* name, const char* pointer, Format format) {
    const std::string path(pointer);
    std::vector<std::string> values;
    for (const char* const voice : {"base", "tuned"}) {
      std::string at = path;
      at.replace(at.find("{}"), 2, voice);
      if (const auto value = number_at(json, at)) values.push_back(format(*value));
    }
    if (!values.empty()) facts.push_back(fmt::format("{} {}", name, fmt::join(values, " → ")));
  };
  add("held-out loss", "/held_out/{}/loss", with_3_digits);
  add("distance in style", "/style/{}/distance/mean", with_3_digits);
  if (const auto increase = number_at(json, "/forgetting/loss_increase")) {
    facts.push_back("loss on general text and answers " + signed_percent(*increase));
  }
  if (json.contains("leak")) facts.push_back("nothing leaks that these tests can see");
  if (json.contains("checks")) {
    const char* const voice = json["checks"].contains("tuned") ? "tuned" : "base";
    facts.push_back(fmt::format("{} of {} checks right", json["checks"][voice]["right"].get<std::int64_t>(),
                                json["checks"]["count"].get<std::int64_t>()));
  }
  return facts;
}

}  // namespace

Json table_of(const Json& evaluation) {
  Json table = Json::array();
  for (const Row& row : kRows) add_row(table, evaluation, row.name, row.pointer, row.format);
  add_canaries(table, evaluation);
  add_quantization(table, evaluation);
  add_checks(table, evaluation);
  return table;
}

Json verdict_of(const Json& evaluation) {
  const std::vector<std::string> problems = problems_of(evaluation);
  if (!problems.empty()) return {{"good", false}, {"text", fmt::format("{}", fmt::join(problems, "; "))}};
  return {{"good", true}, {"text", fmt::format("{}", fmt::join(facts_of(evaluation), "; "))}};
}

std::string to_text(const Json& evaluation) {
  std::vector<std::vector<std::string>> rows = {{"", kColumns[0], kColumns[1], kColumns[2]}};
  for (const Json& row : evaluation["table"]) rows.push_back(row.get<std::vector<std::string>>());
  std::array<std::size_t, 4> widths{};
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < widths.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  const auto used = [&](std::size_t column) {
    return std::any_of(rows.begin() + 1, rows.end(), [&](const auto& row) { return !row[column].empty(); });
  };
  std::string text;
  for (const auto& row : rows) {
    std::string line = padded(row[0], widths[0], false);
    for (std::size_t c = 1; c < widths.size(); ++c) {
      if (used(c)) line += "  " + padded(row[c], widths[c], true);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  const Json& verdict = evaluation["verdict"];
  return text + fmt::format("\n{:<9}{}\n", verdict["good"].get<bool>() ? "good" : "look at",
                            verdict["text"].get<std::string>());
}

}  // namespace attune
