// Chat templates come from model folders: whatever the bytes are, compiling and rendering them ends with text or a
// UserError, within small bounds of time and memory.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "token/jinja/template.h"

namespace {

using attune::jinja::Dict;
using attune::jinja::Heap;
using attune::jinja::Type;
using attune::jinja::Value;

Value message(Heap& heap, std::string_view role, std::string_view content) {
  auto* dict = heap.make<Dict>();
  dict->set(heap.string("role"), heap.string(role));
  dict->set(heap.string("content"), heap.string(content));
  return {Type::kDict, dict};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string source = attune::to_valid_utf8({reinterpret_cast<const char*>(data), size});
  const attune::jinja::Limits limits{.steps = 100'000, .memory = std::size_t{8} << 20};
  try {
    const attune::jinja::Template compiled(source);
    Heap heap(limits.memory);
    const attune::jinja::Variables variables = {
        {"messages",
         heap.list({message(heap, "system", "s"), message(heap, "user", "é 😀\n"), message(heap, "assistant", "a")})},
        {"add_generation_prompt", Value::of(true)},
        {"bos_token", heap.string("<s>")},
        {"eos_token", heap.string("</s>")},
        {"tools", Value::none()},
        {"number", Value::of(std::int64_t{-7})},
        {"real", Value::of(2.5)}};
    compiled.render(heap, variables, limits);
  } catch (const attune::UserError&) {
    // refused
  }
  return 0;
}
