// attune push: an adapter, a model, a GGUF file or a data set to the Hub. What is sent is shown and looked through first.
#include "hub/push.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/hub_session.h"
#include "hub/scan.h"

namespace attune {
namespace {

struct PushArguments {
  std::string path, repo, type = "model";
  CardOptions card;
  PushOptions push;
  std::vector<std::string> allowed;
  bool is_public = false, yes = false, dry_run = false, json = false;
};

void show(const PreparedPush& prepared, const Repo& repo, const PushArguments& options, const HubAccount& account) {
  std::uint64_t total = 0;
  fmt::print("to        {}{}, branch {}{}\n", account.endpoint, page_path(repo), options.push.branch,
             options.push.tag.empty() ? "" : ", tag " + options.push.tag);
  for (const PushFile& file : prepared.files.files) {
    fmt::print("  {:>10}  {}{}\n", format_bytes(static_cast<double>(file.size)), file.path,
               file.source.empty() ? "  (written now)"
               : file.text         ? "  (local path left out)"
                                   : "");
    total += file.size;
  }
  fmt::print("files     {}, {}\n", prepared.files.files.size(), format_bytes(static_cast<double>(total)));
  for (const std::string& left_out : prepared.files.left_out) fmt::print("left out  {}\n", left_out);
  for (const std::string& note : prepared.notes) fmt::print("note      {}\n", note);
  std::fflush(stdout);
}

// Nothing is sent that was not agreed to: at the terminal, or with --yes.
void confirm(const PushArguments& options) {
  if (options.yes) return;
  if (isatty(STDIN_FILENO) != 1)
    throw UserError("[push] expected --yes, since nobody is here to be asked; look at the list above first");
  fmt::print("Send these files{}? [y/N] ", options.is_public ? " for everybody to see" : "");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "y" && answer != "Y" && answer != "yes") throw UserError("[push] nothing was sent");
}

void run_push(PushArguments& options) {
  const Repo repo = make_repo(parse_repo_type(options.type), options.repo);
  check_revision(options.push.branch);
  if (!options.push.tag.empty()) check_revision(options.push.tag);
  watch_interrupts();
  const HubAccount account = hub_account_from_environment();
  const PreparedPush prepared = prepare_push(options.path, repo, options.card);
  if (!options.json) show(prepared, repo, options, account);

  ScanOptions look;
  look.allowed = options.allowed;
  look.own_secrets = {account.token};
  look.cancelled = interrupt_requested;
  if (const auto findings = scan(prepared.files, look); !findings.empty()) {
    fmt::print(stderr, "{}", to_text(findings));
    throw UserError(
        "[push] nothing was sent: {} above look{} like secrets or personal data; remove what is, and accept what is "
        "not with "
        "--allow FILE:LINE",
        findings.size() == 1 ? "the line" : fmt::format("the {} places", findings.size()),
        findings.size() == 1 ? "s" : "");
  }
  if (options.dry_run) {
    if (!options.json) fmt::print("sent      nothing (--dry-run)\n");
    return;
  }
  confirm(options);

  if (options.push.message.empty())
    options.push.message =
        fmt::format("Push {} with attune", fs::path(options.path).lexically_normal().filename().string());
  options.push.is_private = !options.is_public;
  TransferBar bar;
  options.push.on_progress = [&](const char* action, std::uint64_t done, std::uint64_t total) {
    bar.update(action, done, total);
  };
  HubApi api = open_hub(account);
  const PushResult result = push(api, repo, prepared.files, options.push);
  bar.finish();
  if (options.json) {
    const Json json = {{"repo", repo.id},           {"commit", result.commit},       {"branch", options.push.branch},
                       {"tag", options.push.tag},   {"created", result.created},     {"private", result.is_private},
                       {"changed", result.changed}, {"unchanged", result.unchanged}, {"sent_bytes", result.sent_bytes}};
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  fmt::print("pushed    {} files changed, {} as they were; {} of large files sent\n", result.changed, result.unchanged,
             format_bytes(static_cast<double>(result.sent_bytes)));
  fmt::print("commit    {}{}/commit/{}\n", account.endpoint, page_path(repo), result.commit);
  fmt::print("seen by   {}\n", result.is_private ? "you alone (private)" : "everybody (public)");
}

}  // namespace

void add_push_command(CLI::App& app) {
  const auto options = std::make_shared<PushArguments>();
  CLI::App* const command = app.add_subcommand("push", "Publish a result on the Hugging Face Hub (private by default)");
  command->add_option("PATH", options->path, "Adapter, model or data folder, or a .gguf file")->required();
  command->add_option("REPO", options->repo, "Repository, e.g. me/pete; made when missing")->required();
  command->add_option("--type", options->type, "model or dataset")->capture_default_str();
  command->add_option("--branch", options->push.branch, "Branch; made from main when missing")->capture_default_str();
  command->add_option("--tag", options->push.tag, "Tag to set on the commit");
  command->add_option("-m,--message", options->push.message, "First line of the commit");
  command->add_flag("--public", options->is_public, "Everybody may see a repository that is made now");
  command
      ->add_option("--allow", options->allowed,
                   "Accept a finding of the scan: FILE:LINE, FILE, email, phone, iban or card (repeat it)")
      ->take_all()
      ->expected(1);
  command->add_option("--run", options->card.run,
                      "Run that the card tells of, for a merged model or a .gguf file; absent: the one PATH lies in");
  command->add_option("--base-model", options->card.base_model, "Repository of the base model, for the card");
  command->add_option("--license", options->card.license, "License for the card, as the Hub names it, e.g. apache-2.0");
  command->add_option("--license-name", options->card.license_name, "With --license other: its name");
  command->add_option("--license-link", options->card.license_link, "With --license other: where it can be read");
  command->add_option("--language", options->card.languages, "Language for the card, e.g. hu (repeat it)")
      ->take_all()
      ->expected(1);
  command->add_flag("--dry-run", options->dry_run, "Show and look through what would be sent, and send nothing");
  command->add_flag("-y,--yes", options->yes, "Send without asking");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->footer(
      "Example: attune push runs/pete/adapter me/pete\n"
      "\n"
      "The token with write access comes from HF_TOKEN or the Hub's token file. Before anything is sent, the files are "
      "listed\n"
      "and searched for tokens, private keys, e-mail addresses, telephone numbers and IBANs; names cannot be "
      "recognised. A\n"
      "model card is written from the run unless the folder has a README.md. What the repository has already is not "
      "sent\n"
      "again, so an interrupted push is simply repeated.");
  command->callback([options] { run_push(*options); });
}

}  // namespace attune
