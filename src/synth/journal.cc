#include "synth/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/digest.h"
#include "base/json.h"

namespace attune {
namespace {

constexpr std::size_t kKeyDigits = 64;

std::int64_t require_count(const Json& row, const char* key, const std::string& where) {
  const auto count = json_require<std::int64_t>(row, key, where);
  if (count < 0 || count > 1'000'000'000'000) throw BadFile("[{}] key \"{}\": got {}", where, key, count);
  return count;
}

}  // namespace

std::string call_key(const std::string& model, const ModelCall& call, int attempt) {
  Json messages = Json::array();
  for (const Message& message : call.messages) messages.push_back(Json{{message.role, message.content}});
  Json all{{"model", model}, {"messages", std::move(messages)}, {"max_tokens", call.max_tokens}, {"attempt", attempt}};
  if (call.temperature) all["temperature"] = *call.temperature;
  return sha256_hex(to_json_line(all));
}

std::string journal_line(const std::string& key, const ModelReply& reply) {
  return to_json_line(Json{{"key", key},
                           {"text", reply.text},
                           {"cut", reply.cut},
                           {"prompt_tokens", reply.prompt_tokens},
                           {"reply_tokens", reply.reply_tokens},
                           {"estimated", reply.estimated}});
}

std::pair<std::string, ModelReply> parse_journal_line(std::string_view line, const std::string& where) {
  const Json row = parse_json(line, where);
  if (!row.is_object()) throw BadFile("[{}] expected a JSON object", where);
  std::string key = json_require<std::string>(row, "key", where);
  if (key.size() != kKeyDigits) throw BadFile("[{}] key \"key\": expected {} digits", where, kKeyDigits);
  ModelReply reply;
  reply.text = json_require<std::string>(row, "text", where);
  reply.cut = json_require<bool>(row, "cut", where);
  reply.prompt_tokens = require_count(row, "prompt_tokens", where);
  reply.reply_tokens = require_count(row, "reply_tokens", where);
  reply.estimated = json_require<bool>(row, "estimated", where);
  return {std::move(key), std::move(reply)};
}

Journal::Journal(fs::path path) : path_(std::move(path)) {
  if (!fs::exists(path_)) return;
  open(false);
  const std::string text = read_file(path_, std::uint64_t{1} << 40);
  std::size_t begin = 0;
  for (std::size_t number = 1;; ++number) {
    const std::size_t end = text.find('\n', begin);
    if (end == text.npos) break;
    auto [key, reply] = parse_journal_line(std::string_view(text).substr(begin, end - begin),
                                           fmt::format("{}:{}", path_.string(), number));
    remember(std::move(key), std::move(reply));
    begin = end + 1;
  }
  if (begin < text.size() && ::ftruncate(file_.fd, static_cast<off_t>(begin)) != 0) fail("cannot be shortened");
}

Journal::Descriptor::~Descriptor() {
  if (fd >= 0) ::close(fd);
}

void Journal::fail(const char* action) const {
  throw UserError("[{}] {}: {}", path_.string(), action, std::strerror(errno));
}

void Journal::open(bool create) {
  file_.fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | (create ? O_CREAT : 0), 0644);
  if (file_.fd < 0) fail("cannot be written");
  if (::flock(file_.fd, LOCK_EX | LOCK_NB) != 0) {
    throw UserError("[{}] another attune synth is writing it; wait for it to end", path_.string());
  }
}

void Journal::remember(std::string key, ModelReply reply) {
  ++totals_.calls;
  totals_.prompt_tokens += reply.prompt_tokens;
  totals_.reply_tokens += reply.reply_tokens;
  totals_.estimated += reply.estimated;
  replies_.insert_or_assign(std::move(key), std::move(reply));
}

std::optional<ModelReply> Journal::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = replies_.find(key);
  if (found == replies_.end()) return std::nullopt;
  return found->second;
}

void Journal::add(const std::string& key, const ModelReply& reply) {
  const std::lock_guard lock(mutex_);
  if (file_.fd < 0) {
    create_folder(path_.parent_path());
    open(true);
    sync_folder(path_.parent_path());
  }
  const std::string line = journal_line(key, reply) + "\n";
  const off_t before = ::lseek(file_.fd, 0, SEEK_END);
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t put = ::write(file_.fd, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int error = errno;
      [[maybe_unused]] const int ignored = ::ftruncate(file_.fd, before);  // no half line between whole ones
      errno = error;
      fail("cannot be written");
    }
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fdatasync(file_.fd) != 0) fail("cannot be written to disk");
  remember(key, reply);
}

JournalTotals Journal::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace attune
