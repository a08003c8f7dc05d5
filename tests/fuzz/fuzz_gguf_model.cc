// GGUF models from outside: any bytes are either refused with a UserError or give a configuration, weights inside the
// file, a tokenizer that encodes and decodes, and a chat template.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "model/load_gguf.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace {

// A file in memory under a name that ends in .gguf.
struct MemoryFile {
  int fd = ::memfd_create("fuzz", 0);
  attune::fs::path path = "/tmp/attune-fuzz-" + std::to_string(::getpid()) + ".gguf";
  MemoryFile(const std::uint8_t* data, std::size_t size) {
    if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
    ::unlink(path.c_str());
    if (::symlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.c_str()) != 0) std::abort();
  }
  ~MemoryFile() {
    ::unlink(path.c_str());
    ::close(fd);
  }
};

template <typename Call>
void refused_or_good(const Call& call) {
  try {
    call();
  } catch (const attune::UserError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 1 << 16) return 0;  // what breaks it is in the head
  const MemoryFile input(data, size);
  refused_or_good([&] {
    const attune::Model model = attune::load_gguf_model(input.path, attune::Quantization::kNone);
    for (const attune::Block& block : model.blocks) {
      for (const attune::Linear& linear : block.linears) {
        std::vector<float> row(static_cast<std::size_t>(linear.weight.columns));
        attune::decode_rows({row.data(), attune::DType::kF32, {1, linear.weight.columns}}, linear.weight,
                            linear.weight.rows - 1);
      }
    }
  });
  refused_or_good([&] {
    const auto tokenizer = attune::load_tokenizer(input.path);
    const auto ids = tokenizer->encode("Hello <s> 12\n\xc3\xa9");
    tokenizer->decode(ids, false);
  });
  refused_or_good([&] { attune::find_chat_template(input.path); });
  return 0;
}
