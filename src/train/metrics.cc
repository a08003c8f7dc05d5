#include "train/metrics.h"

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace attune {
namespace {

// The lines of `text` that belong to steps up to `last`.
std::string lines_up_to(std::string_view text, std::int64_t last, const std::string& where) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // torn by a crash in mid-write
    const std::string_view line = text.substr(0, end + 1);
    text.remove_prefix(end + 1);
    if (json_require<std::int64_t>(parse_json(line, where), "step", where) <= last) kept += line;
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(const fs::path& path, std::int64_t after_step) : path_(path) {
  if (fs::exists(path)) write_file_atomic(path, lines_up_to(read_file(path), after_step, path));
  file_.reset(std::fopen(path.c_str(), "ae"));
  if (file_ == nullptr) throw UserError("[{}] cannot be written: {}", path.string(), std::strerror(errno));
}

void MetricsLog::append(const Json& line) {
  const std::string text = to_json_line(line) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0) {
    throw UserError("[{}] cannot be written: {}; free some space and resume the run", path_.string(),
                    std::strerror(errno));
  }
}

}  // namespace attune
