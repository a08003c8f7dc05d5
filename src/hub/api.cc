#include "hub/api.h"

#include <openssl/rand.h>

#include <set>

#include "base/base64.h"
#include "http/header_fields.h"
#include "http/url.h"

namespace attune {
namespace {

constexpr std::size_t kMostPages = 10000;  // of a listing, 1000 entries each
constexpr double kCommitSeconds = 180;     // the server gives up after about 60

std::string random_uuid() {
  unsigned char b[16];
  if (RAND_bytes(b, sizeof b) != 1) throw InternalError("[hub] no random numbers");
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string text;
  for (int i = 0; i < 16; ++i) text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
  return text;
}

void set_json(Request& request, const Json& body) {
  request.headers.add("Content-Type", "application/json");
  request.body = to_json_line(body);
}

std::string where_of(const Request& request) { return request.method + " " + shown_url(request.url); }

}  // namespace

HubApi::HubApi(HubAccount account, std::function<bool()> cancelled, RetryPolicy retry)
    : account_(std::move(account)), retry_(std::move(retry)) {
  HttpOptions options;
  options.offline_because = account_.offline_because;
  options.cancelled = std::move(cancelled);
  http_ = std::make_unique<HttpClient>(std::move(options));
}

Request HubApi::request(const std::string& method, const std::string& path, bool reading) const {
  Request request;
  request.method = method;
  request.url = account_.endpoint + path;
  request.headers.add("X-Amzn-Trace-Id", random_uuid());
  if (!account_.token.empty() && (!reading || account_.token_on_reads)) {
    request.authorization = Secret("Bearer " + account_.token.reveal());
  }
  request.redirects = Redirects::kRelativeOnly;
  return request;
}

Response HubApi::call(const Request& request, const Repo& repo, const std::string& revision,
                      const std::string& action) {
  Response response = send_with_retry(*http_, request, retry_);
  if (!response.ok()) throw hub_error(response, account_, repo, revision, action);
  return response;
}

RepoInfo HubApi::repo_info(const Repo& repo, const std::string& revision) {
  const Request ask = request("GET", api_path(repo) + "/revision/" + percent_encode(revision), true);
  return read_repo_info(call(ask, repo, revision, "read it").body, where_of(ask));
}

std::vector<TreeFile> HubApi::tree(const Repo& repo, const std::string& revision) {
  Request ask = request("GET", api_path(repo) + "/tree/" + percent_encode(revision) + "?recursive=true", true);
  std::vector<TreeFile> files;
  std::set<std::string> asked;
  while (true) {
    if (!asked.insert(ask.url).second || asked.size() > kMostPages) {
      throw BadFile("[{}] the list of files does not end", where_of(ask));
    }
    const Response page = call(ask, repo, revision, "list its files");
    for (TreeFile& file : read_tree_page(page.body, where_of(ask))) files.push_back(std::move(file));
    const auto next = next_link(page.headers.get("Link").value_or(""));
    if (!next) return files;
    const auto url = join_url(ask.url, at_endpoint(account_, *next));
    if (!url || origin_of(*url) != origin_of(account_.endpoint)) {
      throw BadFile("[{}] the list of files goes on at another place, which is refused", where_of(ask));
    }
    ask.url = *url;
  }
}

std::vector<PastCommit> HubApi::history(const Repo& repo, const std::string& revision) {
  const Request ask = request("GET", api_path(repo) + "/commits/" + percent_encode(revision), true);
  return read_history(call(ask, repo, revision, "read its history").body, where_of(ask));
}

Refs HubApi::refs(const Repo& repo) {
  const Request ask = request("GET", api_path(repo) + "/refs", true);
  return read_refs(call(ask, repo, "", "read its branches").body, where_of(ask));
}

bool HubApi::create_repo(const Repo& repo, bool is_private) {
  Request ask = request("POST", "/api/repos/create", false);
  const std::size_t slash = repo.id.find('/');
  const bool named = slash != repo.id.npos;
  set_json(ask, {{"name", named ? repo.id.substr(slash + 1) : repo.id},
                 {"organization", named ? Json(repo.id.substr(0, slash)) : Json(nullptr)},
                 {"type", type_name(repo.type)},
                 {"visibility", is_private ? "private" : "public"}});
  const Response response = send_with_retry(*http_, ask, retry_);
  if (response.ok()) return true;
  if (response.status == 409) return false;
  const HubError error = hub_error(response, account_, repo, "", "create it");
  if (response.status == 401 || response.status == 402 || response.status == 403) {
    try {
      repo_info(repo, "main");
      return false;
    } catch (const HubError&) {
      throw error;  // the first answer says more
    }
  }
  throw error;
}

bool HubApi::create_branch(const Repo& repo, const std::string& branch, const std::string& start) {
  Request ask = request("POST", api_path(repo) + "/branch/" + percent_encode(branch), false);
  set_json(ask, start.empty() ? Json::object() : Json{{"startingPoint", start}});
  const Response response = send_with_retry(*http_, ask, retry_);
  if (response.status == 409) return false;
  if (!response.ok()) throw hub_error(response, account_, repo, start, "make the branch " + branch);
  return true;
}

bool HubApi::create_tag(const Repo& repo, const std::string& tag, const std::string& commit) {
  Request ask = request("POST", api_path(repo) + "/tag/" + percent_encode(commit), false);
  set_json(ask, {{"tag", tag}});
  const Response response = send_with_retry(*http_, ask, retry_);
  if (response.status == 409) return false;
  if (!response.ok()) throw hub_error(response, account_, repo, commit, "set the tag " + tag);
  return true;
}

std::map<std::string, PreuploadAnswer> HubApi::preupload(const Repo& repo, const std::string& branch,
                                                         std::span<const PreuploadFile> files) {
  Json list = Json::array();
  for (const PreuploadFile& file : files) {
    list.push_back({{"path", file.path}, {"sample", base64(file.sample)}, {"size", file.size}});
  }
  Request ask = request("POST", api_path(repo) + "/preupload/" + percent_encode(branch), false);
  set_json(ask, {{"files", std::move(list)}});
  auto answers = read_preupload(call(ask, repo, branch, "take files").body, where_of(ask));
  for (const PreuploadFile& file : files) {
    if (!answers.contains(file.path)) throw BadFile("[{}] no answer about {}", where_of(ask), file.path);
  }
  return answers;
}

std::vector<LfsObject> HubApi::lfs_batch(const Repo& repo, const std::string& branch,
                                         const std::map<std::string, std::uint64_t>& sizes) {
  Json objects = Json::array();
  for (const auto& [oid, size] : sizes) objects.push_back({{"oid", oid}, {"size", size}});
  Request ask = request("POST", page_path(repo) + ".git/info/lfs/objects/batch", false);
  ask.headers.add("Accept", "application/vnd.git-lfs+json");
  ask.headers.add("Content-Type", "application/vnd.git-lfs+json");
  ask.body = to_json_line({{"operation", "upload"},
                           {"transfers", {"basic", "multipart"}},
                           {"objects", std::move(objects)},
                           {"hash_algo", "sha256"},
                           {"ref", {{"name", branch}}}});
  return read_lfs_batch(call(ask, repo, branch, "take large files").body, sizes, where_of(ask));
}

CommitAnswer HubApi::commit(const Repo& repo, const std::string& branch, const std::string& lines) {
  Request ask = request("POST", api_path(repo) + "/commit/" + percent_encode(branch), false);
  ask.headers.add("Content-Type", "application/x-ndjson");
  ask.body = lines;
  ask.stall_seconds = kCommitSeconds;
  ask.never_twice = true;
  const Response response = http_->send(ask);
  if (!response.ok()) throw hub_error(response, account_, repo, branch, "commit");
  return read_commit(response.body, where_of(ask));
}

std::vector<std::string> HubApi::card_problems(RepoType type, const std::string& card) {
  Request ask = request("POST", "/api/validate-yaml", false);
  set_json(ask, {{"content", card}, {"repoType", type_name(type)}});
  const Response response = send_with_retry(*http_, ask, retry_);
  if (response.status != 400) return {};
  const std::string words = read_error_text(response.body);
  return {words.empty() ? "no reason given" : words};
}

Response HubApi::file_head(const Repo& repo, const std::string& revision, const std::string& path) {
  Request ask = request("HEAD", resolve_path(repo, revision, path), true);
  ask.headers.add("Accept-Encoding", "identity");
  Response response = send_with_retry(*http_, ask, retry_);
  if (response.status >= 400) throw hub_error(response, account_, repo, revision, "read " + path);
  return response;
}

}  // namespace attune
