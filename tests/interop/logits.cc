// Driver of llama_cpp_test.py: a model (folder or .gguf file) reads tokens one by one, as a chat continues, and writes the
// logits after each. IDS holds the ids (i32), LOGITS gets [ids, vocabulary] (f32); activations are f32.
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "adapter/lora.h"
#include "base/error.h"
#include "base/file.h"
#include "generate/generator.h"

int main(int argc, char** argv) {
  using namespace attune;
  if (argc < 4 || argc > 5) {
    fmt::print(stderr, "usage: logits MODEL IDS LOGITS [ADAPTER]\n");
    return 2;
  }
  try {
    Model model = load_model(argv[1], Quantization::kNone);
    std::optional<Adapter> adapter;
    if (argc == 5) adapter = Adapter::load(model, argv[4], false);
    const std::string bytes = read_file(argv[2]);
    std::vector<TokenId> ids(bytes.size() / sizeof(TokenId));
    std::memcpy(ids.data(), bytes.data(), ids.size() * sizeof(TokenId));
    Session session(model, std::ssize(ids), DType::kF32);
    std::ofstream out(argv[3], std::ios::binary);
    for (const TokenId id : ids) {
      const auto logits = std::as_bytes(session.append(id));
      out.write(reinterpret_cast<const char*>(logits.data()), std::ssize(logits));
    }
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
