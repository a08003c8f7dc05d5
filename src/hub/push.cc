#include "hub/push.h"

#include <openssl/rand.h>

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "hub/commit.h"
#include "hub/digests.h"
#include "hub/lfs.h"

namespace attune {
namespace {

constexpr std::size_t kMostPreuploads = 256;                     // files in one question
constexpr std::size_t kMostFiles = 100;                          // in one commit
constexpr std::uint64_t kMostInline = std::uint64_t{24} << 20;   // bytes of regular files in one commit
constexpr std::uint64_t kMostRegular = std::uint64_t{10} << 20;  // bytes of one regular file

struct Candidate {
  const PushFile* file;
  FileDigests digests;
  PreuploadAnswer answer;
  bool lfs() const { return answer.lfs && digests.size > 0; }  // storage takes no empty object
};

std::vector<Candidate> digest_all(HubApi& api, const PushFiles& files, const PushOptions& options) {
  std::vector<Candidate> candidates;
  std::uint64_t done = 0, total = 0;
  for (const PushFile& file : files.files) total += file.size;
  for (const PushFile& file : files.files) {
    FileDigests digests;
    if (file.text) {
      digests = {sha256_hex(*file.text), git_blob_oid(*file.text), file.text->size()};
    } else {
      digests = digest_file(file.source, api.http().options().cancelled);
    }
    done += file.size;
    if (options.on_progress) options.on_progress("hashing", done, total);
    candidates.push_back({&file, std::move(digests), {}});
  }
  return candidates;
}

void ask_how(HubApi& api, const Repo& repo, const std::string& branch, std::vector<Candidate>& candidates) {
  for (std::size_t begin = 0; begin < candidates.size(); begin += kMostPreuploads) {
    const std::size_t end = std::min(begin + kMostPreuploads, candidates.size());
    std::vector<PreuploadFile> asked;
    for (std::size_t i = begin; i < end; ++i) {
      asked.push_back({candidates[i].file->path, text_of(*candidates[i].file, 512), candidates[i].digests.size});
    }
    const auto answers = api.preupload(repo, branch, asked);
    for (std::size_t i = begin; i < end; ++i) candidates[i].answer = answers.at(candidates[i].file->path);
  }
}

// Leaves what the branch does not have yet.
std::vector<Candidate> drop_unchanged(std::vector<Candidate> candidates, PushResult& result) {
  std::vector<Candidate> changed;
  for (Candidate& candidate : candidates) {
    const std::string& oid = candidate.lfs() ? candidate.digests.sha256 : candidate.digests.git_blob;
    if (candidate.answer.ignored) {
      ++result.ignored;
    } else if (candidate.answer.remote_oid == oid) {
      ++result.unchanged;
    } else {
      changed.push_back(std::move(candidate));
    }
  }
  result.changed = changed.size();
  return changed;
}

void send_large(HubApi& api, const Repo& repo, const std::vector<Candidate>& changed, const PushOptions& options,
                PushResult& result) {
  std::vector<LargeFile> large;
  std::uint64_t total = 0;
  for (const Candidate& candidate : changed) {
    if (!candidate.lfs()) continue;
    large.push_back({candidate.file->path, candidate.file->source, candidate.file->text, candidate.digests.sha256,
                     candidate.digests.size});
    total += candidate.digests.size;
  }
  if (large.empty()) return;
  result.sent_bytes = upload_large_files(api, repo, options.branch, large, [&](std::uint64_t bytes) {
                        if (options.on_progress) options.on_progress("uploading", bytes, total);
                      }).sent_bytes;
}

CommitFile commit_file(const Candidate& candidate) {
  const PushFile& file = *candidate.file;
  if (candidate.lfs()) return {file.path, true, candidate.digests.sha256, candidate.digests.size, {}};
  if (candidate.digests.size > kMostRegular) {
    throw UserError("[{}] the Hub wants it as a text file, and those have at most {} MB; it has {} bytes", file.path,
                    kMostRegular >> 20, candidate.digests.size);
  }
  return {file.path, false, "", candidate.digests.size, [&file, oid = candidate.digests.git_blob] {
            std::string bytes = text_of(file, kMostRegular);
            if (git_blob_oid(bytes) != oid)
              throw UserError("[{}] changed while it was pushed; push again", file.source.string());
            return bytes;
          }};
}

// As few commits as the Hub's limits allow; each with the mark and its number.
std::string commit_all(HubApi& api, const Repo& repo, const std::vector<Candidate>& changed, const PushOptions& options,
                       const std::string& mark) {
  std::vector<std::vector<CommitFile>> commits(1);
  std::uint64_t inline_bytes = 0;
  for (const Candidate& candidate : changed) {
    CommitFile file = commit_file(candidate);
    const std::uint64_t bytes = file.lfs ? 0 : file.size;
    if (commits.back().size() == kMostFiles || (inline_bytes + bytes > kMostInline && !commits.back().empty())) {
      commits.emplace_back();
      inline_bytes = 0;
    }
    inline_bytes += bytes;
    commits.back().push_back(std::move(file));
  }
  std::string oid;
  for (std::size_t i = 0; i < commits.size(); ++i) {
    CommitText text{options.message, "", mark};
    if (commits.size() > 1) {
      text.summary += fmt::format(" ({}/{})", i + 1, commits.size());
      text.mark += fmt::format("-{}", i + 1);
    }
    oid = commit_once(api, repo, options.branch, text, commits[i]);
  }
  return oid;
}

void check_with_hub(HubApi& api, const Repo& repo, const PushFiles& files) {
  for (const PushFile& file : files.files) {
    if (file.path != "README.md") continue;
    for (const std::string& problem : api.card_problems(repo.type, text_of(file, std::uint64_t{8} << 20))) {
      throw UserError("[README.md] the Hub does not accept the card: {}; correct it and push again", problem);
    }
  }
}

}  // namespace

std::string new_mark() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) throw InternalError("[hub] no random numbers");
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

PushResult push(HubApi& api, const Repo& repo, const PushFiles& files, const PushOptions& options) {
  check_revision(options.branch);
  if (!options.tag.empty()) check_revision(options.tag);
  if (api.account().token.empty()) {
    throw UserError(
        "[push] expected a token with write access, found none; set HF_TOKEN, or log in with: hf auth login");
  }
  check_with_hub(api, repo, files);
  PushResult result;
  std::vector<Candidate> candidates = digest_all(api, files, options);
  result.created = api.create_repo(repo, options.is_private);
  if (options.branch != "main") api.create_branch(repo, options.branch, "main");
  result.is_private = api.repo_info(repo, options.branch).is_private;
  const std::string mark = options.mark.empty() ? new_mark() : options.mark;
  ask_how(api, repo, options.branch, candidates);
  const std::vector<Candidate> changed = drop_unchanged(std::move(candidates), result);
  send_large(api, repo, changed, options, result);
  if (changed.empty()) {
    // Nothing to do, or an earlier attempt with this mark did it.
    const auto earlier = options.mark.empty() ? std::nullopt : find_commit(api, repo, options.branch, mark);
    result.commit = earlier ? *earlier : api.repo_info(repo, options.branch).sha;
  } else {
    result.commit = commit_all(api, repo, changed, options, mark);
  }
  if (!options.tag.empty() && !api.create_tag(repo, options.tag, result.commit)) {
    for (const Ref& tag : api.refs(repo).tags) {
      if (tag.name == options.tag && tag.commit != result.commit) {
        throw UserError("[--tag] {} has the tag {} at another commit already; choose another name", repo.id,
                        options.tag);
      }
    }
  }
  return result;
}

}  // namespace attune
