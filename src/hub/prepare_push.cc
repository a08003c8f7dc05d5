// What would be pushed, made up on this machine: the files, the card, the adapter's configuration.
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/json.h"
#include "hub/card_check.h"
#include "hub/push.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostCard = std::uint64_t{8} << 20;

const PushFile* find(const PushFiles& files, const std::string& path) {
  for (const PushFile& file : files.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

// adapter_config.json with the base model's name in place of a path of this machine.
void name_the_base(PreparedPush& push, const std::string& base_model) {
  const PushFile* const file = find(push.files, "adapter_config.json");
  if (file == nullptr) return;
  Json config = parse_json(text_of(*file, kMostCard), file->source.string());
  const std::string written = json_get_or<std::string>(config, "base_model_name_or_path", "", file->source.string());
  std::string name = base_model;
  if (name.empty()) {
    fs::path folder = fs::path(written).lexically_normal();
    if (folder.filename().empty()) folder = folder.parent_path();
    name = folder.filename();
    push.notes.push_back(fmt::format(
        "the base model's repository is not known, so the adapter says only \"{}\"; name it with --base-model ORG/NAME",
        name));
  }
  if (name == written) return;
  config["base_model_name_or_path"] = name;
  put_file(push.files, {"adapter_config.json", file->source, config.dump(2) + "\n", 0});
}

CardFacts with_options(CardFacts facts, const CardOptions& options) {
  if (!options.base_model.empty()) facts.base_model = make_repo(RepoType::kModel, options.base_model).id;
  if (!options.license.empty()) {
    facts.license = options.license;
    facts.license_name = options.license_name;
    facts.license_link = options.license_link;
  }
  if (!options.languages.empty()) facts.languages = options.languages;
  return facts;
}

std::optional<fs::path> run_to_tell_of(const fs::path& path, const CardOptions& options) {
  if (options.run.empty()) return run_of(path);
  if (!fs::exists(options.run / "run.json") || !fs::exists(options.run / "recipe.yaml")) {
    throw UserError("[--run] {} is not a run; name a folder that attune train made", options.run.string());
  }
  return options.run;
}

}  // namespace

PreparedPush prepare_push(const fs::path& path, const Repo& repo, const CardOptions& options) {
  PreparedPush push;
  const bool dataset = repo.type == RepoType::kDataset;
  push.files = collect_push_files(path);
  push.what = detect_what(path, dataset);
  const CardFacts facts =
      with_options(read_card_facts(path, push.what, repo.id, run_to_tell_of(path, options)), options);
  if (push.what == Pushed::kAdapter) name_the_base(push, facts.base_model);
  push.own_card = find(push.files, "README.md") != nullptr;
  if (!push.own_card) {
    std::string card = write_card(facts);
    if (const std::size_t at = card.find("THIS_REPOSITORY"); at != card.npos) card.replace(at, 15, repo.id);
    put_file(push.files, {"README.md", {}, std::move(card), 0});
    if (facts.license == "unknown")
      push.notes.push_back("the card says license: unknown; name it with --license, e.g. apache-2.0");
  }
  const auto problems = check_card(text_of(*find(push.files, "README.md"), kMostCard), dataset);
  if (!problems.empty()) throw UserError("[README.md] {}; correct it and push again", fmt::join(problems, "; "));
  return push;
}

}  // namespace attune
