#include "track/event_file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "track/crc32c.h"

namespace attune {
namespace {

constexpr std::size_t kHeaderBytes = 12, kFooterBytes = 4;
constexpr std::string_view kVersion = "brain.Event:2";

// Protocol buffers' wire types.
enum class Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <typename Number>
void put_little_endian(std::string& out, Number number) {
  for (std::size_t i = 0; i < sizeof number; ++i) out += static_cast<char>(number >> (8 * i) & 0xFF);
}

template <typename Number>
Number get_little_endian(std::string_view bytes) {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    number |= static_cast<Number>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return number;
}

template <typename To, typename From>
To bits_of(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

void put_varint(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>((number & 0x7F) | 0x80);
  out += static_cast<char>(number);
}

void put_key(std::string& out, unsigned field, Wire wire) { put_varint(out, field << 3 | static_cast<unsigned>(wire)); }

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_key(out, field, Wire::kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

void put_wall_time(std::string& out, double wall_time) {
  put_key(out, 1, Wire::kFixed64);
  put_little_endian(out, bits_of<std::uint64_t>(wall_time));
}

std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// events.out.tfevents.SECONDS.HOST.PID.UID; TensorBoard reads the files of a folder in the order of these names.
std::string file_name(double now) {
  static std::atomic<unsigned> counter{0};
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<std::int64_t>(now), host, ::getpid(),
                     counter++);
}

}  // namespace

std::string event_record(std::string_view data) {
  std::string record;
  put_little_endian(record, static_cast<std::uint64_t>(data.size()));
  put_little_endian(record, masked_crc(record));
  record += data;
  put_little_endian(record, masked_crc(data));
  return record;
}

std::string version_event(double wall_time) {
  std::string event;
  put_wall_time(event, wall_time);
  put_bytes(event, 3, kVersion);
  return event;
}

std::string scalar_event(double wall_time, std::int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    put_bytes(value, 1, scalar.tag);
    put_key(value, 2, Wire::kFixed32);
    put_little_endian(value, bits_of<std::uint32_t>(scalar.value));
    put_bytes(summary, 1, value);
  }
  std::string event;
  put_wall_time(event, wall_time);
  put_key(event, 2, Wire::kVarint);
  put_varint(event, static_cast<std::uint64_t>(step));
  put_bytes(event, 5, summary);
  return event;
}

EventFileContents read_event_file(std::string_view bytes) {
  EventFileContents contents;
  std::int64_t records = 0;
  for (; !bytes.empty(); ++records) {
    contents.whole = false;
    if (bytes.size() < kHeaderBytes + kFooterBytes) break;
    const auto length = get_little_endian<std::uint64_t>(bytes);
    if (get_little_endian<std::uint32_t>(bytes.substr(8)) != masked_crc(bytes.substr(0, 8))) break;
    if (length > bytes.size() - kHeaderBytes - kFooterBytes) break;
    const std::string_view data = bytes.substr(kHeaderBytes, length);
    if (get_little_endian<std::uint32_t>(bytes.substr(kHeaderBytes + length)) != masked_crc(data)) break;
    bytes.remove_prefix(kHeaderBytes + length + kFooterBytes);
    contents.whole = true;
  }
  contents.events = records > 0 ? records - 1 : 0;
  return contents;
}

std::int64_t count_events(const fs::path& folder) {
  std::int64_t events = 0;
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, missing)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    events += read_event_file(read_file(entry.path())).events;
  }
  return events;
}

EventFile::EventFile(const fs::path& folder) {
  create_folder(folder);
  const double now = seconds_now();
  path_ = folder / file_name(now);
  file_.reset(std::fopen(path_.c_str(), "wxe"));
  if (file_ == nullptr) throw UserError("[{}] cannot be written: {}", path_.string(), std::strerror(errno));
  put(event_record(version_event(now)));
  flush();
}

void EventFile::add(double wall_time, std::int64_t step, std::span<const Scalar> scalars) {
  put(event_record(scalar_event(wall_time, step, scalars)));
}

void EventFile::put(const std::string& record) {
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size()) {
    throw UserError("[{}] cannot be written: {}", path_.string(), std::strerror(errno));
  }
}

void EventFile::flush() {
  if (std::fflush(file_.get()) != 0) {
    throw UserError("[{}] cannot be written: {}", path_.string(), std::strerror(errno));
  }
}

}  // namespace attune
