// Names on the Hub: repositories, revisions and paths, checked before anything is sent, and the URLs they stand in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attune {

enum class RepoType : std::uint8_t { kModel, kDataset };

struct Repo {
  RepoType type = RepoType::kModel;
  std::string id;  // "namespace/name", or "name" for a few old models
};

// "model" or "dataset"; UserError otherwise.
RepoType parse_repo_type(const std::string& text);
const char* type_name(RepoType type);

// The rules of the Hub: at most one "/", parts of letters, digits and "_.-", 96 at most, none that begins or ends with
// "-" or ".", no "--", no "..", not ending in ".git". UserError says which.
Repo make_repo(RepoType type, const std::string& id);
bool is_repo_id(std::string_view id);

// A branch or tag that git accepts (git-check-ref-format), or a commit. UserError otherwise.
void check_revision(const std::string& revision);

// A path inside a repository: relative, without "." and "..", not in .git, no control characters. UserError otherwise.
// Holds for what we send and for what a server lists: it becomes a path on this disk.
void check_repo_path(const std::string& path, const std::string& where);

bool is_commit_hash(std::string_view text);  // 40 lower-case hexadecimal digits

std::string api_path(const Repo& repo);   // "/api/models/namespace/name"
std::string page_path(const Repo& repo);  // "/namespace/name", "/datasets/namespace/name"
std::string resolve_path(const Repo& repo, const std::string& revision, const std::string& path);

}  // namespace attune
