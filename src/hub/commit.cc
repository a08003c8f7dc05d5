#include "hub/commit.h"

#include <algorithm>

#include "base/base64.h"

namespace attune {
namespace {

constexpr int kMostAttempts = 6;

std::string mark_line(const std::string& mark) { return "Push-Id: " + mark; }

}  // namespace

std::string commit_lines(const CommitText& text, const std::string& parent, const std::vector<CommitFile>& files) {
  const std::string description =
      text.description.empty() ? mark_line(text.mark) : text.description + "\n\n" + mark_line(text.mark);
  Json header = {{"summary", text.summary}, {"description", description}};
  if (!parent.empty()) header["parentCommit"] = parent;
  std::string lines = to_json_line({{"key", "header"}, {"value", std::move(header)}}) + "\n";
  for (const CommitFile& file : files) {
    check_repo_path(file.path, "commit");
    Json value;
    if (file.lfs) {
      value = {{"path", file.path}, {"algo", "sha256"}, {"oid", file.sha256}, {"size", file.size}};
    } else {
      value = {{"content", base64(file.content())}, {"path", file.path}, {"encoding", "base64"}};
    }
    lines += to_json_line({{"key", file.lfs ? "lfsFile" : "file"}, {"value", std::move(value)}}) + "\n";
  }
  return lines;
}

std::optional<std::string> find_commit(HubApi& api, const Repo& repo, const std::string& branch,
                                       const std::string& mark) {
  for (const PastCommit& commit : api.history(repo, branch)) {
    if (commit.message.find(mark_line(mark)) != commit.message.npos) return commit.oid;
  }
  return std::nullopt;
}

std::string commit_once(HubApi& api, const Repo& repo, const std::string& branch, const CommitText& text,
                        const std::vector<CommitFile>& files) {
  double wait = api.retry().first_wait;
  for (int attempt = 1;; ++attempt) {
    double asked = 0;
    const std::string parent = api.repo_info(repo, branch).sha;
    try {
      return api.commit(repo, branch, commit_lines(text, parent, files)).oid;
    } catch (const HubError& error) {
      const bool passes = error.kind() == HubError::Kind::kBusy || error.kind() == HubError::Kind::kConflict;
      if (!passes || attempt == kMostAttempts || error.asked_wait() > api.retry().longest_asked) throw;
      asked = error.asked_wait();
    } catch (const TransportError& error) {
      if (!error.may_pass() || attempt == kMostAttempts) throw;
    } catch (const BadFile&) {
      if (attempt == kMostAttempts) throw;  // an answer cut short
    }
    wait_unless_cancelled(api.http(), std::max(wait, asked));
    wait = std::min(wait * 2, api.retry().longest_wait);
    if (const auto there = find_commit(api, repo, branch, text.mark)) return *there;
  }
}

}  // namespace attune
