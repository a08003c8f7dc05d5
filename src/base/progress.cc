#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace attune {
namespace {

constexpr std::chrono::milliseconds kTerminalInterval(100);
constexpr std::chrono::milliseconds kLogInterval(10'000);
constexpr int kBarWidth = 24;

}  // namespace

Progress::Progress(std::string title, std::string unit, std::uint64_t total, std::uint64_t start)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      start_(start),
      done_(start),
      terminal_(isatty(STDERR_FILENO) == 1),
      begun_(std::chrono::steady_clock::now()) {}

Progress::~Progress() { finish(); }

void Progress::update(std::uint64_t done, std::string_view details) {
  done_ = done;
  details_ = details;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < (terminal_ ? kTerminalInterval : kLogInterval)) return;
  drawn_ = now;
  draw(false);
}

void Progress::note(std::string_view line) {
  fmt::print(stderr, "{}{}\n", terminal_ ? "\r\033[K" : "", line);
  std::fflush(stderr);
}

void Progress::finish() {
  if (std::exchange(finished_, true)) return;
  if (done_ > start_) draw(true);
}

void Progress::draw(bool last) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_ - start_) / seconds : 0;
  std::string line = title_;
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    if (terminal_) {
      const int filled = static_cast<int>(share * kBarWidth);
      line += fmt::format(" [{:=<{}}{: <{}}]", "", filled, "", kBarWidth - filled);
    }
    line += fmt::format(" {}/{} {}", done_, total_, unit_);
  } else {
    line += fmt::format(" {} {}", done_, unit_);
  }
  if (!details_.empty()) line += "  " + details_;
  if (last) {
    line += fmt::format("  {}", format_duration(seconds));
  } else if (total_ > 0 && rate > 0) {
    line += fmt::format("  {} left", format_duration(static_cast<double>(total_ - std::min(total_, done_)) / rate));
  }
  if (terminal_)
    line = fmt::format("\r{}\033[K", line);  // redraw in place, erase what is left of the longer line before
  if (last || !terminal_) line += '\n';
  fmt::print(stderr, "{}", line);
  std::fflush(stderr);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

std::string format_bytes(double bytes) {
  if (bytes >= 1e9) return fmt::format("{:.2f} GB", bytes / 1e9);
  if (bytes >= 1e6) return fmt::format("{:.1f} MB", bytes / 1e6);
  if (bytes >= 1e3) return fmt::format("{:.1f} kB", bytes / 1e3);
  return fmt::format("{:.0f} B", bytes);
}

std::string with_commas(std::string digits) {
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", with_commas(number), noun, number == 1 ? "" : "s");
}

}  // namespace attune
