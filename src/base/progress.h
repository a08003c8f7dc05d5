// A progress bar with rate and time left on a terminal; plain lines, at most one every ten seconds, in a log.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace attune {

// Draws on stderr. One thread at a time. finish() (or the destructor) ends the line.
class Progress {
 public:
  // `unit` names what is counted ("steps"); total 0 means unknown.
  Progress(std::string title, std::string unit, std::uint64_t total, std::uint64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done, std::string_view details = {});
  void note(std::string_view line);  // a line of its own above the bar, for what should stay to be read
  void finish();

 private:
  void draw(bool last);
  std::string title_, unit_, details_;
  std::uint64_t total_, start_, done_;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point begun_, drawn_{};
};

// "1h02m", "3m20s", "12s".
std::string format_duration(double seconds);

// "5.00 GB", "312 MB", "96 B" (powers of ten, as disks and --memory use them).
std::string format_bytes(double bytes);

// 1234567 -> "1,234,567".
std::string with_commas(std::string digits);
template <std::integral Number>
std::string with_commas(Number number) {
  return with_commas(std::to_string(number));
}

// (1, "conversation") -> "1 conversation", (1234, "conversation") -> "1,234 conversations".
std::string counted(std::uint64_t number, std::string_view noun);

}  // namespace attune
