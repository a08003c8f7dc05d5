#include "track/mlflow_artifacts.h"

#include "http/url.h"
#include "track/mlflow_folder.h"
#include "track/mlflow_messages.h"

namespace attune {
namespace {

constexpr std::string_view kScheme = "mlflow-artifacts:";

bool on_this_machine(const std::string& base) {
  const std::string origin = origin_of(base).value_or("://");
  const std::string host = origin.substr(origin.find("://") + 3);
  return host.starts_with("127.0.0.1:") || host.starts_with("localhost:") || host.starts_with("[::1]:");
}

class Proxied : public MlflowArtifacts {
 public:
  explicit Proxied(MlflowApi& api) : api_(api) {}

  void put(const MlflowRun&, const std::string& uri, std::span<const MlflowFile> files) override {
    if (const auto folder = shared_folder(uri)) {
      for (const MlflowFile& file : files) store_file(file, *folder / file.path);
      return;
    }
    if (!uri.starts_with(kScheme)) {
      throw RefusedForGood(
          "[{}] the server keeps artifacts at {}, which only a client with credentials of its own "
          "reaches; start it with --serve-artifacts",
          api_.base(), shown_url(uri));
    }
    for (const MlflowFile& file : files) {
      const std::string url = artifact_url(api_.base(), uri, file.path);
      // Our credentials are for the tracking server, not for another that it names.
      const bool authorized = origin_of(url) == origin_of(api_.base());
      const bool text = file.path == "MLmodel" || file.path.ends_with("/MLmodel");
      api_.upload("PUT", url, bytes_of(file, 0, size_of(file)),
                  {{"Content-Type", text ? "text/plain" : "application/octet-stream"}}, authorized);
    }
  }

 private:
  // An experiment that was made without a server keeps its files in a folder, and the server only names it. MLflow's own
  // client writes there; so do we, where server and folder are on this machine: a tunnel would lead to another's folders.
  std::optional<fs::path> shared_folder(const std::string& uri) const {
    const auto folder = local_folder(uri);
    if (!folder || !on_this_machine(api_.base())) return std::nullopt;
    // Above RUN/artifacts and models/ID/artifacts.
    const fs::path root = folder->parent_path().parent_path().parent_path();
    std::error_code missing;
    return fs::is_directory(root, missing) ? folder : std::nullopt;
  }

  MlflowApi& api_;
};

}  // namespace

std::unique_ptr<MlflowArtifacts> proxied_artifacts(MlflowApi& api) { return std::make_unique<Proxied>(api); }

std::uint64_t size_of(const MlflowFile& file) {
  if (file.local.empty()) return file.text.size();
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file.local, error);
  if (error) throw RefusedForGood("[{}] cannot be read: {}", file.local.string(), error.message());
  return size;
}

RequestBody bytes_of(const MlflowFile& file, std::uint64_t offset, std::uint64_t length) {
  if (file.local.empty()) return file.text.substr(offset, length);
  if (length == 0) return std::string();
  return FileSlice{file.local, offset, length};
}

std::string artifact_url(const std::string& tracking_base, const std::string& artifact_uri, const std::string& path) {
  std::string rest = artifact_uri.substr(kScheme.size());
  std::string server = tracking_base;
  if (rest.starts_with("//")) {
    const std::size_t slash = std::min(rest.find('/', 2), rest.size());
    const std::string host = rest.substr(2, slash - 2);
    rest = rest.substr(slash);
    if (!host.empty()) server = tracking_base.substr(0, tracking_base.find(':')) + "://" + host;
  }
  std::string all = rest + "/" + path;
  std::string url = server + "/api/2.0/mlflow-artifacts/artifacts";
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find('/', begin), all.size());
    if (end > begin) url += "/" + percent_encode(all.substr(begin, end - begin));
    begin = end + 1;
  }
  return url;
}

}  // namespace attune
