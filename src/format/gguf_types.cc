// ggml's types (ggml.h); those it has given up (numbers 4, 5, 31-33, 36-38) are unknown here as there.
#include "format/gguf_types.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace attune {
namespace {

constexpr std::array<GgufType, 31> kGgufTypes = {{
    {0, "F32", 1, 4, DType::kF32},
    {1, "F16", 1, 2, DType::kF16},
    {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},
    {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1, DType::kI8},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4, DType::kI32},
    {27, "I64", 1, 8, DType::kI64},
    {28, "F64", 1, 8, DType::kF64},
    {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2, DType::kBF16},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
}};

template <typename Predicate>
const GgufType* find(const Predicate& predicate) {
  const auto found = std::find_if(kGgufTypes.begin(), kGgufTypes.end(), predicate);
  return found == kGgufTypes.end() ? nullptr : &*found;
}

}  // namespace

const GgufType* find_gguf_type(std::uint32_t id) {
  return find([&](const GgufType& type) { return type.id == id; });
}

const GgufType* find_gguf_type(std::string_view name) {
  return find([&](const GgufType& type) { return type.name == name; });
}

const GgufType& gguf_type(DType dtype) {
  const GgufType* const type = find([&](const GgufType& known) { return known.dtype == dtype; });
  if (type == nullptr) throw InternalError("[gguf] there is no type for {}", name_of(dtype));
  return *type;
}

}  // namespace attune
