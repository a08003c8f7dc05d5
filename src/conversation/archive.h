// Entries of a zip archive from outside: bounded in number and size, unpacked into memory, never onto the disk under
// a name from the archive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/spill.h"

namespace attune {

// The names of all files in it, as stored. BadFile when it is no zip archive, is damaged, has more entries than a chat
// can have, or a name that would lie outside the folder it is unpacked in ("../x", "/etc/x").
std::vector<std::string> zip_names(const fs::path& path);

// Calls `visit` with the first max_bytes of every file that `wanted` chooses, in the order of the archive; false from
// `visit` ends the walk. Others are skipped without being unpacked. Throws BadFile also when an entry needs a
// password, or when everything unpacked is more than 256 MB and 300 times as large as the archive: no chat compresses
// that well.
void for_each_zip_entry(const fs::path& path, const std::function<bool(const std::string& name)>& wanted,
                        std::uint64_t max_bytes,
                        const std::function<bool(const std::string& name, SpillBuffer bytes)>& visit);

}  // namespace attune
