#include "format/safetensors_types.h"

#include <algorithm>
#include <array>

namespace attune {
namespace {

// In the order of the reference writer.
constexpr std::array<SafetensorsType, 21> kSafetensorsTypes = {{
    {"U64", 64, std::nullopt},    {"I64", 64, DType::kI64},     {"F64", 64, DType::kF64},
    {"C64", 64, std::nullopt},    {"F32", 32, DType::kF32},     {"U32", 32, std::nullopt},
    {"I32", 32, DType::kI32},     {"BF16", 16, DType::kBF16},   {"F16", 16, DType::kF16},
    {"U16", 16, std::nullopt},    {"I16", 16, std::nullopt},    {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt}, {"F8_E4M3", 8, std::nullopt}, {"F8_E5M2", 8, std::nullopt},
    {"I8", 8, DType::kI8},        {"U8", 8, DType::kU8},        {"F6_E3M2", 6, std::nullopt},
    {"F6_E2M3", 6, std::nullopt}, {"F4", 4, std::nullopt},      {"BOOL", 8, std::nullopt},
}};

}  // namespace

const SafetensorsType* find_safetensors_type(std::string_view name) {
  const auto found = std::find_if(kSafetensorsTypes.begin(), kSafetensorsTypes.end(),
                                  [&](const auto& type) { return type.name == name; });
  return found == kSafetensorsTypes.end() ? nullptr : &*found;
}

const SafetensorsType& safetensors_type(DType dtype) {
  return kSafetensorsTypes[static_cast<std::size_t>(safetensors_rank(dtype))];
}

int safetensors_rank(DType dtype) {
  return static_cast<int>(std::find_if(kSafetensorsTypes.begin(), kSafetensorsTypes.end(),
                                       [&](const auto& type) { return type.dtype == dtype; }) -
                          kSafetensorsTypes.begin());
}

}  // namespace attune
