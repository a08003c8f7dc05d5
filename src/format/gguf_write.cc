// Writing a file: the head is made in memory, the tensors stream.
#include <cstring>
#include <type_traits>

#include "base/error.h"
#include "format/gguf.h"

namespace attune {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;

// The head of a file as bytes.
class Head {
 public:
  template <typename T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      put(static_cast<std::uint64_t>(value.size()));
      bytes_ += value;
    } else if constexpr (std::is_same_v<T, bool>) {
      bytes_ += value ? '\1' : '\0';
    } else {
      static_assert(std::is_arithmetic_v<T>);
      char raw[sizeof value];
      std::memcpy(raw, &value, sizeof value);
      bytes_.append(raw, sizeof value);
    }
  }
  void put(const GgufArray& array) {
    put(static_cast<std::uint32_t>(array.index()));
    std::visit(
        [this](const auto& list) {
          using List = std::decay_t<decltype(list)>;
          if constexpr (!std::is_same_v<List, std::monostate>) {
            put(static_cast<std::uint64_t>(list.size()));
            for (const auto& element : list) put(static_cast<typename List::value_type>(element));
          }
        },
        array);
  }
  void pad() { bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

bool is_empty_array(const GgufValue& value) {
  const auto* const array = std::get_if<GgufArray>(&value);
  if (array == nullptr) return false;
  return std::visit(
      [](const auto& list) {
        if constexpr (std::is_same_v<std::decay_t<decltype(list)>, std::monostate>) {
          return true;
        } else {
          return list.empty();
        }
      },
      *array);
}

std::uint64_t padding_after(std::uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

}  // namespace

std::uint64_t gguf_tensor_bytes(const GgufType& type, const Shape& shape) {
  if (shape[shape.rank - 1] % type.elements != 0) {
    throw InternalError("[gguf] rows of {} are not whole blocks of {}", to_string(shape), type.name);
  }
  return static_cast<std::uint64_t>(shape.elements() / type.elements * type.bytes);
}

void write_gguf(const fs::path& path, const std::vector<GgufEntry>& entries,
                const std::vector<GgufTensorSource>& tensors,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  Head head;
  for (const char letter : {'G', 'G', 'U', 'F'}) head.put(letter);
  head.put(kVersion);
  head.put(static_cast<std::uint64_t>(tensors.size()));
  std::uint64_t keys = 0;
  for (const GgufEntry& entry : entries) keys += is_empty_array(entry.second) ? 0 : 1;
  head.put(keys);
  for (const auto& [key, value] : entries) {
    if (is_empty_array(value)) continue;
    head.put(key);
    head.put(static_cast<std::uint32_t>(value.index()));
    std::visit([&](const auto& one) { head.put(one); }, value);
  }
  std::uint64_t offset = 0;
  for (const GgufTensorSource& tensor : tensors) {
    head.put(tensor.name);
    head.put(static_cast<std::uint32_t>(tensor.shape.rank));
    for (int i = tensor.shape.rank - 1; i >= 0; --i) head.put(static_cast<std::uint64_t>(tensor.shape[i]));
    head.put(tensor.type->id);
    head.put(offset);
    const std::uint64_t bytes = gguf_tensor_bytes(*tensor.type, tensor.shape);
    offset += bytes + padding_after(bytes);
  }
  head.pad();

  AtomicFile file(path);
  file.write(head.bytes());
  std::uint64_t done = 0;
  for (const GgufTensorSource& tensor : tensors) {
    const std::uint64_t bytes = gguf_tensor_bytes(*tensor.type, tensor.shape);
    std::uint64_t written = 0;
    tensor.write([&](std::span<const std::byte> piece) {
      written += piece.size();
      file.write(piece);
      if (progress) progress(done + written, offset);
    });
    if (written != bytes) {
      throw InternalError("[{}] tensor {}: expected {} bytes, got {}", path.string(), tensor.name, bytes, written);
    }
    file.write(std::string(padding_after(bytes), '\0'));
    done += bytes + padding_after(bytes);
  }
  file.commit();
}

}  // namespace attune
