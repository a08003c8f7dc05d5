// Text entries of a zip archive from outside: bounded in number and size, names only looked at, nothing
// extracted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/file.h"

namespace attune {

struct TextEntry {
  std::string name;  // path inside the archive, as stored
  std::string text;  // at most max_bytes of it
};

// Calls `visit` for every *.txt entry with the first max_bytes of its text; false from `visit` ends the walk.
// Other entries are skipped without being unpacked. Throws BadFile when the file is no zip archive, is
// damaged, needs a password or has more entries than a chat can have.
void for_each_zip_text(const fs::path& path, std::uint64_t max_bytes,
                       const std::function<bool(TextEntry&&)>& visit);

}  // namespace attune
