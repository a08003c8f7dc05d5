#include <algorithm>
#include <array>
#include <tuple>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "format/safetensors_types.h"

namespace attune {
namespace {

constexpr std::int64_t kPiece = 16384;  // elements converted at a time

float load(const TensorView& view, std::int64_t i) {
  switch (view.dtype) {
    case DType::kF32:
      return view.as<float>()[i];
    case DType::kBF16:
      return to_float(view.as<bf16>()[i]);
    case DType::kF16:
      return to_float(view.as<f16>()[i]);
    default:
      throw InternalError("[safetensors] no conversion from {}", name_of(view.dtype));
  }
}

template <typename T, typename Round>
void write_converted(const ByteSink& sink, const TensorView& view, const Round& round) {
  std::array<T, kPiece> piece;
  for (std::int64_t begin = 0; begin < view.elements(); begin += kPiece) {
    const std::int64_t count = std::min(kPiece, view.elements() - begin);
    for (std::int64_t i = 0; i < count; ++i) piece[static_cast<std::size_t>(i)] = round(load(view, begin + i));
    sink(std::as_bytes(std::span(piece.data(), static_cast<std::size_t>(count))));
  }
}

void write_as(const ByteSink& sink, const TensorView& view, DType dtype) {
  if (dtype == view.dtype) return sink({static_cast<const std::byte*>(view.data), view.bytes()});
  switch (dtype) {
    case DType::kF32:
      return write_converted<float>(sink, view, [](float x) { return x; });
    case DType::kBF16:
      return write_converted<bf16>(sink, view, [](float x) { return to_bf16(x); });
    case DType::kF16:
      return write_converted<f16>(sink, view, [](float x) { return to_f16(x); });
    default:
      throw InternalError("[safetensors] no conversion to {}", name_of(dtype));
  }
}

std::string little_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

}  // namespace

TensorSource tensor_source(std::string name, const TensorView& view, DType stored_as) {
  return {std::move(name), stored_as, view.shape, [=](const ByteSink& sink) { write_as(sink, view, stored_as); }};
}

void write_safetensors(const fs::path& path, std::vector<TensorSource> tensors,
                       std::vector<std::pair<std::string, std::string>> metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    return std::pair(safetensors_rank(a.dtype), std::string_view(a.name)) <
           std::pair(safetensors_rank(b.dtype), std::string_view(b.name));
  });
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  const auto bytes_of = [](const TensorSource& tensor) {
    return static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype);
  };
  std::size_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    Json& entry = header[tensor.name];
    const std::span sizes(tensor.shape.dims.data(), static_cast<std::size_t>(tensor.shape.rank));
    entry["dtype"] = safetensors_type(tensor.dtype).name;
    entry["shape"] = Json::array();
    for (const std::int64_t size : sizes) entry["shape"].push_back(size);
    entry["data_offsets"] = {offset, offset + bytes_of(tensor)};
    offset += bytes_of(tensor);
  }
  std::string text = to_json_line(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  file.write(little_endian(text.size()));
  file.write(text);
  for (const TensorSource& tensor : tensors) {
    std::size_t written = 0;
    tensor.write([&](std::span<const std::byte> piece) {
      written += piece.size();
      file.write(piece);
    });
    if (written != bytes_of(tensor)) {
      throw InternalError("[{}] tensor {}: expected {} bytes, got {}", path.string(), tensor.name, bytes_of(tensor),
                          written);
    }
  }
  file.commit();
}

}  // namespace attune
