// GGUF files from outside: any bytes are either refused with a UserError or every tensor lies inside the file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "format/gguf.h"

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
    const attune::GgufFile file(input.path);
    std::uint64_t total = 0;
    for (const attune::GgufTensor& tensor : file.tensors()) {
      total += tensor.bytes.size();
      volatile unsigned sum = 0;
      for (const std::byte byte : tensor.bytes) sum = sum + static_cast<unsigned>(byte);
      if (file.find(tensor.name) != &tensor) std::abort();
      const auto rows = static_cast<std::uint64_t>(tensor.rows());
      const auto blocks = static_cast<std::uint64_t>(tensor.columns() / tensor.type->elements);
      if (rows * blocks * static_cast<std::uint64_t>(tensor.type->bytes) != tensor.bytes.size()) std::abort();
    }
    if (total > size) std::abort();
    for (const auto& [key, value] : file.entries()) {
      if (file.value(key) != &value) std::abort();
    }
  } catch (const attune::UserError&) {
  }
  return 0;
}
