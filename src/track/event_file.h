// TensorBoard's event files: scalars that the `tensorboard` program reads (tensorboard/compat/proto/event.proto and
// summary.proto, written out by hand, in the record format of tensorboard/summary/writer/record_writer.py).
//
// A file is never appended to after a restart; a new one is begun. The events of a folder are counted when it is opened
// again, so that a writer that was killed knows what is already there.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/freed.h"

namespace attune {

struct Scalar {
  std::string tag;
  float value = 0;
};

// length, masked CRC of the length, data, masked CRC of the data.
std::string event_record(std::string_view data);

std::string version_event(double wall_time);  // what begins a file; wall_time in seconds since 1970
std::string scalar_event(double wall_time, std::int64_t step, std::span<const Scalar> scalars);

// What of a file's bytes can be trusted: a torn or damaged record ends it.
struct EventFileContents {
  std::int64_t events = 0;  // after the version record
  bool whole = true;        // nothing torn at the end
};
EventFileContents read_event_file(std::string_view bytes);

// Events in all event files of `folder` (0 when it does not exist).
std::int64_t count_events(const fs::path& folder);

// A new file in `folder`, which is made when missing. UserError when it cannot be written. One thread at a time.
class EventFile {
 public:
  explicit EventFile(const fs::path& folder);
  void add(double wall_time, std::int64_t step, std::span<const Scalar> scalars);
  void flush();  // to the operating system: TensorBoard sees it then

 private:
  void put(const std::string& record);
  fs::path path_;
  std::unique_ptr<std::FILE, FreedBy<std::fclose>> file_;
};

}  // namespace attune
