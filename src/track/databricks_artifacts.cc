// Files of a run on Databricks (MLflow's databricks_artifact_repo.py): the workspace names a presigned URL of its cloud's
// storage for each file, and the bytes go there without our authorization.
#include <algorithm>

#include "base/base64.h"
#include "http/url.h"
#include "track/databricks_auth.h"
#include "track/mlflow_artifacts.h"
#include "track/mlflow_messages.h"

namespace attune {
namespace {

constexpr std::size_t kMostPaths = 2000;                        // in one question
constexpr std::uint64_t kBlockBytes = std::uint64_t{10} << 20;  // of Azure's block lists

// A presigned URL with more in its query.
std::string with_query(const std::string& url, const std::string& query) {
  return url + (url.find('?') == std::string::npos ? "?" : "&") + query;
}

class Databricks : public MlflowArtifacts {
 public:
  explicit Databricks(MlflowApi& api) : api_(api) {}

  void put(const MlflowRun& run, const std::string& uri, std::span<const MlflowFile> files) override {
    const std::size_t at = uri.find(run.run_id);
    if (!uri.starts_with("dbfs:/") || at == std::string::npos) {
      throw RefusedForGood(
          "[{}] artifacts are kept at {}, and only those below dbfs:/databricks/mlflow-tracking can be "
          "written; let the experiment use its default artifact location",
          api_.base(), shown_url(uri));
    }
    for (std::size_t begin = 0; begin < files.size(); begin += kMostPaths) {
      put_some(run, files.subspan(begin, std::min(kMostPaths, files.size() - begin)));
    }
  }

 private:
  void put_some(const MlflowRun& run, std::span<const MlflowFile> files) {
    Json body = {{"run_id", run.run_id}, {"path", Json::array()}};
    for (const MlflowFile& file : files) body["path"].push_back(file.path);
    while (true) {
      const UploadCredentials credentials = read_upload_credentials(api_.post("artifacts/credentials-for-write", body));
      for (const UploadCredential& credential : credentials.files) {
        const auto file =
            std::find_if(files.begin(), files.end(), [&](const MlflowFile& f) { return f.path == credential.path; });
        if (file != files.end()) put_file(*file, credential);
      }
      if (credentials.next_page.empty()) return;
      body["page_token"] = credentials.next_page;
    }
  }

  void put_file(const MlflowFile& file, const UploadCredential& to) {
    const std::uint64_t size = size_of(file);
    switch (to.kind) {
      case UploadCredential::Kind::kPut:
        return api_.upload("PUT", to.url, bytes_of(file, 0, size), to.headers, false);
      case UploadCredential::Kind::kAzureBlob:
        return put_blocks(file, to, size);
      case UploadCredential::Kind::kAzureLake:
        api_.upload("PUT", with_query(to.url, "resource=file"), std::string(), to.headers, false);
        if (size > 0)
          api_.upload("PATCH", with_query(to.url, "action=append&position=0"), bytes_of(file, 0, size), to.headers,
                      false);
        return api_.upload("PATCH", with_query(to.url, fmt::format("action=flush&position={}", size)), std::string(),
                           to.headers, false);
    }
  }

  // Azure's Put Block and Put Block List.
  void put_blocks(const MlflowFile& file, const UploadCredential& to, std::uint64_t size) {
    std::string list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    std::uint64_t block = 0;
    for (std::uint64_t offset = 0; offset < size; offset += kBlockBytes, ++block) {
      const std::string id = block_id(block);
      api_.upload("PUT", with_query(to.url, "comp=block&blockid=" + percent_encode(id)),
                  bytes_of(file, offset, std::min(kBlockBytes, size - offset)), to.headers, false);
      list += "<Latest>" + id + "</Latest>";
    }
    api_.upload("PUT", with_query(to.url, "comp=blocklist"), list + "</BlockList>", to.headers, false);
  }

  // Ids are base64 of texts of equal length.
  static std::string block_id(std::uint64_t block) { return base64(fmt::format("{:06}", block)); }

  MlflowApi& api_;
};

}  // namespace

std::unique_ptr<MlflowArtifacts> databricks_artifacts(MlflowApi& api) { return std::make_unique<Databricks>(api); }

}  // namespace attune
