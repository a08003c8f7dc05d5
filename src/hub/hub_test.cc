// hub/: names, digests, the account, the cache's layout, and how errors are told apart.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "hub/cache.h"
#include "hub/commit.h"
#include "hub/digests.h"
#include "hub/download.h"
#include "hub/hub_error.h"
#include "hub/pull.h"
#include "hub/spool.h"

namespace attune {
namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("attune_hub_test_{}", ::getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

// The variables of one test; what was there comes back.
class Environment {
 public:
  explicit Environment(std::map<std::string, std::string> set) {
    for (const char* const name :
         {"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_CACHE",
          "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "XDG_CACHE_HOME"}) {
      if (const char* const value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
      names_.push_back(name);
    }
    for (const auto& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string> before_;
};

TEST(Account, TokenEndpointAndCache) {
  const Folder folder;
  write_file_atomic(folder.path / "token", "hf_from_file\n");
  {
    const Environment environment({{"HF_HOME", folder.path}});
    const HubAccount account = hub_account_from_environment();
    EXPECT_EQ(account.token.reveal(), "hf_from_file");
    EXPECT_EQ(account.endpoint, "https://huggingface.co");
    EXPECT_EQ(account.cache, folder.path / "hub");
    EXPECT_TRUE(account.token_on_reads);
  }
  {
    const Environment environment({{"HF_HOME", folder.path},
                                   {"HF_TOKEN", "  "},
                                   {"HUGGING_FACE_HUB_TOKEN", " hf_old \n"},
                                   {"HF_ENDPOINT", "http://h:1//"},
                                   {"HF_HUB_OFFLINE", "1"},
                                   {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "YES"},
                                   {"HF_HUB_CACHE", "/c"}});
    const HubAccount account = hub_account_from_environment();
    EXPECT_EQ(account.token.reveal(), "hf_old");
    EXPECT_EQ(account.endpoint, "http://h:1");
    EXPECT_EQ(account.offline_because, "HF_HUB_OFFLINE");
    EXPECT_FALSE(account.token_on_reads);
    EXPECT_EQ(account.cache, "/c");
    EXPECT_EQ(at_endpoint(account, "https://huggingface.co/a"), "http://h:1/a");
    EXPECT_EQ(at_endpoint(account, "https://huggingface.com/a"), "https://huggingface.com/a");
  }
  {
    const Environment environment({{"HF_HOME", folder.path}, {"HF_TOKEN", "two\nlines"}});
    try {
      hub_account_from_environment();
      FAIL();
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find("two"), std::string::npos) << "an error must not show the token";
    }
  }
}

TEST(Repo, Names) {
  for (const char* const good : {"a/b", "gpt2", "org-1/Model_2.5-x"}) EXPECT_TRUE(is_repo_id(good)) << good;
  for (const char* const bad : {"", "a/b/c", "a/", "/b", "a/-b", "a/b.", "a/b--c", "a/b..c", "a/b.git", "a/b c", "a/ő"})
    EXPECT_FALSE(is_repo_id(bad)) << bad;
  EXPECT_FALSE(is_repo_id("a/" + std::string(97, 'x')));
  EXPECT_NO_THROW(check_revision("refs/pr/1"));
  for (const char* const bad : {"", "a..b", "-a", "a b", "a~1", "/a", "a/", "a.lock", "a//b", "a@{1}", "../a"})
    EXPECT_THROW(check_revision(bad), UserError) << bad;
  EXPECT_EQ(resolve_path({RepoType::kDataset, "a/b"}, "refs/pr/1", "d/x y.txt"),
            "/datasets/a/b/resolve/refs%2Fpr%2F1/d/x%20y.txt");
}

TEST(Digests, AsGitAndSha256sumHaveThem) {
  EXPECT_EQ(git_blob_oid("Hello, World!"), "b45ef6fec89518d314f546fd6c3025367b721684");
  EXPECT_EQ(git_blob_oid(""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  const Folder folder;
  write_file_atomic(folder.path / "a", "Hello, World!");
  const FileDigests digests = digest_file(folder.path / "a");
  EXPECT_EQ(digests.git_blob, git_blob_oid("Hello, World!"));
  EXPECT_EQ(digests.sha256, "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f");
  EXPECT_EQ(digests.size, 13u);
  EXPECT_THROW(digest_file(folder.path / "a", [] { return true; }), Interrupted);
}

TEST(Cache, Layout) {
  const Folder folder;
  const RepoCache cache(folder.path, {RepoType::kModel, "org/name"});
  const std::string commit(40, 'c'), etag(40, 'e');
  EXPECT_EQ(cache.folder(), folder.path / "models--org--name");
  EXPECT_EQ(cache.commit_of("main"), std::nullopt);
  cache.remember("main", commit);
  cache.remember("refs/pr/1", commit);
  EXPECT_EQ(read_file(cache.folder() / "refs/main"), commit);
  EXPECT_EQ(cache.commit_of("refs/pr/1"), commit);
  create_folder(cache.folder() / "blobs");
  write_file_atomic(cache.blob(etag), "bytes");
  cache.link(commit, "d/e/file.txt", etag);
  EXPECT_EQ(fs::read_symlink(cache.snapshot(commit) / "d/e/file.txt"), fs::path("../../../../blobs") / etag);
  EXPECT_TRUE(cache.has(commit, "d/e/file.txt"));
  cache.link(commit, "d/e/file.txt", std::string(40, 'f'));
  EXPECT_FALSE(cache.has(commit, "d/e/file.txt")) << "a link that leads nowhere";
  cache.remember_missing(commit, "x/y");
  EXPECT_TRUE(cache.known_missing(commit, "x/y"));
  EXPECT_EQ(cached_snapshot(folder.path, {RepoType::kModel, "org/name"}), cache.snapshot(commit));
  EXPECT_EQ(cached_snapshot(folder.path, {RepoType::kDataset, "org/name"}), std::nullopt);
}

TEST(Cache, LockIsExclusiveAndGoesWithItsHolder) {
  const Folder folder;
  const fs::path file = folder.path / "l/x.lock";
  {
    const CacheLock first(file);
    EXPECT_TRUE(first.held());
    EXPECT_FALSE(CacheLock(file).held());
    EXPECT_THROW(CacheLock(file, [] { return true; }), Interrupted);
  }
  EXPECT_TRUE(CacheLock(file).held());
}

TEST(Metadata, AsHuggingfaceHubReadsIt) {
  const HubAccount account;
  Response response;
  response.status = 302;
  response.url = "https://huggingface.co/a/b/resolve/main/m.bin";
  const std::string commit(40, 'a');
  response.headers = Headers{{"x-repo-commit", commit}, {"ETag", "W/\"other\""}, {"X-Linked-Etag", "\"linked\""},
                             {"X-Linked-Size", "77"},   {"Content-Length", "5"}, {"Location", "https://cdn/x?sig=1"}};
  FileMetadata file = read_file_metadata(response, account);
  EXPECT_EQ(file.commit, commit);
  EXPECT_EQ(file.etag, "linked");
  EXPECT_EQ(file.size, 77u);
  EXPECT_EQ(file.location, "https://cdn/x?sig=1");
  response.status = 200;
  response.headers = Headers{{"x-repo-commit", commit}, {"ETag", "W/\"weak\""}, {"Content-Length", "5"}};
  file = read_file_metadata(response, account);
  EXPECT_EQ(file.etag, "weak");
  EXPECT_EQ(file.size, 5u);
  EXPECT_EQ(file.location, response.url);
  response.headers = Headers{{"x-repo-commit", commit}, {"ETag", "\"../../x\""}};
  EXPECT_THROW(read_file_metadata(response, account), BadFile);
  response.headers = Headers{{"ETag", "\"x\""}};
  EXPECT_THROW(read_file_metadata(response, account), BadFile);
}

HubError::Kind kind(int status, Headers headers, const std::string& body = "", const std::string& token = "") {
  Response response;
  response.status = status;
  response.headers = std::move(headers);
  response.body = body;
  HubAccount account;
  account.token = Secret(token);
  const HubError error = hub_error(response, account, {RepoType::kModel, "a/b"}, "main", "read it");
  EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  if (!token.empty()) {
    EXPECT_EQ(std::string(error.what()).find(token), std::string::npos);
  }
  return error.kind();
}

TEST(Errors, AreToldApart) {
  using Kind = HubError::Kind;
  EXPECT_EQ(kind(401, {{"X-Error-Code", "GatedRepo"}}), Kind::kGated);
  EXPECT_EQ(kind(403, {{"X-Error-Code", "GatedRepo"}}), Kind::kGated);
  EXPECT_EQ(kind(401, {{"X-Error-Code", "RepoNotFound"}}), Kind::kRepoMissing);
  EXPECT_EQ(kind(401, {}), Kind::kRepoMissing);
  EXPECT_EQ(kind(401, {{"X-Error-Message", "Invalid credentials in Authorization header"}}), Kind::kBadToken);
  EXPECT_EQ(kind(404, {{"X-Error-Code", "RevisionNotFound"}}), Kind::kRevisionMissing);
  EXPECT_EQ(kind(404, {{"X-Error-Code", "EntryNotFound"}}), Kind::kEntryMissing);
  EXPECT_EQ(kind(403, {}, R"({"error":"hf_echoed may not write"})", "hf_echoed"), Kind::kForbidden);
  EXPECT_EQ(kind(412, {}), Kind::kConflict);
  EXPECT_EQ(kind(503, {}), Kind::kBusy);
}

TEST(Commit, Lines) {
  const std::string parent(40, 'a');
  const std::string lines = commit_lines(
      {"summary", "why", "m1"}, parent,
      {{"a.txt", false, "", 3, [] { return std::string("abc"); }}, {"b.bin", true, std::string(64, 'b'), 9, {}}});
  EXPECT_EQ(lines,
            R"({"key":"header","value":{"summary":"summary","description":"why\n\nPush-Id: m1","parentCommit":")" +
                parent + "\"}}\n" + R"({"key":"file","value":{"content":"YWJj","path":"a.txt","encoding":"base64"}})" +
                "\n" + R"({"key":"lfsFile","value":{"path":"b.bin","algo":"sha256","oid":")" + std::string(64, 'b') +
                "\",\"size\":9}}\n");
  EXPECT_THROW(commit_lines({"s", "", "m"}, "", {{"../a", false, "", 0, [] { return std::string(); }}}), UserError);
}

TEST(Spool, HoldsWhatWasPushedWhenItsSourceIsGone) {
  const Folder folder;
  const fs::path run = folder.path / "run", checkpoint = run / "checkpoints/step-000010";
  fs::create_directories(checkpoint);
  write_file_atomic(checkpoint / "adapter_config.json", R"({"base_model_name_or_path":"/x/base"})");
  write_file_atomic(checkpoint / "adapter_model.safetensors", std::string(100, '\0'));
  write_file_atomic(checkpoint / "optimizer.safetensors", "moments");
  PushTarget target;
  target.repo = "me/pete";
  target.tag_per_step = true;
  spool_push(run, target, checkpoint, 10, "Step 10");
  spool_push(run, target, checkpoint, 10, "Step 10 again");
  fs::remove_all(checkpoint);
  EXPECT_EQ(pending_pushes(run), std::vector<std::int64_t>{10});
  EXPECT_EQ(last_spooled_step(run), 10);
  const fs::path files = run / "hub/pending/000000010/files";
  EXPECT_EQ(read_file(files / "adapter_model.safetensors"), std::string(100, '\0'));
  EXPECT_FALSE(fs::exists(files / "optimizer.safetensors"));
  EXPECT_TRUE(fs::exists(files / "README.md"));
  EXPECT_EQ(read_file(files / "adapter_config.json").find("/x/"), std::string::npos);
  const std::string push = read_file(run / "hub/pending/000000010/push.json");
  EXPECT_NE(push.find("\"tag\": \"step-000010\""), std::string::npos);
  EXPECT_NE(push.find("\"message\": \"Step 10\""), std::string::npos);
  EXPECT_EQ(deliver_pending_pushes(folder.path).pending, 0);
}

}  // namespace
}  // namespace attune
