// GGUF version 3 (ggml-org/ggml, docs/gguf.md): the file of llama.cpp and Ollama. Keys with typed values, then a table
// of tensors, then their data. INTEROP section 5.
//
// Files come from outside: every rule is checked when a file is opened (counts and lengths inside the file, no key or
// name twice, sizes that follow from type and shape, offsets that are the running sum of the padded sizes), so that a
// GgufTensor can be used without further checks. Reading maps the file; values are copied, tensors are not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "format/gguf_types.h"
#include "format/safetensors.h"
#include "tensor/tensor.h"

namespace attune {

// A value's index in its variant is GGUF's number for its type. Arrays do not nest, so number 9 holds nothing in theirs.
using GgufArray = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                               std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
using GgufEntry = std::pair<std::string, GgufValue>;

// A tensor inside a mapped file. The bytes live as long as the GgufFile; they are aligned as the file says (32 bytes
// unless general.alignment differs).
struct GgufTensor {
  std::string name;
  const GgufType* type;
  std::vector<std::int64_t> shape;  // outermost first, as everywhere in attune: the file has it reversed
  std::span<const std::byte> bytes;

  bool has_shape(const Shape& wanted) const;
  std::int64_t columns() const { return shape.back(); }
  std::int64_t rows() const;  // of the matrix whose columns are the last dimension
};

class GgufFile {
 public:
  explicit GgufFile(const fs::path& path);  // BadFile when a rule is broken; UserError when it cannot be read

  const GgufTensor* find(std::string_view name) const;                 // nullptr when absent
  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the order of the file
  const GgufValue* value(std::string_view key) const;                  // nullptr when absent
  const std::vector<GgufEntry>& entries() const { return entries_; }   // in the order of the file
  const fs::path& path() const { return path_; }
  void release(const GgufTensor& tensor) const;  // its pages will not be needed again soon

  // value(key) as T, or nullopt when the key is absent. Throws BadFile when the type is another; integers of any width
  // count as one, and so do the two widths of floats.
  template <typename T>
  std::optional<T> get(std::string_view key) const;
  // The same; a missing key is BadFile.
  template <typename T>
  T require(std::string_view key) const;

 private:
  fs::path path_;
  MappedFile file_;
  std::vector<GgufEntry> entries_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> keys_, names_;
};

extern template std::optional<std::int64_t> GgufFile::get(std::string_view) const;
extern template std::optional<double> GgufFile::get(std::string_view) const;
extern template std::optional<bool> GgufFile::get(std::string_view) const;
extern template std::optional<std::string> GgufFile::get(std::string_view) const;
extern template std::optional<std::vector<std::string>> GgufFile::get(std::string_view) const;
extern template std::optional<std::vector<float>> GgufFile::get(std::string_view) const;
extern template std::optional<std::vector<std::int32_t>> GgufFile::get(std::string_view) const;
extern template std::int64_t GgufFile::require(std::string_view) const;
extern template double GgufFile::require(std::string_view) const;
extern template std::string GgufFile::require(std::string_view) const;
extern template std::vector<std::string> GgufFile::require(std::string_view) const;

// Whether a path names a GGUF model rather than a folder: it ends in ".gguf".
bool is_gguf_path(const fs::path& path);

// One tensor to be written: `write` delivers exactly its bytes to the sink, in pieces of any size, when its turn comes.
struct GgufTensorSource {
  std::string name;
  const GgufType* type;
  Shape shape;  // outermost first
  std::function<void(const ByteSink&)> write;
};

// Bytes of a tensor; columns must be whole blocks.
std::uint64_t gguf_tensor_bytes(const GgufType& type, const Shape& shape);

// Writes a file: entries and tensors in the given order, empty arrays left out, data aligned to 32 bytes. Atomic; memory
// stays flat. `progress` may be empty; called with (bytes of tensors done, in all). UserError when it cannot be written.
void write_gguf(const fs::path& path, const std::vector<GgufEntry>& entries,
                const std::vector<GgufTensorSource>& tensors,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace attune
