// A spool's journal from a damaged disk or another version, and TensorBoard's files: nothing in them stops a delivery.
// Records that are read are written again as the same line.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "track/event.h"
#include "track/event_file.h"
#include "track/spool.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  attune::read_event_file(bytes);
  for (std::size_t begin = 0; begin < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string line = bytes.substr(begin, end - begin);
    begin = end + 1;
    if (const auto record = attune::parse_spool_line(line)) {
      std::string again = attune::spool_line(record->sequence, record->value);
      again.pop_back();  // the newline
      if (!attune::parse_spool_line(again)) std::abort();
      attune::event_of(*record);
    }
    // The checksum keeps the fuzzer out of what lies behind it: here is the way around it.
    try {
      const attune::Event event = attune::parse_event(attune::parse_json(line, "fuzz"), "fuzz");
      if (attune::to_json(attune::parse_event(attune::to_json(event), "again")) != attune::to_json(event)) std::abort();
    } catch (const attune::BadFile&) {
    }
  }
  return 0;
}
