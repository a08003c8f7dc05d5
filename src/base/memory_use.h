// What the operating system says this process holds.
#pragma once

#include <cstdint>

namespace attune {

std::uint64_t resident_bytes();          // now
std::uint64_t peak_resident_bytes();     // the most so far
std::uint64_t machine_memory_bytes();    // of the machine, or of the control group when that is less
std::uint64_t available_memory_bytes();  // of these, what is free or can be freed at once

}  // namespace attune
