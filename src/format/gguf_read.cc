// Opening a file: keys and values, the table of tensors, and the layout of their data.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "base/utf8.h"
#include "format/gguf.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxKeys = 1 << 20, kMaxTensors = 1 << 20, kMaxKeyBytes = 1 << 16;
constexpr std::size_t kMaxNameBytes = 63;  // ggml's GGML_MAX_NAME with its zero
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::size_t kArrayType = 9;

// Reads numbers and strings from the front of a mapped file.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::size_t position() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text(std::uint64_t limit = std::numeric_limits<std::uint64_t>::max()) {
    const auto size = number<std::uint64_t>();
    if (size > limit) throw BadFile("[{}] a name of {} bytes, expected at most {}", where_, size, limit);
    const auto part = take(size);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::span<const std::byte> take(std::uint64_t size) {
    if (size > left()) {
      throw BadFile("[{}] ends at byte {} within something of {} bytes that begins at {}; the file is cut short",
                    where_, bytes_.size(), size, at_);
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
};

template <typename T>
T read_one(Cursor& cursor, const std::string& where) {
  if constexpr (std::is_same_v<T, std::string>) {
    return cursor.text();
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto byte = cursor.number<std::uint8_t>();
    if (byte > 1) throw BadFile("[{}] a truth value of {}, expected 0 or 1", where, byte);
    return byte == 1;
  } else {
    return cursor.number<T>();
  }
}

// Alternative `type` of an array's variant, `count` elements of it.
template <std::size_t kType = 0>
GgufArray read_elements(std::uint32_t type, std::uint64_t count, Cursor& cursor, const std::string& where) {
  if constexpr (kType < std::variant_size_v<GgufArray>) {
    if (type != kType) return read_elements<kType + 1>(type, count, cursor, where);
    using List = std::variant_alternative_t<kType, GgufArray>;
    if constexpr (std::is_same_v<List, std::monostate>) {
      throw BadFile("[{}] an array of arrays, which GGUF does not have", where);
    } else {
      using T = typename List::value_type;
      constexpr std::uint64_t kLeast = std::is_same_v<T, std::string> ? sizeof(std::uint64_t) : sizeof(T);
      if (count > cursor.left() / kLeast) {
        throw BadFile("[{}] an array of {} elements reaches beyond the file; the file is cut short", where, count);
      }
      List list;
      list.reserve(count);
      for (std::uint64_t i = 0; i < count; ++i) list.push_back(read_one<T>(cursor, where));
      return list;
    }
  } else {
    throw BadFile("[{}] value type {} is unknown", where, type);
  }
}

template <std::size_t kType = 0>
GgufValue read_value(std::uint32_t type, Cursor& cursor, const std::string& where) {
  if constexpr (kType < std::variant_size_v<GgufValue>) {
    if (type != kType) return read_value<kType + 1>(type, cursor, where);
    if constexpr (kType == kArrayType) {
      const auto element = cursor.number<std::uint32_t>();
      const auto count = cursor.number<std::uint64_t>();
      return read_elements(element, count, cursor, where);
    } else {
      return read_one<std::variant_alternative_t<kType, GgufValue>>(cursor, where);
    }
  } else {
    throw BadFile("[{}] value type {} is unknown", where, type);
  }
}

std::string read_key(Cursor& cursor, const std::string& where) {
  std::string key = cursor.text(kMaxKeyBytes);
  if (key.empty() || key.find('\0') != std::string::npos || !is_valid_utf8(key)) {
    throw BadFile("[{}] a key that is no text at byte {}", where, cursor.position() - key.size());
  }
  return key;
}

struct TensorEntry {
  GgufTensor tensor;  // without bytes
  std::uint64_t offset = 0, size = 0;
};

TensorEntry read_tensor(Cursor& cursor, const std::string& where) {
  TensorEntry entry;
  GgufTensor& tensor = entry.tensor;
  tensor.name = cursor.text(kMaxNameBytes);
  const std::string here = where + ": tensor " + tensor.name;
  if (tensor.name.empty() || tensor.name.find('\0') != std::string::npos || !is_valid_utf8(tensor.name)) {
    throw BadFile("[{}] a tensor's name that is no text at byte {}", where, cursor.position() - tensor.name.size());
  }
  const auto dimensions = cursor.number<std::uint32_t>();
  if (dimensions < 1 || dimensions > 4) throw BadFile("[{}] expected 1 to 4 dimensions, got {}", here, dimensions);
  std::uint64_t elements = 1;
  tensor.shape.resize(dimensions);
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.number<std::uint64_t>();
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (size == 0 || size > kMax || __builtin_mul_overflow(elements, size, &elements) || elements > kMax / 8) {
      throw BadFile("[{}] a dimension of {} is empty or too large", here, size);
    }
    tensor.shape[dimensions - 1 - i] = static_cast<std::int64_t>(size);
  }
  const auto type = cursor.number<std::uint32_t>();
  tensor.type = find_gguf_type(type);
  if (tensor.type == nullptr) {
    throw Unsupported("[{}] type {} is unknown; expected one of ggml's, such as 0 (F32) or 12 (Q4_K)", here, type);
  }
  if (tensor.columns() % tensor.type->elements != 0) {
    throw BadFile("[{}] rows of {} are not whole blocks of {} for {}", here, tensor.columns(), tensor.type->elements,
                  tensor.type->name);
  }
  // Blocks have at most 292 bytes for 256 elements, and plain types 8 for one: no overflow below kMax / 8.
  entry.size =
      elements / static_cast<std::uint64_t>(tensor.type->elements) * static_cast<std::uint64_t>(tensor.type->bytes);
  entry.offset = cursor.number<std::uint64_t>();
  return entry;
}

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

template <typename T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// A number as another type when no value is lost; nothing for any other pair of types.
template <typename To, typename From>
std::optional<To> converted(const From& from) {
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (kIsInteger<To> && kIsInteger<From>) {
    return std::in_range<To>(from) ? std::optional(static_cast<To>(from)) : std::nullopt;
  } else if constexpr (std::is_floating_point_v<To> && std::is_floating_point_v<From>) {
    return static_cast<To>(from);
  } else {
    return std::nullopt;
  }
}

template <typename>
constexpr bool kIsList = false;
template <typename T>
constexpr bool kIsList<std::vector<T>> = true;

template <typename To>
std::optional<To> value_as(const GgufValue& value) {
  if constexpr (kIsList<To>) {
    const auto* const array = std::get_if<GgufArray>(&value);
    if (array == nullptr) return std::nullopt;
    return std::visit(
        [](const auto& list) -> std::optional<To> {
          if constexpr (std::is_same_v<std::decay_t<decltype(list)>, std::monostate>) {
            return std::nullopt;
          } else {
            To result;
            result.reserve(list.size());
            for (const auto& element : list) {
              const auto one = converted<typename To::value_type>(
                  static_cast<typename std::decay_t<decltype(list)>::value_type>(element));
              if (!one) return std::nullopt;
              result.push_back(*one);
            }
            return result;
          }
        },
        *array);
  } else {
    return std::visit([](const auto& one) { return converted<To>(one); }, value);
  }
}

template <typename T>
constexpr std::string_view kExpected = "a number";
template <>
constexpr std::string_view kExpected<std::int64_t> = "an integer";
template <>
constexpr std::string_view kExpected<bool> = "true or false";
template <>
constexpr std::string_view kExpected<std::string> = "a text";
template <>
constexpr std::string_view kExpected<std::vector<std::string>> = "a list of texts";
template <>
constexpr std::string_view kExpected<std::vector<float>> = "a list of floats";
template <>
constexpr std::string_view kExpected<std::vector<std::int32_t>> = "a list of integers";

}  // namespace

bool GgufTensor::has_shape(const Shape& wanted) const {
  if (std::ssize(shape) != wanted.rank) return false;
  for (int i = 0; i < wanted.rank; ++i) {
    if (shape[static_cast<std::size_t>(i)] != wanted[i]) return false;
  }
  return true;
}

std::int64_t GgufTensor::rows() const {
  std::int64_t count = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}

GgufFile::GgufFile(const fs::path& path) : path_(path), file_(path) {
  static_assert(std::endian::native == std::endian::little, "GGUF numbers are read as they are stored");
  const std::string where = path.string();
  Cursor cursor(file_.bytes(), where);
  if (file_.bytes().size() < 4 || std::memcmp(cursor.take(4).data(), "GGUF", 4) != 0) {
    throw BadFile("[{}] does not begin with GGUF; not a GGUF file", where);
  }
  const auto version = cursor.number<std::uint32_t>();
  if (version != 2 && version != 3) {  // 2 has the same layout
    throw Unsupported("[{}] GGUF version {} is not supported; expected 2 or 3, little-endian", where, version);
  }
  const auto tensors = cursor.number<std::uint64_t>(), keys = cursor.number<std::uint64_t>();
  if (tensors > kMaxTensors || keys > kMaxKeys) {
    throw BadFile("[{}] {} tensors and {} keys, expected at most {} each; the file is damaged", where, tensors, keys,
                  kMaxKeys);
  }
  for (std::uint64_t i = 0; i < keys; ++i) {
    std::string key = read_key(cursor, where);
    if (!keys_.emplace(key, entries_.size()).second) throw BadFile("[{}] key {} appears twice", where, key);
    const auto type = cursor.number<std::uint32_t>();
    GgufValue value = read_value(type, cursor, where + ": key " + key);
    entries_.emplace_back(std::move(key), std::move(value));
  }
  std::uint64_t alignment = kDefaultAlignment;
  if (const auto given = get<std::int64_t>("general.alignment")) {
    if (*given < 1 || *given > (1 << 20) || !std::has_single_bit(static_cast<std::uint64_t>(*given))) {
      throw BadFile("[{}] general.alignment: expected a power of two, got {}", where, *given);
    }
    alignment = static_cast<std::uint64_t>(*given);
  }
  std::vector<TensorEntry> table;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    table.push_back(read_tensor(cursor, where));
    const std::string& name = table.back().tensor.name;
    if (!names_.emplace(name, table.size() - 1).second) throw BadFile("[{}] tensor {} appears twice", where, name);
  }
  const std::uint64_t data = padded(cursor.position(), alignment);
  std::uint64_t next = 0;
  for (TensorEntry& entry : table) {
    GgufTensor& tensor = entry.tensor;
    if (entry.offset != next) {
      throw BadFile("[{}: tensor {}] expected data to begin at byte {}, got {}; tensors must follow each other", where,
                    tensor.name, next, entry.offset);
    }
    if (data > file_.bytes().size() || next > file_.bytes().size() - data ||
        entry.size > file_.bytes().size() - data - next) {
      throw BadFile("[{}: tensor {}] its {} bytes reach beyond the file of {}; the file is cut short", where,
                    tensor.name, entry.size, file_.bytes().size());
    }
    tensor.bytes = file_.bytes().subspan(data + next, entry.size);
    next += padded(entry.size, alignment);
    tensors_.push_back(std::move(tensor));
  }
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &tensors_[found->second];
}

const GgufValue* GgufFile::value(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &entries_[found->second].second;
}

void GgufFile::release(const GgufTensor& tensor) const {
  file_.release(static_cast<std::size_t>(tensor.bytes.data() - file_.bytes().data()), tensor.bytes.size());
}

template <typename T>
std::optional<T> GgufFile::get(std::string_view key) const {
  const GgufValue* const found = value(key);
  if (found == nullptr) return std::nullopt;
  auto result = value_as<T>(*found);
  if (!result) throw BadFile("[{}] key {}: expected {}", path_.string(), key, kExpected<T>);
  return result;
}

template <typename T>
T GgufFile::require(std::string_view key) const {
  if (auto result = get<T>(key)) return *std::move(result);
  throw BadFile("[{}] key {} is missing", path_.string(), key);
}

template std::optional<std::int64_t> GgufFile::get(std::string_view) const;
template std::optional<double> GgufFile::get(std::string_view) const;
template std::optional<bool> GgufFile::get(std::string_view) const;
template std::optional<std::string> GgufFile::get(std::string_view) const;
template std::optional<std::vector<std::string>> GgufFile::get(std::string_view) const;
template std::optional<std::vector<float>> GgufFile::get(std::string_view) const;
template std::optional<std::vector<std::int32_t>> GgufFile::get(std::string_view) const;
template std::int64_t GgufFile::require(std::string_view) const;
template double GgufFile::require(std::string_view) const;
template std::string GgufFile::require(std::string_view) const;
template std::vector<std::string> GgufFile::require(std::string_view) const;

bool is_gguf_path(const fs::path& path) { return path.extension() == ".gguf"; }

}  // namespace attune
