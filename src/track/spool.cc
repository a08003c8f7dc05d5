#include "track/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "track/crc32c.h"

namespace attune {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
// A run that cannot write for so long has lost its metrics.jsonl and checkpoints as well.
constexpr std::size_t kMostPending = std::size_t{256} << 20;

template <typename Number>
bool parse_whole(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string spool_line(std::int64_t sequence, const Json& value) {
  const std::string json = to_json_line(value);
  return fmt::format("{} {:08x} {}\n", sequence, crc32c(fmt::format("{} {}", sequence, json)), json);
}

std::optional<SpoolRecord> parse_spool_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos || line.size() < first + 10 || line[first + 9] != ' ') return std::nullopt;
  SpoolRecord record;
  std::uint32_t crc = 0;
  const std::string_view sequence = line.substr(0, first), json = line.substr(first + 10);
  if (!parse_whole(sequence, record.sequence, 10) || record.sequence < 1) return std::nullopt;
  if (!parse_whole(line.substr(first + 1, 8), crc, 16)) return std::nullopt;
  if (crc != crc32c(fmt::format("{} {}", sequence, json))) return std::nullopt;
  try {
    record.value = parse_json(json, "spool");
  } catch (const BadFile&) {
    return std::nullopt;
  }
  return record;
}

SpoolWriter::SpoolWriter(const fs::path& journal) {
  {
    SpoolReader reader(journal);
    while (const auto record = reader.next()) last_ = record->sequence;
  }
  fd_ = ::open(journal.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw UserError("[{}] cannot be written: {}", journal.string(), std::strerror(errno));
  // A line torn by a crash has no newline: end it so that it counts as damaged, even where only the newline is missing,
  // since its number is given out again. Nothing is ever cut from a journal that a delivery may be reading.
  const off_t size = ::lseek(fd_, 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(fd_, &last, 1, size - 1) == 1 && last != '\n') pending_ = "!\n";
}

SpoolWriter::~SpoolWriter() {
  write_pending();
  ::close(fd_);
}

std::int64_t SpoolWriter::append(const Json& value) {
  const std::lock_guard lock(mutex_);
  pending_ += spool_line(++last_, value);
  if (pending_.size() > kMostPending) pending_.clear();
  write_pending();
  return last_;
}

std::int64_t SpoolWriter::last_sequence() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

bool SpoolWriter::sync() {
  {
    const std::lock_guard lock(mutex_);
    write_pending();
    if (!pending_.empty()) return false;
  }
  return ::fdatasync(fd_) == 0;
}

void SpoolWriter::write_pending() {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t put = ::write(fd_, pending_.data() + done, pending_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += static_cast<std::size_t>(put);
  }
  pending_.erase(0, done);
}

SpoolReader::SpoolReader(const fs::path& journal, std::int64_t after_sequence)
    : path_(journal), last_(after_sequence) {}

SpoolReader::~SpoolReader() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<SpoolRecord> SpoolReader::next() {
  while (true) {
    const std::size_t end = buffer_.find('\n', begin_);
    if (end == std::string::npos) {
      if (!fill()) return std::nullopt;
      continue;
    }
    const std::string_view line(buffer_.data() + begin_, end - begin_);
    begin_ = end + 1;
    // Before the wanted position a line needs no more than a look at its number.
    std::int64_t sequence = 0;
    if (parse_whole(line.substr(0, line.find(' ')), sequence, 10) && sequence <= last_) continue;
    auto record = parse_spool_line(line);
    if (!record) {
      ++damaged_;
      continue;
    }
    last_ = record->sequence;
    return record;
  }
}

bool SpoolReader::fill() {
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) {
    if (errno == ENOENT) return false;
    throw UserError("[{}] cannot be read: {}", path_.string(), std::strerror(errno));
  }
  buffer_.erase(0, std::exchange(begin_, 0));
  const std::size_t used = buffer_.size();
  buffer_.resize(used + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data() + used, kReadBytes);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(used + static_cast<std::size_t>(got > 0 ? got : 0));
  if (got < 0) throw UserError("[{}] cannot be read: {}", path_.string(), std::strerror(errno));
  return got > 0;
}

}  // namespace attune
