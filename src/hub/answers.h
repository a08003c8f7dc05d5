// What the Hub answers, read into types and checked: everything a server may say is either understood or refused with
// BadFile, and paths, hashes and sizes are what they must be before anybody uses them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace attune {

struct RepoInfo {
  std::string sha;  // head of the revision asked for; empty while the repository has no commit
  bool is_private = false;
  bool gated = false;
};

struct TreeFile {
  std::string path;
  std::uint64_t size = 0;
  std::string oid;  // git's SHA-1 of what git stores (the pointer, for a large file)
  std::optional<std::string> lfs_sha256;

  // The name of its bytes: SHA-256 of a large file, git's SHA-1 of any other.
  const std::string& content_oid() const { return lfs_sha256 ? *lfs_sha256 : oid; }
};

struct PreuploadAnswer {
  bool lfs = false, ignored = false;
  std::string remote_oid;  // of the file there now; empty when there is none
};

// How a large file is to be sent. Nothing to send when the server has it already.
struct LfsUpload {
  std::string href;
  std::uint64_t part_bytes = 0;        // 0: one PUT to href; else parts of so many bytes, then a POST to href
  std::vector<std::string> part_urls;  // in order
  std::string verify_href;             // empty: none
  std::vector<std::pair<std::string, std::string>> headers;  // of the single PUT; never Authorization
};
struct LfsObject {
  std::string oid;
  std::uint64_t size = 0;
  std::string error;  // the server's words, or empty
  std::optional<LfsUpload> upload;
};

struct CommitAnswer {
  std::string oid, url;
};

struct PastCommit {
  std::string oid, title, message;
};

struct Ref {
  std::string name, commit;
};
struct Refs {
  std::vector<Ref> branches, tags;
};

RepoInfo read_repo_info(std::string_view text, const std::string& where);
std::vector<TreeFile> read_tree_page(std::string_view text, const std::string& where);  // folders left out
std::map<std::string, PreuploadAnswer> read_preupload(std::string_view text, const std::string& where);
// `sizes` are those of the objects asked for: an answer about others, or with parts that do not add up, is refused.
std::vector<LfsObject> read_lfs_batch(std::string_view text, const std::map<std::string, std::uint64_t>& sizes,
                                      const std::string& where);
CommitAnswer read_commit(std::string_view text, const std::string& where);
std::vector<PastCommit> read_history(std::string_view text, const std::string& where);
Refs read_refs(std::string_view text, const std::string& where);

// The sentences of an error's body: {"error": text or list}, {"errors": [{"message"}]} or {"error_description"}; empty
// when there are none. Never throws. One line, without control characters, at most 300 bytes.
std::string read_error_text(std::string_view text);

}  // namespace attune
