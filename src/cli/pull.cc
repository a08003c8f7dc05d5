// attune pull: a repository of the Hub into the cache, or into a folder.
#include "hub/pull.h"

#include <fmt/format.h>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/hub_session.h"

namespace attune {
namespace {

struct PullArguments {
  std::string repo, type = "model", output;
  PullOptions pull;
  bool json = false;
};

void run_pull(PullArguments& options) {
  const Repo repo = make_repo(parse_repo_type(options.type), options.repo);
  if (!options.output.empty() && fs::exists(options.output)) {
    throw UserError("[{}] already exists; choose another name or remove it", options.output);
  }
  watch_interrupts();
  HubApi api = open_hub(hub_account_from_environment());
  TransferBar bar;
  options.pull.on_progress = [&](std::uint64_t done, std::uint64_t total, const std::string& path) {
    bar.update("pulling", done, total, path);
  };
  const PullResult result = pull(api, repo, options.pull);
  bar.finish();
  if (!options.output.empty()) copy_snapshot(result.snapshot, options.output);
  const std::string place = options.output.empty() ? result.snapshot.string() : options.output;
  if (options.json) {
    const Json json = {{"repo", repo.id},
                       {"revision", options.pull.revision},
                       {"commit", result.commit},
                       {"path", place},
                       {"files", result.files},
                       {"bytes", result.bytes},
                       {"fetched_bytes", result.fetched}};
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  fmt::print("pulled    {} at {}: {} files, {}; {} of them fetched now\n", repo.id, result.commit.substr(0, 12),
             result.files, format_bytes(static_cast<double>(result.bytes)),
             format_bytes(static_cast<double>(result.fetched)));
  fmt::print("path      {}\n", place);
  if (repo.type == RepoType::kModel && fs::exists(fs::path(place) / "config.json")) {
    fmt::print("next      attune chat {}\n", options.output.empty() ? repo.id : place);
  }
}

}  // namespace

void add_pull_command(CLI::App& app) {
  const auto options = std::make_shared<PullArguments>();
  CLI::App* const command = app.add_subcommand("pull", "Get a model or a data set from the Hugging Face Hub");
  command->add_option("REPO", options->repo, "Repository, e.g. mistralai/Mistral-7B-v0.1")->required();
  command->add_option("--revision", options->pull.revision, "Branch, tag or commit")->capture_default_str();
  command->add_option("--type", options->type, "model or dataset")->capture_default_str();
  command->add_option("--file", options->pull.files, "Only this file (several: repeat it)")->take_all()->expected(1);
  command->add_option("-o,--output", options->output, "Copy it to this folder as well; must not exist");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->footer(
      "Example: attune pull mistralai/Mistral-7B-v0.1\n"
      "\n"
      "Files lie in the cache that huggingface_hub and transformers use (HF_HUB_CACHE, else HF_HOME/hub), so nothing "
      "is\n"
      "fetched twice; an interrupted pull goes on where it was. Every file is checked against its digest. Private and "
      "gated\n"
      "repositories need your token in HF_TOKEN or in the Hub's token file. Afterwards the name of the repository "
      "stands for\n"
      "its folder: attune chat REPO.");
  command->callback([options] { run_pull(*options); });
}

}  // namespace attune
