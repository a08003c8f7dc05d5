#include "hub/spool.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "hub/cache.h"
#include "hub/push.h"
#include "hub/scan.h"

namespace attune {
namespace {

fs::path pending_folder(const fs::path& run) { return run / "hub/pending"; }
std::string step_name(std::int64_t step) { return fmt::format("{:09}", step); }

std::vector<std::int64_t> delivered_steps(const fs::path& run) {
  std::vector<std::int64_t> steps;
  std::ifstream file(run / "hub/delivered.jsonl");
  const std::string where = run / "hub/delivered.jsonl";
  for (std::string line; std::getline(file, line);) {
    try {
      steps.push_back(json_require<std::int64_t>(parse_json(line, where), "step", where));
    } catch (const BadFile&) {
      // A last line cut by a power failure: its push is sent again, which changes nothing.
    }
  }
  return steps;
}

void append_line(const fs::path& path, const Json& line) {
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << to_json_line(line) << '\n';
  if (!file.flush()) throw UserError("[{}] cannot be written", path.string());
}

// A hard link where the file system has them (no bytes, and the checkpoint may be removed), else a copy.
void link_or_copy(const fs::path& from, const fs::path& to) {
  create_folder(to.parent_path());
  std::error_code error;
  fs::create_hard_link(fs::canonical(from), to, error);
  if (error) {
    error.clear();
    fs::copy_file(from, to, error);
  }
  if (error) throw UserError("[{}] cannot be written: {}", to.string(), error.message());
}

struct Waiting {
  Repo repo;
  PushOptions options;
  std::string step_branch;  // made at the commit; empty: none
};

Waiting read_waiting(const fs::path& folder) {
  const std::string where = folder / "push.json";
  const Json json = parse_json(read_file(where, 1 << 20), where);
  const auto text = [&](const char* key) { return json_require<std::string>(json, key, where); };
  Waiting waiting;
  waiting.repo = make_repo(RepoType::kModel, text("repo"));
  waiting.options.message = text("message");
  waiting.options.mark = text("mark");
  waiting.options.tag = text("tag");
  waiting.step_branch = text("branch");
  waiting.options.is_private = json_require<bool>(json, "private", where);
  return waiting;
}

void deliver(HubApi& api, const fs::path& run, const fs::path& folder, std::int64_t step) {
  const Waiting waiting = read_waiting(folder);
  const PushFiles files = collect_push_files(folder / "files");
  ScanOptions options;
  options.own_secrets = {api.account().token};
  options.cancelled = api.http().options().cancelled;
  if (const auto findings = scan(files, options); !findings.empty()) {
    throw UserError(
        "[{}] step {} is not pushed: {}:{} holds what looks like a {}; push the checkpoint yourself with: attune push",
        run.string(), step, findings[0].path, findings[0].line, private_kind_name(findings[0].kind));
  }
  const PushResult result = push(api, waiting.repo, files, waiting.options);
  if (!waiting.step_branch.empty()) api.create_branch(waiting.repo, waiting.step_branch, result.commit);
  append_line(run / "hub/delivered.jsonl", {{"step", step},
                                            {"repo", waiting.repo.id},
                                            {"commit", result.commit},
                                            {"tag", waiting.options.tag},
                                            {"branch", waiting.step_branch}});
  // push.json goes first: a folder without it waits for nothing, however far the removal came.
  std::error_code ignored;
  fs::remove(folder / "push.json", ignored);
  fs::remove_all(folder, ignored);
}

}  // namespace

std::vector<std::string> spool_push(const fs::path& run, const PushTarget& target, const fs::path& folder,
                                    std::int64_t step, const std::string& message) {
  if (last_spooled_step(run) >= step) return {};
  const Repo repo = make_repo(RepoType::kModel, target.repo);
  CardOptions card;
  card.base_model = target.base_model;
  card.license = target.license;
  const PreparedPush prepared = prepare_push(folder, repo, card);
  const fs::path place = pending_folder(run) / step_name(step);
  std::error_code ignored;
  fs::remove_all(place, ignored);  // what a removal left behind; it has no push.json
  AtomicFolder waiting(place);
  std::vector<std::string> paths;
  for (const PushFile& file : prepared.files.files) {
    paths.push_back(file.path);
    const fs::path to = waiting.temporary() / "files" / file.path;
    if (file.text) {
      create_folder(to.parent_path());
      write_file_atomic(to, *file.text);
    } else {
      link_or_copy(file.source, to);
    }
  }
  const std::string name = fmt::format("step-{:06}", step);
  write_file_atomic(waiting.temporary() / "push.json", Json{{"repo", repo.id},
                                                            {"private", target.is_private},
                                                            {"message", message},
                                                            {"tag", target.tag_per_step ? name : ""},
                                                            {"branch", target.branch_per_step ? name : ""},
                                                            {"mark", new_mark()}}
                                                               .dump(2) +
                                                           "\n");
  waiting.commit();
  return paths;
}

std::vector<std::int64_t> pending_pushes(const fs::path& run) {
  std::vector<std::int64_t> steps;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(pending_folder(run), ignored)) {
    const std::string name = entry.path().filename();
    const bool number = name.size() == 9 && name.find_first_not_of("0123456789") == name.npos;
    if (number && fs::exists(entry.path() / "push.json")) steps.push_back(std::stoll(name));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::int64_t last_spooled_step(const fs::path& run) {
  std::int64_t last = -1;
  for (const std::int64_t step : pending_pushes(run)) last = std::max(last, step);
  for (const std::int64_t step : delivered_steps(run)) last = std::max(last, step);
  return last;
}

PushDelivery deliver_pending_pushes(const fs::path& run, HubApi& api) {
  PushDelivery delivery;
  if (pending_pushes(run).empty()) return delivery;
  const CacheLock lock(run / "hub/lock");
  const auto waiting = pending_pushes(run);
  delivery.pending = static_cast<int>(waiting.size());
  if (!lock.held()) {
    delivery.problem = fmt::format("[{}] another process is delivering its pushes", run.string());
    return delivery;
  }
  for (const std::int64_t step : waiting) {
    try {
      deliver(api, run, pending_folder(run) / step_name(step), step);
    } catch (const Interrupted&) {
      throw;
    } catch (const UserError& error) {
      delivery.problem = error.what();
      return delivery;
    }
    ++delivery.delivered;
    --delivery.pending;
  }
  return delivery;
}

PushDelivery deliver_pending_pushes(const fs::path& run) {
  if (pending_pushes(run).empty()) return {};
  HubApi api(hub_account_from_environment());
  return deliver_pending_pushes(run, api);
}

}  // namespace attune
