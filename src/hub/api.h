// The calls of the Hub's HTTP API that attune makes. Calls that may be repeated are, as the Hub asks for it; a commit is
// sent once, and what became of it is hub/commit.h's concern.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/retry.h"
#include "hub/account.h"
#include "hub/answers.h"
#include "hub/hub_error.h"
#include "hub/repo.h"

namespace attune {

struct PreuploadFile {
  std::string path, sample;  // sample: the first 512 bytes
  std::uint64_t size = 0;
};

// One thread at a time. Every call throws HubError for an answer that is no success, TransportError when there is none,
// BadFile when it is not understood, Interrupted when cancelled.
class HubApi {
 public:
  explicit HubApi(HubAccount account, std::function<bool()> cancelled = interrupt_requested, RetryPolicy retry = {});

  RepoInfo repo_info(const Repo& repo, const std::string& revision);
  std::vector<TreeFile> tree(const Repo& repo, const std::string& revision);
  std::vector<PastCommit> history(const Repo& repo, const std::string& revision);  // the newest page
  Refs refs(const Repo& repo);

  // False when it exists already. A token that may not create, for a repository that exists, is no error.
  bool create_repo(const Repo& repo, bool is_private);
  bool create_branch(const Repo& repo, const std::string& branch, const std::string& start);  // false: exists
  bool create_tag(const Repo& repo, const std::string& tag, const std::string& commit);       // false: exists

  std::map<std::string, PreuploadAnswer> preupload(const Repo& repo, const std::string& branch,
                                                   std::span<const PreuploadFile> files);
  std::vector<LfsObject> lfs_batch(const Repo& repo, const std::string& branch,
                                   const std::map<std::string, std::uint64_t>& sizes);
  // `lines` is the ndjson body. Never repeated.
  CommitAnswer commit(const Repo& repo, const std::string& branch, const std::string& lines);
  // The server's complaints about a card; nothing when it has none or does not know the question.
  std::vector<std::string> card_problems(RepoType type, const std::string& card);

  // The headers of a file at a revision, relative redirects followed (renamed repositories).
  Response file_head(const Repo& repo, const std::string& revision, const std::string& path);

  // A request with the account's token, trace id and endpoint; `path` begins with "/".
  Request request(const std::string& method, const std::string& path, bool reading) const;

  const HubAccount& account() const { return account_; }
  HttpClient& http() { return *http_; }
  const RetryPolicy& retry() const { return retry_; }

 private:
  Response call(const Request& request, const Repo& repo, const std::string& revision, const std::string& action);
  HubAccount account_;
  RetryPolicy retry_;
  std::unique_ptr<HttpClient> http_;
};

}  // namespace attune
