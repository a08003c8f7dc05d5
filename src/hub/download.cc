#include "hub/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "http/url.h"
#include "hub/digests.h"

namespace attune {
namespace {

constexpr int kMostResumes = 100;  // while each brings something
constexpr int kIdleResumes = 5;    // in a row without a byte

std::string etag_text(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::optional<std::uint64_t> size_from(const std::optional<std::string>& text) {
  std::uint64_t size = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), size);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return size;
}

// The unfinished blob: appended to, cut, and given its name at the end.
class PartialFile {
 public:
  explicit PartialFile(fs::path path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail("cannot be written");
    struct stat info {};
    if (::fstat(fd_, &info) != 0) fail("cannot be read");
    size_ = static_cast<std::uint64_t>(info.st_size);
  }
  ~PartialFile() { ::close(fd_); }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::uint64_t size() const { return size_; }
  const fs::path& path() const { return path_; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail("cannot be written");
      size_ += static_cast<std::uint64_t>(put);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  void cut() {
    if (::ftruncate(fd_, 0) != 0) fail("cannot be cut");
    size_ = 0;
  }
  void rename_to(const fs::path& name) {
    if (::fsync(fd_) != 0) fail("cannot be written to disk");
    if (::rename(path_.c_str(), name.c_str()) != 0) fail("cannot be renamed");
    sync_folder(name.parent_path());
  }

 private:
  [[noreturn]] void fail(const char* action) const {
    throw UserError("[{}] {}: {}", path_.string(), action, std::strerror(errno));
  }
  fs::path path_;
  int fd_;
  std::uint64_t size_ = 0;
};

// One GET that appends to the partial file, from where it ends. True when the body came to its end.
bool fetch_rest(HubApi& api, const Repo& repo, const std::string& path, const FileMetadata& file, PartialFile& partial,
                const BytesCallback& on_bytes) {
  Request ask = api.request("GET", "", true);
  ask.url = file.location;
  ask.redirects = Redirects::kFollow;
  ask.headers.add("Accept-Encoding", "identity");
  if (origin_of(file.location) != origin_of(api.account().endpoint)) {
    ask.authorization = Secret();  // storage wants none and must not see ours
    ask.headers = Headers{{"Accept-Encoding", "identity"}};
  }
  if (partial.size() > 0) ask.headers.add("Range", fmt::format("bytes={}-", partial.size()));
  ask.on_status = [&](int status, const Headers& headers) {
    const std::string range = headers.get("Content-Range").value_or("");
    const bool goes_on = status == 206 && range.starts_with(fmt::format("bytes {}-", partial.size()));
    if (partial.size() > 0 && !goes_on) partial.cut();  // the whole file comes
  };
  ask.sink = [&](std::string_view bytes) {
    if (file.size && partial.size() + bytes.size() > *file.size)
      throw BadFile("[{}/{}] more bytes came than the Hub announced", repo.id, path);
    partial.append(bytes);
    if (on_bytes) on_bytes(partial.size());
  };
  const Response response = send_with_retry(api.http(), ask, api.retry());
  if (response.ok()) return true;
  if (response.status == 416) {  // nothing is left, or what we hold is not the beginning of it
    if (file.size && partial.size() == *file.size) return true;
    partial.cut();
    return false;
  }
  throw hub_error(response, api.account(), repo, file.commit, "read " + path);
}

void fetch_all(HubApi& api, const Repo& repo, const std::string& path, const FileMetadata& file, PartialFile& partial,
               const BytesCallback& on_bytes) {
  int idle = 0;
  for (int tries = 0;; ++tries) {
    if (file.size && partial.size() == *file.size && (tries > 0 || partial.size() > 0)) return;
    if (file.size && partial.size() > *file.size) partial.cut();
    const std::uint64_t before = partial.size();
    try {
      if (fetch_rest(api, repo, path, file, partial, on_bytes) && (!file.size || partial.size() == *file.size)) return;
    } catch (const TransportError& error) {
      if (!error.may_pass() || tries >= kMostResumes) throw;
      idle = partial.size() > before ? 0 : idle + 1;
      if (idle >= kIdleResumes) throw;
      if (partial.size() == before) wait_unless_cancelled(api.http(), api.retry().first_wait);
      continue;
    }
    if (tries >= kMostResumes) throw BadFile("[{}/{}] does not arrive whole; try again", repo.id, path);
  }
}

// The digest that the etag is, when it is one.
bool digest_agrees(const fs::path& path, const std::string& etag, const std::function<bool()>& cancelled) {
  if (etag.size() != 64 && etag.size() != 40) return true;
  const FileDigests digests = digest_file(path, cancelled);
  return etag == (etag.size() == 64 ? digests.sha256 : digests.git_blob);
}

}  // namespace

FileMetadata read_file_metadata(const Response& response, const HubAccount& account) {
  FileMetadata file;
  const std::string where = shown_url(response.url);
  file.commit = response.headers.get("X-Repo-Commit").value_or("");
  if (!is_commit_hash(file.commit)) {
    throw BadFile("[{}] the answer names no commit, so no Hub gave it; check HF_ENDPOINT and the proxy", where);
  }
  const auto linked = response.headers.get("X-Linked-Etag");
  file.etag = etag_text(linked ? *linked : response.headers.get("ETag").value_or(""));
  // It becomes a file name.
  const bool plain =
      file.etag.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == file.etag.npos;
  if (file.etag.empty() || file.etag.size() > 128 || !plain) throw BadFile("[{}] the answer has no usable ETag", where);
  const bool redirected = response.status >= 300;
  file.size = size_from(response.headers.get("X-Linked-Size"));
  if (!file.size && !redirected) file.size = size_from(response.headers.get("Content-Length"));
  file.location = response.url;
  if (const auto location = response.headers.get("Location"); redirected && location) {
    const auto joined = join_url(response.url, at_endpoint(account, *location));
    if (!joined) throw BadFile("[{}] redirects to what is no web address", where);
    file.location = *joined;
  }
  return file;
}

FileMetadata file_metadata(HubApi& api, const Repo& repo, const std::string& revision, const std::string& path) {
  return read_file_metadata(api.file_head(repo, revision, path), api.account());
}

void download_blob(HubApi& api, const Repo& repo, const RepoCache& cache, const std::string& path,
                   const FileMetadata& file, const BytesCallback& on_bytes) {
  const fs::path blob = cache.blob(file.etag);
  create_folder(blob.parent_path());
  const auto& cancelled = api.http().options().cancelled;
  const CacheLock lock(cache.lock(file.etag), cancelled);
  if (fs::exists(blob)) return;  // another program was faster
  const fs::path unfinished = blob.parent_path() / (file.etag + ".incomplete");
  for (bool resumed = fs::exists(unfinished);; resumed = false) {
    PartialFile partial(unfinished);
    fetch_all(api, repo, path, file, partial, on_bytes);
    if (digest_agrees(unfinished, file.etag, cancelled)) {
      partial.rename_to(blob);
      return;
    }
    fs::remove(unfinished);
    // What an earlier attempt left may be the fault: once more from the start.
    if (!resumed)
      throw BadFile("[{}/{}] the bytes that came are not those that the Hub names ({}); try again", repo.id, path,
                    file.etag);
  }
}

}  // namespace attune
