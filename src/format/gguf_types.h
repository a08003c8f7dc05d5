// The element types that a GGUF file may name: ggml's numbers for them, and how many bytes hold how many elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace attune {

struct GgufType {
  std::uint32_t id;
  std::string_view name;            // "Q4_K"
  std::int64_t elements, bytes;     // of one block; a row holds whole blocks
  std::optional<DType> dtype = {};  // ours, when it is a plain type that we have

  bool operator==(const GgufType& other) const { return id == other.id; }
};

const GgufType* find_gguf_type(std::uint32_t id);       // nullptr when unknown
const GgufType* find_gguf_type(std::string_view name);  // the same by name
const GgufType& gguf_type(DType dtype);                 // of f32, f16, bf16, i8, i32, i64, f64

}  // namespace attune
