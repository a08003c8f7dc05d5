#include "hub/lfs.h"

#include <algorithm>
#include <map>

#include "http/url.h"

namespace attune {
namespace {

constexpr std::size_t kMostObjects = 256;  // in one batch

// A request to storage: presigned, so without our token and our headers.
Request storage_put(const std::string& url, const LargeFile& file, std::uint64_t offset, std::uint64_t length) {
  Request put;
  put.method = "PUT";
  put.url = url;
  if (file.text) {
    put.body = file.text->substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
  } else {
    put.body = FileSlice{file.source, offset, length};
  }
  put.stall_seconds = 120;
  return put;
}

Response send_part(HubApi& api, const Request& put, const LargeFile& file) {
  Response response = send_with_retry(api.http(), put, api.retry());
  if (!response.ok())
    throw UserError("[{}] the storage refused it: it answered {}; try again", file.path, response.status);
  return response;
}

// A call to the Hub about one object, with the token only where the Hub itself answers.
void post_to_hub(HubApi& api, const Repo& repo, const std::string& branch, const std::string& href, const Json& body,
                 const std::string& action, bool with_token) {
  Request post = api.request("POST", "", false);
  post.url = at_endpoint(api.account(), href);
  if (!with_token || origin_of(post.url) != origin_of(api.account().endpoint)) post.authorization = Secret();
  post.headers.add("Accept", "application/vnd.git-lfs+json");
  post.headers.add("Content-Type", "application/vnd.git-lfs+json");
  post.body = to_json_line(body);
  post.stall_seconds = 120;  // putting many parts together takes the server a while
  const Response response = send_with_retry(api.http(), post, api.retry());
  if (!response.ok()) throw hub_error(response, api.account(), repo, branch, action);
}

void send_object(HubApi& api, const Repo& repo, const std::string& branch, const LargeFile& file,
                 const LfsUpload& upload, const std::function<void(std::uint64_t)>& on_bytes) {
  const std::string href = at_endpoint(api.account(), upload.href);
  if (upload.part_bytes == 0) {
    Request put = storage_put(href, file, 0, file.size);
    for (const auto& [name, value] : upload.headers) put.headers.add(name, value);
    put.on_sent = on_bytes;
    send_part(api, put, file);
  } else {
    Json parts = Json::array();
    for (std::size_t i = 0; i < upload.part_urls.size(); ++i) {
      const std::uint64_t offset = i * upload.part_bytes;
      Request put = storage_put(upload.part_urls[i], file, offset, std::min(upload.part_bytes, file.size - offset));
      put.on_sent = [&](std::uint64_t bytes) { on_bytes(offset + bytes); };
      const Response response = send_part(api, put, file);
      const auto etag = response.headers.get("ETag");
      if (!etag || etag->empty()) throw BadFile("[{}] the storage gave part {} no ETag", file.path, i + 1);
      parts.push_back({{"partNumber", i + 1}, {"etag", *etag}});
    }
    post_to_hub(api, repo, branch, href, {{"oid", file.sha256}, {"parts", std::move(parts)}},
                "put " + file.path + " together", false);
  }
  if (!upload.verify_href.empty()) {
    post_to_hub(api, repo, branch, upload.verify_href, {{"oid", file.sha256}, {"size", file.size}},
                "verify " + file.path, true);
  }
}

}  // namespace

LfsResult upload_large_files(HubApi& api, const Repo& repo, const std::string& branch, std::span<const LargeFile> files,
                             const std::function<void(std::uint64_t)>& on_bytes) {
  LfsResult result;
  std::uint64_t done = 0;
  std::map<std::string, const LargeFile*> by_oid;  // files with the same bytes are one object
  for (const LargeFile& file : files) by_oid.emplace(file.sha256, &file);
  for (auto next = by_oid.begin(); next != by_oid.end();) {
    std::map<std::string, std::uint64_t> sizes;
    for (; next != by_oid.end() && sizes.size() < kMostObjects; ++next) sizes[next->first] = next->second->size;
    std::map<std::string, LfsObject> answers;
    for (LfsObject& object : api.lfs_batch(repo, branch, sizes)) answers[object.oid] = std::move(object);
    for (const auto& [oid, size] : sizes) {
      const LargeFile& file = *by_oid.at(oid);
      const auto answer = answers.find(oid);
      if (answer == answers.end()) throw BadFile("[{}] the Hub did not say how to send {}", repo.id, file.path);
      if (!answer->second.error.empty())
        throw UserError("[{}] the Hub refuses {}: {}", repo.id, file.path, answer->second.error);
      if (answer->second.upload) {
        send_object(api, repo, branch, file, *answer->second.upload, [&](std::uint64_t bytes) {
          if (on_bytes) on_bytes(done + bytes);
        });
        result.sent_bytes += size;
        ++result.sent;
      } else {
        ++result.present;
      }
      done += size;
      if (on_bytes) on_bytes(done);
    }
  }
  return result;
}

}  // namespace attune
