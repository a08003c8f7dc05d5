#include "model/quantize_weight.h"

#include <span>
#include <vector>

#include "base/error.h"
#include "quant/int8.h"
#include "quant/nf4.h"

namespace attune {
namespace {

void require_finite(bool finite, const std::string& where) {
  if (finite) return;
  throw BadFile("[{}] holds a value that is not a finite number; the file is damaged", where);
}

template <typename T>
std::span<T> span_of(const TensorView& view) {
  return {view.as<T>(), static_cast<std::size_t>(view.elements())};
}

}  // namespace

WeightMatrix quantize_weight(const TensorView& source, Quantization quantization, const WeightRows& rows,
                             const Arena& arena, const std::string& where) {
  WeightMatrix weight{.rows = source.rows(), .columns = source.columns(), .data = arena.view(rows.values).data};
  if (quantization == Quantization::kInt8) {
    weight.format = WeightFormat::kInt8;
    const std::span<float> scales = span_of<float>(arena.view(rows.scales));
    require_finite(encode_int8(span_of<std::int8_t>(arena.view(rows.values)), scales, source), where);
    weight.row_scales = scales.data();
    return weight;
  }
  weight.format = WeightFormat::kNF4;
  std::vector<float> absmax(static_cast<std::size_t>(nf4_blocks(source.elements())));
  require_finite(encode_nf4(span_of<std::uint8_t>(arena.view(rows.values)), absmax, source), where);
  const std::span<std::uint8_t> codes = span_of<std::uint8_t>(arena.view(rows.scales));
  const std::span<float> nested = span_of<float>(arena.view(rows.nested_absmax));
  weight.nested_offset = nf4_offset(absmax);
  encode_nf4_scales(codes, nested, absmax, weight.nested_offset);
  weight.absmax_codes = codes.data();
  weight.nested_absmax = nested.data();
  weight.nested_map = dynamic_map().data();
  return weight;
}

WeightMatrix plain_matrix(const TensorView& view) {
  const WeightFormat format = view.dtype == DType::kF32    ? WeightFormat::kF32
                              : view.dtype == DType::kBF16 ? WeightFormat::kBF16
                                                           : WeightFormat::kF16;
  return {.format = format, .rows = view.rows(), .columns = view.columns(), .data = view.data};
}

}  // namespace attune
