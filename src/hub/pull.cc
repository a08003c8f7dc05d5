#include "hub/pull.h"

#include <algorithm>

#include "hub/cache.h"
#include "hub/download.h"

namespace attune {
namespace {

// The files asked for, by name or all. A name that is not in the list is remembered as missing.
std::vector<TreeFile> choose_files(const std::vector<TreeFile>& tree, const PullOptions& options,
                                   const RepoCache& cache, const std::string& commit, const Repo& repo) {
  if (options.files.empty()) return tree;
  std::vector<TreeFile> chosen;
  for (const std::string& path : options.files) {
    const auto found = std::find_if(tree.begin(), tree.end(), [&](const TreeFile& file) { return file.path == path; });
    if (found == tree.end()) {
      check_repo_path(path, "--file");
      cache.remember_missing(commit, path);
      throw UserError("[{}] has no file {} at {}; see which it has with: attune pull {}", repo.id, path,
                      options.revision, repo.id);
    }
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace

PullResult pull(HubApi& api, const Repo& repo, const PullOptions& options) {
  check_revision(options.revision);
  const RepoCache cache(api.account().cache, repo);
  PullResult result;
  result.commit = api.repo_info(repo, options.revision).sha;
  if (result.commit.empty()) throw UserError("[{}] is empty: nothing was committed to it yet", repo.id);
  const std::vector<TreeFile> files = choose_files(api.tree(repo, result.commit), options, cache, result.commit, repo);
  result.snapshot = cache.snapshot(result.commit);
  create_folder(result.snapshot);
  for (const TreeFile& file : files) result.bytes += file.size;
  std::uint64_t done = 0;
  for (const TreeFile& file : files) {
    const auto report = [&](std::uint64_t bytes) {
      if (options.on_progress) options.on_progress(done + bytes, result.bytes, file.path);
    };
    if (!cache.has(result.commit, file.path)) {
      std::string etag = file.content_oid();
      if (!fs::exists(cache.blob(etag))) {
        const FileMetadata metadata = file_metadata(api, repo, result.commit, file.path);
        if (metadata.commit != result.commit)
          throw BadFile("[{}/{}] the Hub answered for another commit; try again", repo.id, file.path);
        etag = metadata.etag;
        download_blob(api, repo, cache, file.path, metadata, report);
        result.fetched += file.size;
      }
      cache.link(result.commit, file.path, etag);
    }
    report(file.size);
    done += file.size;
  }
  result.files = files.size();
  cache.remember(options.revision, result.commit);  // last: a revision that is known is whole
  return result;
}

std::optional<fs::path> cached_snapshot(const fs::path& cache, const Repo& repo, const std::string& revision) {
  const RepoCache of_repo(cache, repo);
  const auto commit = of_repo.commit_of(revision);
  std::error_code ignored;
  if (!commit || !fs::is_directory(of_repo.snapshot(*commit), ignored)) return std::nullopt;
  return of_repo.snapshot(*commit);
}

fs::path resolve_model(const std::string& name) {
  std::error_code ignored;
  if (fs::exists(name, ignored) || !is_repo_id(name) || name.find('/') == name.npos) return name;
  const HubAccount account = hub_account_from_environment();
  if (const auto snapshot = cached_snapshot(account.cache, {RepoType::kModel, name})) return *snapshot;
  throw UserError(
      "[{}] there is no such folder, and no repository of that name was pulled; get it with: attune pull {}", name,
      name);
}

void copy_snapshot(const fs::path& snapshot, const fs::path& folder) {
  AtomicFolder copy(folder);
  for (const auto& entry : fs::recursive_directory_iterator(snapshot)) {
    const fs::path to = copy.temporary() / entry.path().lexically_relative(snapshot);
    std::error_code error;
    if (entry.is_directory()) {
      fs::create_directories(to, error);
    } else if (entry.is_regular_file()) {
      fs::create_directories(to.parent_path(), error);
      fs::copy_file(fs::canonical(entry.path()), to, error);
    }
    if (error) throw UserError("[{}] cannot be copied: {}", to.string(), error.message());
  }
  copy.commit();
}

}  // namespace attune
