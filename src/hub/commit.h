// A commit that happens once. The Hub may commit and its answer still be lost, so a commit is never sent again before the
// branch was looked at: each carries a mark in its description by which it is found in the history.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hub/api.h"

namespace attune {

struct CommitFile {
  std::string path;
  bool lfs = false;
  std::string sha256;  // of a large file
  std::uint64_t size = 0;
  std::function<std::string()> content;  // of a regular one: its bytes
};

struct CommitText {
  std::string summary, description;
  std::string mark;  // unique to this commit; a line of its own, "Push-Id: MARK", ends the description
};

// The ndjson body. Throws UserError for a path that no repository may hold.
std::string commit_lines(const CommitText& text, const std::string& parent, const std::vector<CommitFile>& files);

// The commit with this mark among the newest of the branch, if any.
std::optional<std::string> find_commit(HubApi& api, const Repo& repo, const std::string& branch,
                                       const std::string& mark);

// Commits on top of the branch as it is now. After an answer that was lost, or a server in trouble, looks whether the commit
// is there before it sends another; when somebody else committed meanwhile, builds on theirs. Throws HubError and
// TransportError when it stays impossible; then nothing of this mark is in the branch, as far as the server tells.
std::string commit_once(HubApi& api, const Repo& repo, const std::string& branch, const CommitText& text,
                        const std::vector<CommitFile>& files);

}  // namespace attune
