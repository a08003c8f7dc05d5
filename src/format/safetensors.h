// safetensors (huggingface/safetensors): a JSON header of names, types, shapes and byte ranges, then the
// data.
//
// Files come from outside: every rule of the format is checked when a file is opened (header inside the file,
// no duplicate names, ranges that cover the data exactly, without gap or overlap, and agree with type and
// shape), so that a StoredTensor can be used without further checks. Reading maps the file; nothing is
// copied.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "tensor/tensor.h"

namespace attune {

// A tensor inside a mapped file. The bytes live as long as the SafetensorsFile; they may lie at any
// alignment.
struct StoredTensor {
  std::string name, dtype_name;  // "F32", "BF16", "F8_E4M3", ...
  std::optional<DType> dtype;    // absent for types that attune does not compute with
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  bool has_shape(const Shape& wanted) const;
  bool aligned() const;     // for a pointer of its own type
  TensorView view() const;  // needs dtype, at most 4 dimensions and aligned(); never write through it
};
std::string shape_text(std::span<const std::int64_t> shape);  // "[2, 3]"

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);  // BadFile when a rule is broken; UserError when it cannot be read

  const StoredTensor* find(std::string_view name) const;                 // nullptr when absent
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // by position in the file
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const fs::path& path() const { return path_; }
  void release(const StoredTensor& tensor) const;  // its pages will not be needed again soon

 private:
  fs::path path_;
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

// The weights of a model folder: model.safetensors, or the shards that model.safetensors.index.json lists.
class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const fs::path& folder);  // also UserError when there are no weights

  const StoredTensor* find(std::string_view name) const;
  std::vector<std::string> names() const;  // ascending
  const SafetensorsFile& file_of(const StoredTensor& tensor) const;
  void release(const StoredTensor& tensor) const { file_of(tensor).release(tensor); }

 private:
  void open_shards(const fs::path& index);
  fs::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::pair<std::size_t, const StoredTensor*>, std::less<>> index_;
};

// One tensor to be written: `write` delivers exactly its bytes to the sink, in pieces of any size, when its
// turn comes.
using ByteSink = std::function<void(std::span<const std::byte>)>;
struct TensorSource {
  std::string name;
  DType dtype;
  Shape shape;
  std::function<void(const ByteSink&)> write;
};

// A source that reads f32, bf16 or f16 values from `view` and converts them to f32, bf16 or f16 in small
// pieces; other types are written as they are (`stored_as` must then be view.dtype).
TensorSource tensor_source(std::string name, const TensorView& view, DType stored_as);

// Writes a file as the reference writer does: "format": "pt" in the metadata, header padded to 8 bytes,
// tensors by type (wide ones first) and name. Atomic; memory stays flat. UserError when it cannot be written.
void write_safetensors(const fs::path& path, std::vector<TensorSource> tensors,
                       std::vector<std::pair<std::string, std::string>> metadata = {});

}  // namespace attune
