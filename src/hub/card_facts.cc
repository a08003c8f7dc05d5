// What a run's folder says: run.json, recipe.yaml, metrics.jsonl, and the adapter's own configuration.
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "hub/card.h"
#include "hub/card_check.h"
#include "hub/repo.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostText = std::uint64_t{64} << 20;

std::optional<Json> read_json(const fs::path& path) {
  if (!fs::is_regular_file(path)) return std::nullopt;
  return parse_json(read_file(path, kMostText), path.string());
}

// models--org--name/snapshots/<commit>, as the cache lays them out, to org/name.
std::string repo_of_snapshot(const fs::path& folder) {
  for (const fs::path& part : folder) {
    std::string name = part;
    if (!name.starts_with("models--")) continue;
    name.erase(0, 8);
    if (const std::size_t at = name.find("--"); at != name.npos) name.replace(at, 2, "/");
    if (is_repo_id(name)) return name;
  }
  return {};
}

// A base model by its name on the Hub: a repository's name as it stands, or the one that a folder came from.
std::string hub_name(const std::string& model) {
  std::error_code ignored;
  if (!fs::exists(model, ignored))
    return is_repo_id(model) && model.find('/') != model.npos && model.front() != '.' ? model : "";
  if (const std::string id = repo_of_snapshot(fs::weakly_canonical(model, ignored)); !id.empty()) return id;
  return repo_of_snapshot(model);
}

// The license that a base model's own card names.
void read_base_license(const fs::path& base, CardFacts& facts) {
  const fs::path card = base / "README.md";
  std::error_code ignored;
  if (!fs::is_regular_file(card, ignored)) return;
  const auto front = front_matter(read_file(card, kMostText));
  if (!front) return;
  try {
    const YAML::Node yaml = YAML::Load(*front);
    if (!yaml.IsMap() || !yaml["license"] || !yaml["license"].IsScalar()) return;
    const std::string license = yaml["license"].as<std::string>();
    if (!is_license(license)) return;
    facts.license = license;
    if (yaml["license_name"] && yaml["license_name"].IsScalar())
      facts.license_name = yaml["license_name"].as<std::string>();
    if (yaml["license_link"] && yaml["license_link"].IsScalar())
      facts.license_link = yaml["license_link"].as<std::string>();
    if (license == "other" && (facts.license_name.empty() || facts.license_link.empty())) facts.license = "unknown";
  } catch (const YAML::Exception&) {
    // A base's card is not ours to complain about.
  }
}

// The recipe without what names places of this machine.
std::string public_recipe(const fs::path& path) {
  if (!fs::is_regular_file(path)) return {};
  try {
    YAML::Node yaml = YAML::Load(read_file(path, kMostText));
    if (!yaml.IsMap()) return {};
    for (const char* const key : {"model", "data", "output", "memory", "track", "hub"}) yaml.remove(key);
    YAML::Emitter out;
    out << yaml;
    return std::string(out.c_str()) + "\n";
  } catch (const YAML::Exception& error) {
    throw BadFile("[{}] not valid YAML: {}", path.string(), error.what());
  }
}

// The newest values up to the step that is pushed.
void read_metrics(const fs::path& path, CardFacts& facts) {
  if (!fs::is_regular_file(path)) return;
  const std::string text = read_file(path);
  std::uint64_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == text.npos) return;  // a line being written
    const std::string where = fmt::format("{}:{}", path.string(), ++number);
    const Json line = parse_json(std::string_view(text).substr(begin, end - begin), where);
    begin = end + 1;
    const auto step = json_get<std::int64_t>(line, "step", where);
    if (!step || (facts.step && *step > *facts.step)) continue;
    if (const auto loss = json_get<double>(line, "loss", where)) facts.train_loss = loss;
    if (const auto loss = json_get<double>(line, "eval_loss", where)) {
      if (*step == 0) facts.eval_before = loss;
      facts.eval_after = loss;
    }
    if (const auto rise = json_get<double>(line, "eval_forgetting", where)) facts.forgetting = rise;
    if (const auto kl = json_get<double>(line, "eval_forgetting_kl", where)) facts.forgetting_kl = kl;
  }
}

void read_run(const fs::path& run, CardFacts& facts) {
  const std::string where = run / "run.json";
  const auto json = read_json(run / "run.json");
  if (!json) return;
  facts.data_sha256 = json_get_or<std::string>(*json, "data_sha256", "", where);
  const auto count = [&](const char* group, const char* key) -> std::optional<std::int64_t> {
    const auto found = json->find(group);
    return found == json->end() || found->is_null() ? std::nullopt : json_get<std::int64_t>(*found, key, where);
  };
  facts.train_conversations = count("conversations", "train");
  facts.valid_conversations = count("conversations", "valid");
  facts.tokens_per_epoch = count("tokens_per_epoch", "all");
  facts.trained_parameters = count("parameters", "trained");
  facts.all_parameters = count("parameters", "all");
  if (!facts.step) facts.steps = json_get<std::int64_t>(*json, "steps", where);
  if (const auto versions = json->find("versions"); versions != json->end() && versions->is_object()) {
    for (const char* const name : {"attune", "onednn"}) {
      if (const auto version = json_get<std::string>(*versions, name, where))
        facts.versions.emplace_back(name, *version);
    }
  }
  const auto model = json_get<std::string>(*json, "model", where);
  if (model && facts.base_model.empty()) facts.base_model = hub_name(*model);
  if (model) read_base_license(*model, facts);
}

// The table that attune eval wrote for people: numbers only, nobody's words.
void read_evaluation(const fs::path& path, CardFacts& facts) {
  const auto json = read_json(path);
  if (!json || !json->is_object() || !json->contains("table")) return;
  for (const Json& row : (*json)["table"]) {
    const auto is_text = [](const Json& value) { return value.is_string(); };
    if (!row.is_array() || row.size() < 3 || !std::all_of(row.begin(), row.end(), is_text))
      throw BadFile("[{}] key \"table\": expected rows of texts", path.string());
    if (row[1] == "" && row[2] == "") continue;
    facts.evaluation.push_back({row[0].get<std::string>(), row[1].get<std::string>(), row[2].get<std::string>(),
                                row.size() > 3 ? row[3].get<std::string>() : ""});
  }
  if (const auto verdict = json->find("verdict"); verdict != json->end() && verdict->is_object())
    facts.verdict = json_get_or<std::string>(*verdict, "text", "", path.string());
}

}  // namespace

Pushed detect_what(const fs::path& path, bool dataset) {
  if (dataset) return Pushed::kDataset;
  if (path.extension() == ".gguf") return Pushed::kGguf;
  if (fs::exists(path / "adapter_config.json")) return Pushed::kAdapter;
  if (fs::exists(path / "config.json")) return Pushed::kModel;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".gguf") return Pushed::kGguf;
    }
    if (fs::exists(path / "train.jsonl")) {
      throw UserError("[{}] is a data set; push it with --type dataset", path.string());
    }
  }
  throw UserError("[{}] expected an adapter, a model, a GGUF file or (with --type dataset) conversations",
                  path.string());
}

std::optional<fs::path> run_of(const fs::path& path) {
  std::error_code ignored;
  fs::path folder = fs::weakly_canonical(path, ignored);
  for (int up = 0; up < 2; ++up) {
    folder = folder.parent_path();
    if (fs::is_regular_file(folder / "run.json", ignored) && fs::is_regular_file(folder / "recipe.yaml", ignored))
      return folder;
  }
  return std::nullopt;
}

CardFacts read_card_facts(const fs::path& path, Pushed what, const std::string& repo_id,
                          const std::optional<fs::path>& run) {
  CardFacts facts;
  facts.what = what;
  facts.name = repo_id.substr(repo_id.find('/') == repo_id.npos ? 0 : repo_id.find('/') + 1);
  const std::string where = path / "adapter_config.json";
  if (const auto config = what == Pushed::kAdapter ? read_json(where) : std::nullopt) {
    facts.peft_version = json_get_or<std::string>(*config, "peft_version", "", where);
    const std::string base = json_get_or<std::string>(*config, "base_model_name_or_path", "", where);
    facts.base_model = hub_name(base);
    if (!base.empty()) read_base_license(base, facts);
  }
  if (!run) return facts;
  if (const auto state = read_json(path / "state.json"))
    facts.step = json_get<std::int64_t>(*state, "step", path / "state.json");
  read_run(*run, facts);
  facts.recipe = public_recipe(*run / "recipe.yaml");
  read_metrics(*run / "metrics.jsonl", facts);
  if (!facts.step) read_evaluation(*run / "eval.json", facts);  // it measured the run's result, no checkpoint
  return facts;
}

}  // namespace attune
