#include "cli/chat_history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/error.h"
#include "base/json.h"

namespace attune {
namespace {

[[noreturn]] void fail(const fs::path& path) {
  throw UserError("[{}] {}; start with --no-history to keep none", path.string(), std::strerror(errno));
}

// An entry a line, appended in one write, so that two chats at once do not mix their lines.
void append(const fs::path& path, const std::string& lines) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) fail(path);
  const bool written = ::fchmod(file, 0600) == 0 && ::write(file, lines.data(), lines.size()) == std::ssize(lines);
  ::close(file);
  if (!written) fail(path);
}

}  // namespace

std::optional<fs::path> chat_history_path() {
  const auto absolute = [](const char* name) -> std::optional<fs::path> {
    const char* const value = std::getenv(name);
    if (value == nullptr || value[0] != '/') return std::nullopt;
    return value;
  };
  if (const auto state = absolute("XDG_STATE_HOME")) return *state / "attune/chat_history";
  if (const auto home = absolute("HOME")) return *home / ".local/state/attune/chat_history";
  return std::nullopt;
}

ChatHistory::ChatHistory(fs::path path) : path_(std::move(path)) {
  create_folder(path_.parent_path());
  if (!fs::exists(path_)) return;
  std::istringstream lines(read_file(path_));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, false);
    if (entry.is_string()) entries_.push_back(entry.get<std::string>());
  }
  if (entries_.size() > 2 * kHistoryEntries) {  // grown long: only the last ones stay in the file
    entries_.erase(entries_.begin(), entries_.end() - static_cast<std::ptrdiff_t>(kHistoryEntries));
    std::string kept;
    for (const std::string& entry : entries_) kept += to_json_line(entry) + "\n";
    write_file_atomic(path_, kept);
  }
  append(path_, "");  // made private, and known to be writable, before anything is typed
}

void ChatHistory::add(const std::string& text) {
  if (!entries_.empty() && entries_.back() == text) return;
  append(path_, to_json_line(text) + "\n");
  entries_.push_back(text);
}

}  // namespace attune
