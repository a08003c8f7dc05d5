// Opening one file: the header's JSON, then the layout it describes.
#include <algorithm>
#include <limits>
#include <tuple>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "format/safetensors_types.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxDimension = std::numeric_limits<std::int64_t>::max();

std::uint64_t little_endian(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  return value;
}

const SortedJson& require(const SortedJson& entry, const char* key, const std::string& where) {
  const auto found = entry.find(key);
  if (found == entry.end()) throw BadFile("[{}] key \"{}\" is missing", where, key);
  return *found;
}

std::uint64_t whole_number(const SortedJson& value, const char* key, const std::string& where) {
  if (!value.is_number_unsigned()) throw BadFile("[{}] key \"{}\": expected non-negative integers", where, key);
  return value.get<std::uint64_t>();
}

// Bytes of an array of this shape and type, or nullopt when that overflows or is not a whole number of bytes.
std::optional<std::uint64_t> byte_count(std::span<const std::int64_t> shape, int bits) {
  std::uint64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(size), &elements)) return std::nullopt;
  }
  std::uint64_t total_bits;
  if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(bits), &total_bits)) return std::nullopt;
  if (total_bits % 8 != 0) return std::nullopt;
  return total_bits / 8;
}

struct Entry {
  StoredTensor tensor;  // without bytes
  std::uint64_t begin = 0, end = 0;
};

// Checks everything about an entry except where its range lies among the others.
Entry read_entry(const std::string& name, const SortedJson& json, const std::string& path) {
  Entry entry;
  StoredTensor& tensor = entry.tensor;
  tensor.name = name;
  const std::string where = path + ": tensor " + name;
  if (!json.is_object()) throw BadFile("[{}] expected an object", where);
  const SortedJson& dtype = require(json, "dtype", where);
  if (!dtype.is_string()) throw BadFile("[{}] key \"dtype\": expected a string", where);
  tensor.dtype_name = dtype.get<std::string>();
  const SafetensorsType* const type = find_safetensors_type(tensor.dtype_name);
  if (type == nullptr) throw BadFile("[{}] type \"{}\" is unknown", where, tensor.dtype_name);
  tensor.dtype = type->dtype;

  const SortedJson& shape = require(json, "shape", where);
  if (!shape.is_array()) throw BadFile("[{}] key \"shape\": expected an array", where);
  for (const SortedJson& size : shape) {
    const std::uint64_t value = whole_number(size, "shape", where);
    if (value > kMaxDimension) throw BadFile("[{}] a dimension of {} is too large", where, value);
    tensor.shape.push_back(static_cast<std::int64_t>(value));
  }
  const SortedJson& offsets = require(json, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    throw BadFile("[{}] key \"data_offsets\": expected two numbers", where);
  }
  entry.begin = whole_number(offsets[0], "data_offsets", where);
  entry.end = whole_number(offsets[1], "data_offsets", where);
  if (entry.end < entry.begin) {
    throw BadFile("[{}] data_offsets [{}, {}] run backwards", where, entry.begin, entry.end);
  }
  const auto expected = byte_count(tensor.shape, type->bits);
  if (!expected) {
    throw BadFile("[{}] {} {} is too large, or not a whole number of bytes", where, tensor.dtype_name,
                  shape_text(tensor.shape));
  }
  if (entry.end - entry.begin != *expected) {
    throw BadFile("[{}] expected {} bytes for {} {}, got {}", where, *expected, tensor.dtype_name,
                  shape_text(tensor.shape), entry.end - entry.begin);
  }
  return entry;
}

std::vector<std::pair<std::string, std::string>> read_metadata(const SortedJson& json, const std::string& where) {
  if (!json.is_object()) throw BadFile("[{}] __metadata__: expected an object", where);
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) throw BadFile("[{}] __metadata__ key \"{}\": expected a string", where, key);
    metadata.emplace_back(key, value.get<std::string>());
  }
  return metadata;
}

// The ranges, sorted, must cover [0, data_bytes) exactly.
void check_layout(const std::vector<Entry>& entries, std::uint64_t data_bytes, const std::string& where) {
  std::uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      throw BadFile("[{}: tensor {}] expected data to begin at byte {}, got {}; tensors {}", where, entry.tensor.name,
                    position, entry.begin, entry.begin < position ? "overlap" : "leave a gap");
    }
    position = entry.end;
  }
  if (position > data_bytes) {
    throw BadFile("[{}] expected {} bytes of data, got {}; the file is cut short", where, position, data_bytes);
  }
  if (position < data_bytes) {
    throw BadFile("[{}] expected {} bytes of data, got {}; something follows the last tensor", where, position,
                  data_bytes);
  }
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool StoredTensor::has_shape(const Shape& wanted) const {
  return std::equal(shape.begin(), shape.end(), wanted.dims.begin(), wanted.dims.begin() + wanted.rank);
}

bool StoredTensor::aligned() const {
  return dtype && reinterpret_cast<std::uintptr_t>(bytes.data()) % size_of(*dtype) == 0;
}

TensorView StoredTensor::view() const {
  if (!aligned() || shape.size() > 4) throw InternalError("[{}] view of a tensor of another type", name);
  Shape sizes;
  for (const std::int64_t size : shape) sizes.dims[static_cast<std::size_t>(sizes.rank++)] = size;
  return {const_cast<std::byte*>(bytes.data()), *dtype, sizes};
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : path_(path), file_(path) {
  const std::string where = path.string();
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    throw BadFile("[{}] has {} bytes, expected a safetensors header; the file is cut short", where, bytes.size());
  }
  const std::uint64_t length = little_endian(bytes.data());
  if (length > kMaxHeader) {
    throw BadFile("[{}] header of {} bytes, expected at most {}; not a safetensors file", where, length, kMaxHeader);
  }
  if (length > bytes.size() - kLengthBytes) {
    throw BadFile("[{}] header of {} bytes reaches beyond the file of {}; the file is cut short", where, length,
                  bytes.size());
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (!header.starts_with('{')) throw BadFile("[{}] header does not begin with {{; not a safetensors file", where);
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);

  std::vector<Entry> entries;
  const SortedJson table = parse_sorted_json(header, where);
  for (const auto& [name, json] : table.items()) {
    if (name == "__metadata__")
      metadata_ = read_metadata(json, where);
    else
      entries.push_back(read_entry(name, json, where));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  check_layout(entries, data.size(), where);
  for (Entry& entry : entries) {
    entry.tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    index_.emplace(entry.tensor.name, tensors_.size());
    tensors_.push_back(std::move(entry.tensor));
  }
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

void SafetensorsFile::release(const StoredTensor& tensor) const {
  file_.release(static_cast<std::size_t>(tensor.bytes.data() - file_.bytes().data()), tensor.bytes.size());
}

}  // namespace attune
