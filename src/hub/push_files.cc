#include "hub/push_files.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "hub/repo.h"

namespace attune {
namespace {

// Why a file stays here, or nothing.
std::string reason_to_leave_out(const fs::path& relative) {
  for (const fs::path& part : relative) {
    if (part.string().starts_with('.') && relative.filename() != ".gitattributes") return "hidden";
  }
  const std::string name = relative.filename();
  for (const char* const own :
       {"optimizer.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "state.json"}) {
    if (name == own) return "only resuming needs it";
  }
  if (name == "ledger.json") return "names the people of the chat";
  const std::string extension = relative.extension();
  for (const char* const key : {".pem", ".key", ".p12", ".pfx", ".jks"}) {
    if (extension == key) return "may hold a private key";
  }
  if (name.starts_with("id_rsa") || name.starts_with("id_ed25519") || name.starts_with("id_ecdsa"))
    return "may hold a private key";
  return {};
}

void add(PushFiles& files, const fs::path& source, const fs::path& relative) {
  if (const std::string reason = reason_to_leave_out(relative); !reason.empty()) {
    files.left_out.push_back(fmt::format("{} ({})", relative.string(), reason));
    return;
  }
  check_repo_path(relative.string(), source.string());
  files.files.push_back({relative.string(), source, std::nullopt, fs::file_size(source)});
}

}  // namespace

PushFiles collect_push_files(const fs::path& path) {
  PushFiles files;
  if (fs::is_regular_file(path)) {
    add(files, path, path.filename());
  } else if (fs::is_directory(path)) {
    if (fs::exists(path / "recipe.yaml") && fs::exists(path / "run.json")) {
      for (const char* const result : {"adapter", "model"}) {
        if (fs::exists(path / result)) {
          throw UserError("[{}] is a whole run; push its result: {}", path.string(), (path / result).string());
        }
      }
      throw UserError(
          "[{}] is a run without a result yet; push one of its checkpoints, or finish it with: attune train --resume "
          "{}",
          path.string(), path.string());
    }
    for (const auto& entry : fs::recursive_directory_iterator(path, fs::directory_options::follow_directory_symlink)) {
      if (entry.is_regular_file()) add(files, entry.path(), entry.path().lexically_relative(path));
    }
  } else {
    throw UserError("[{}] there is no such file or folder; check the path", path.string());
  }
  std::sort(files.files.begin(), files.files.end(),
            [](const PushFile& a, const PushFile& b) { return a.path < b.path; });
  std::sort(files.left_out.begin(), files.left_out.end());
  if (files.files.empty()) throw UserError("[{}] holds nothing to push", path.string());
  return files;
}

void put_file(PushFiles& files, PushFile file) {
  if (file.text) file.size = file.text->size();
  const auto place = std::lower_bound(files.files.begin(), files.files.end(), file.path,
                                      [](const PushFile& a, const std::string& path) { return a.path < path; });
  if (place != files.files.end() && place->path == file.path) {
    *place = std::move(file);
  } else {
    files.files.insert(place, std::move(file));
  }
}

std::string text_of(const PushFile& file, std::uint64_t max_bytes) {
  if (file.text) return file.text->substr(0, static_cast<std::size_t>(max_bytes));
  std::ifstream stream(file.source, std::ios::binary);
  if (!stream) throw UserError("[{}] cannot be read; check its permissions", file.source.string());
  std::string text(static_cast<std::size_t>(std::min(max_bytes, file.size)), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

}  // namespace attune
