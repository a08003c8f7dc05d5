#include "hub/card_check.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "hub/repo.h"

namespace attune {
namespace {

// https://huggingface.co/docs/hub/repositories-licenses
constexpr auto kLicenses = std::to_array<std::string_view>({"apache-2.0",
                                                            "mit",
                                                            "openrail",
                                                            "bigscience-openrail-m",
                                                            "creativeml-openrail-m",
                                                            "bigscience-bloom-rail-1.0",
                                                            "bigcode-openrail-m",
                                                            "afl-3.0",
                                                            "artistic-2.0",
                                                            "bsl-1.0",
                                                            "bsd",
                                                            "bsd-2-clause",
                                                            "bsd-3-clause",
                                                            "bsd-3-clause-clear",
                                                            "c-uda",
                                                            "cc",
                                                            "cc0-1.0",
                                                            "cc-by-2.0",
                                                            "cc-by-2.5",
                                                            "cc-by-3.0",
                                                            "cc-by-4.0",
                                                            "cc-by-sa-3.0",
                                                            "cc-by-sa-4.0",
                                                            "cc-by-nc-2.0",
                                                            "cc-by-nc-3.0",
                                                            "cc-by-nc-4.0",
                                                            "cc-by-nd-4.0",
                                                            "cc-by-nc-nd-3.0",
                                                            "cc-by-nc-nd-4.0",
                                                            "cc-by-nc-sa-2.0",
                                                            "cc-by-nc-sa-3.0",
                                                            "cc-by-nc-sa-4.0",
                                                            "cdla-sharing-1.0",
                                                            "cdla-permissive-1.0",
                                                            "cdla-permissive-2.0",
                                                            "wtfpl",
                                                            "ecl-2.0",
                                                            "epl-1.0",
                                                            "epl-2.0",
                                                            "etalab-2.0",
                                                            "eupl-1.1",
                                                            "eupl-1.2",
                                                            "agpl-3.0",
                                                            "gfdl",
                                                            "gpl",
                                                            "gpl-2.0",
                                                            "gpl-3.0",
                                                            "lgpl",
                                                            "lgpl-2.1",
                                                            "lgpl-3.0",
                                                            "isc",
                                                            "h-research",
                                                            "intel-research",
                                                            "lppl-1.3c",
                                                            "ms-pl",
                                                            "apple-ascl",
                                                            "apple-amlr",
                                                            "mpl-2.0",
                                                            "odc-by",
                                                            "odbl",
                                                            "openmdw-1.0",
                                                            "openrail++",
                                                            "osl-3.0",
                                                            "postgresql",
                                                            "ofl-1.1",
                                                            "ncsa",
                                                            "unlicense",
                                                            "zlib",
                                                            "pddl",
                                                            "lgpl-lr",
                                                            "deepfloyd-if-license",
                                                            "fair-noncommercial-research-license",
                                                            "llama2",
                                                            "llama3",
                                                            "llama3.1",
                                                            "llama3.2",
                                                            "llama3.3",
                                                            "llama4",
                                                            "grok2-community",
                                                            "gemma",
                                                            "unknown",
                                                            "other"});

class Checker {
 public:
  explicit Checker(const YAML::Node& yaml) : yaml_(yaml) {}
  std::vector<std::string> problems;

  void run(bool dataset) {
    license();
    text_or_texts(
        "language", [](const std::string& code) { return code.size() >= 2 && code.size() <= 12; },
        "a language code such as hu");
    text_or_texts(
        "tags", [](const std::string& tag) { return !tag.empty(); }, "a word");
    if (dataset) return;
    text_or_texts(
        "base_model", [](const std::string& id) { return is_repo_id(id); }, "a repository such as org/name");
    text_or_texts(
        "datasets", [](const std::string& id) { return is_repo_id(id); }, "a repository such as org/name");
    one_of("base_model_relation", {"adapter", "finetune", "quantized", "merge"});
    if (yaml_["base_model_relation"] && !yaml_["base_model"]) complain("base_model_relation needs base_model");
    text("library_name");
    text("pipeline_tag");
    model_index();
  }

 private:
  void complain(const std::string& problem) { problems.push_back(problem); }

  std::optional<std::string> text(const char* key) {
    const YAML::Node node = yaml_[key];
    if (!node || node.IsNull()) return std::nullopt;
    if (node.IsScalar()) return node.as<std::string>();
    complain(fmt::format("{}: expected a text", key));
    return std::nullopt;
  }

  void one_of(const char* key, std::initializer_list<std::string_view> names) {
    const auto value = text(key);
    if (value && std::find(names.begin(), names.end(), *value) == names.end())
      complain(fmt::format("{}: \"{}\" is not known", key, *value));
  }

  template <typename Rule>
  void text_or_texts(const char* key, const Rule& rule, const char* expected) {
    const YAML::Node node = yaml_[key];
    if (!node || node.IsNull()) return;
    const auto check = [&](const YAML::Node& value) {
      if (!value.IsScalar() || !rule(value.as<std::string>())) complain(fmt::format("{}: expected {}", key, expected));
    };
    if (!node.IsSequence()) return check(node);
    for (const YAML::Node& value : node) check(value);
  }

  void license() {
    const YAML::Node node = yaml_["license"];
    if (!node || node.IsNull()) return;
    text_or_texts(
        "license", [](const std::string& name) { return is_license(name); },
        "an identifier of the Hub such as apache-2.0");
    if (node.IsScalar() && node.as<std::string>() == "other" && (!text("license_name") || !text("license_link"))) {
      complain("license: other needs license_name and license_link");
    }
  }

  // [{name, results: [{task: {type}, dataset: {name, type}, metrics: [{type, value}]}]}]
  void model_index() {
    const YAML::Node index = yaml_["model-index"];
    if (!index || index.IsNull()) return;
    if (!index.IsSequence()) return complain("model-index: expected a list");
    for (const YAML::Node& model : index) {
      if (!model.IsMap() || !model["name"] || !model["results"] || !model["results"].IsSequence()) {
        return complain("model-index: each entry needs name and a list of results");
      }
      for (const YAML::Node& result : model["results"]) {
        const bool whole = result.IsMap() && result["task"] && result["task"].IsMap() && result["task"]["type"] &&
                           result["dataset"] && result["dataset"].IsMap() && result["dataset"]["name"] &&
                           result["dataset"]["type"] && result["metrics"] && result["metrics"].IsSequence();
        if (!whole) return complain("model-index: each result needs task.type, dataset.name, dataset.type and metrics");
        for (const YAML::Node& metric : result["metrics"]) {
          if (!metric.IsMap() || !metric["type"] || !metric["value"])
            return complain("model-index: each metric needs type and value");
        }
      }
    }
  }

  const YAML::Node& yaml_;
};

}  // namespace

bool is_license(const std::string& license) {
  return std::find(kLicenses.begin(), kLicenses.end(), license) != kLicenses.end();
}

std::optional<std::string> front_matter(std::string_view card) {
  const auto line_end = [&](std::size_t from) { return std::min(card.find('\n', from), card.size()); };
  const auto is_rule = [&](std::size_t from, std::size_t end) {
    std::string_view line = card.substr(from, end - from);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    return line == "---";
  };
  if (card.empty() || !is_rule(0, line_end(0))) return std::nullopt;
  const std::size_t begin = line_end(0) + 1;
  for (std::size_t from = begin; from < card.size();) {
    const std::size_t end = line_end(from);
    if (is_rule(from, end)) return std::string(card.substr(begin, from - begin));
    from = end + 1;
  }
  return std::nullopt;
}

std::vector<std::string> check_card(std::string_view card, bool dataset) {
  const auto front = front_matter(card);
  if (!front) return {};
  try {
    const YAML::Node yaml = YAML::Load(*front);
    if (yaml.IsNull()) return {};
    if (!yaml.IsMap()) return {"the YAML at its head is no table of keys"};
    Checker checker(yaml);
    checker.run(dataset);
    return checker.problems;
  } catch (const YAML::Exception& error) {
    return {fmt::format("the YAML at its head is not valid: {}", error.what())};
  }
}

}  // namespace attune
