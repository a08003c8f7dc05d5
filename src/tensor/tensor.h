// TensorView: a typed, shaped, non-owning look at contiguous row-major memory. Whoever made the memory owns it:
// the Arena of a MemoryPlan for everything a step touches, a mapped file or a Weights object for base weights.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/dtype.h"

namespace attune {

// Up to four dimensions, outermost first.
struct Shape {
  std::array<std::int64_t, 4> dims{1, 1, 1, 1};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) {
    assert(sizes.size() <= 4);
    for (const std::int64_t size : sizes) dims[static_cast<std::size_t>(rank++)] = size;
  }
  std::int64_t operator[](int i) const { return dims[static_cast<std::size_t>(i)]; }
  std::int64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  bool operator==(const Shape&) const = default;
};

std::string to_string(const Shape& shape);  // "[2, 3]"

// clang-format off
template <typename T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::kF32; };
template <> struct DTypeOf<bf16> { static constexpr DType value = DType::kBF16; };
template <> struct DTypeOf<f16> { static constexpr DType value = DType::kF16; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::kF64; };
template <> struct DTypeOf<std::int8_t> { static constexpr DType value = DType::kI8; };
template <> struct DTypeOf<std::uint8_t> { static constexpr DType value = DType::kU8; };
template <> struct DTypeOf<std::int32_t> { static constexpr DType value = DType::kI32; };
template <> struct DTypeOf<std::int64_t> { static constexpr DType value = DType::kI64; };
// clang-format on

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;

  bool empty() const { return data == nullptr; }
  std::int64_t elements() const { return shape.elements(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  std::int64_t rows() const { return shape[0]; }                  // of a matrix
  std::int64_t columns() const { return elements() / shape[0]; }  // all but the first dimension

  template <typename T>
  T* as() const {
    assert(dtype == DTypeOf<T>::value);
    return static_cast<T*>(data);
  }
  // Rows [begin, begin+count) of the first dimension.
  TensorView slice_rows(std::int64_t begin, std::int64_t count) const {
    assert(begin >= 0 && count >= 0 && begin + count <= shape[0]);
    TensorView part = *this;
    part.data = static_cast<std::byte*>(data) + static_cast<std::size_t>(begin * columns()) * size_of(dtype);
    part.shape.dims[0] = count;
    return part;
  }
};

}  // namespace attune
