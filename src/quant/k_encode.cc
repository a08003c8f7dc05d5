// Q4_K, Q5_K and Q6_K: 256 values in sub-blocks of 32 or 16, each with a scale (and a minimum) that are themselves coded.
// For every sub-block a few grids are tried and the one of least weighted squared error is kept; the sums run in the
// order of ggml's reference encoder. The vectors run across the sub-blocks, which changes no sum.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/block_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/k_encode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kTiny = 1e-15f;  // a sub-block whose largest magnitude is below counts as zero

// Values and codes of a super-block with its sub-blocks side by side: element i of sub-block j at [i][j].
template <int kParts>
struct Interleaved {
  static constexpr int kLength = static_cast<int>(kSuperBlock) / kParts;
  alignas(64) float values[kLength][kParts], codes[kLength][kParts];
  alignas(64) float scales[kParts], minima[kParts];

  void Load(const float* block) {
    for (int j = 0; j < kParts; ++j) {
      for (int i = 0; i < kLength; ++i) values[i][j] = block[j * kLength + i];
    }
  }
};

// Round half to even of |x| < 2^22.
template <class V>
HWY_INLINE V Nearest(V x) {
  const auto magic = hn::Set(hn::DFromV<V>(), 12582912.0f);
  return hn::Sub(hn::Add(x, magic), magic);
}
HWY_INLINE float NearestOne(float x) { return (x + 12582912.0f) - 12582912.0f; }

template <class V>
HWY_INLINE V Clamp(V x, float low, float high) {
  const hn::DFromV<V> d;
  return hn::Max(hn::Set(d, low), hn::Min(hn::Set(d, high), x));
}

// value = scale * code + minimum with codes 0 .. kMax and minimum <= 0: weighted least squares for the codes that each
// of kSteps + 1 trial grids gives. `minima` receives -minimum.
template <int kMax, int kSteps, int kParts>
void SearchAffine(Interleaved<kParts>& block, float first_step) {
  constexpr int kLength = Interleaved<kParts>::kLength;
  const hn::CappedTag<float, kParts> d;
  using V = hn::Vec<decltype(d)>;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  for (int j = 0; j < kParts; j += lanes) {
    alignas(64) float weights[kLength][hn::MaxLanes(d)], trial[kLength][hn::MaxLanes(d)];
    const auto value = [&](int i) HWY_ATTR { return hn::Load(d, &block.values[i][j]); };
    V squares = zero;
    for (int i = 0; i < kLength; ++i) squares = hn::Add(squares, hn::Mul(value(i), value(i)));
    const V deviation = hn::Sqrt(hn::Div(squares, hn::Set(d, static_cast<float>(kLength))));
    V low = value(0), high = value(0), sum_w = zero, sum_x = zero;
    for (int i = 0; i < kLength; ++i) {
      const V x = value(i), w = hn::Add(deviation, hn::Abs(x));
      hn::Store(w, d, weights[i]);
      low = hn::Min(low, x);
      high = hn::Max(high, x);
      sum_w = hn::Add(sum_w, w);
      sum_x = hn::Add(sum_x, hn::Mul(w, x));
    }
    low = hn::Min(low, zero);
    const auto flat = hn::Eq(low, high);
    const auto range = [&](V minimum) HWY_ATTR { return hn::IfThenElse(flat, one, hn::Sub(high, minimum)); };
    V inverse = hn::Div(hn::Set(d, static_cast<float>(kMax)), range(low)), scale = hn::Div(one, inverse);
    V best_error = zero;
    for (int i = 0; i < kLength; ++i) {
      const V x = value(i);
      const V code = Clamp(Nearest(hn::Mul(inverse, hn::Sub(x, low))), 0.0f, kMax);
      hn::Store(code, d, &block.codes[i][j]);
      const V error = hn::Sub(hn::Add(hn::Mul(scale, code), low), x);
      best_error = hn::Add(best_error, hn::Mul(hn::Load(d, weights[i]), hn::Mul(error, error)));
    }
    V minimum = low;
    for (int step = 0; step <= kSteps; ++step) {
      inverse =
          hn::Div(hn::Set(d, first_step + 0.1f * static_cast<float>(step) + static_cast<float>(kMax)), range(minimum));
      V sum_l = zero, sum_l2 = zero, sum_xl = zero;
      for (int i = 0; i < kLength; ++i) {
        const V x = value(i), w = hn::Load(d, weights[i]);
        const V code = Clamp(Nearest(hn::Mul(inverse, hn::Sub(x, minimum))), 0.0f, kMax);
        hn::Store(code, d, trial[i]);
        const V weighted = hn::Mul(w, code);
        sum_l = hn::Add(sum_l, weighted);
        sum_l2 = hn::Add(sum_l2, hn::Mul(weighted, code));
        sum_xl = hn::Add(sum_xl, hn::Mul(weighted, x));
      }
      const V determinant = hn::Sub(hn::Mul(sum_w, sum_l2), hn::Mul(sum_l, sum_l));
      const auto solvable = hn::Gt(determinant, zero);
      const V divisor = hn::IfThenElse(solvable, determinant, one);
      V new_scale = hn::Div(hn::Sub(hn::Mul(sum_w, sum_xl), hn::Mul(sum_x, sum_l)), divisor);
      V new_minimum = hn::Div(hn::Sub(hn::Mul(sum_l2, sum_x), hn::Mul(sum_l, sum_xl)), divisor);
      const auto above = hn::Gt(new_minimum, zero);
      new_scale = hn::IfThenElse(above, hn::Div(sum_xl, hn::IfThenElse(solvable, sum_l2, one)), new_scale);
      new_minimum = hn::IfThenElse(above, zero, new_minimum);
      V error_sum = zero;
      for (int i = 0; i < kLength; ++i) {
        const V error = hn::Sub(hn::Add(hn::Mul(new_scale, hn::Load(d, trial[i])), new_minimum), value(i));
        error_sum = hn::Add(error_sum, hn::Mul(hn::Load(d, weights[i]), hn::Mul(error, error)));
      }
      const auto better = hn::And(solvable, hn::Lt(error_sum, best_error));
      if (hn::AllFalse(d, better)) continue;
      for (int i = 0; i < kLength; ++i) {
        float* const codes = &block.codes[i][j];
        hn::Store(hn::IfThenElse(better, hn::Load(d, trial[i]), hn::Load(d, codes)), d, codes);
      }
      best_error = hn::IfThenElse(better, error_sum, best_error);
      scale = hn::IfThenElse(better, new_scale, scale);
      minimum = hn::IfThenElse(better, new_minimum, minimum);
    }
    hn::Store(hn::IfThenElse(flat, zero, scale), d, &block.scales[j]);
    hn::Store(hn::Neg(minimum), d, &block.minima[j]);
    for (int i = 0; i < kLength; ++i) {
      float* const codes = &block.codes[i][j];
      hn::Store(hn::IfThenElse(flat, zero, hn::Load(d, codes)), d, codes);
    }
  }
}

// value = scale * (code - kHalf) with codes 0 .. 2 kHalf - 1, weights x^2: eighteen grids around the one whose end is
// the largest magnitude.
template <int kHalf, int kParts>
void SearchCentred(Interleaved<kParts>& block) {
  constexpr int kLength = Interleaved<kParts>::kLength;
  const hn::CappedTag<float, kParts> d;
  using V = hn::Vec<decltype(d)>;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), half = hn::Set(d, static_cast<float>(kHalf));
  for (int j = 0; j < kParts; j += lanes) {
    const auto value = [&](int i) HWY_ATTR { return hn::Load(d, &block.values[i][j]); };
    V largest = zero, extreme = zero;
    for (int i = 0; i < kLength; ++i) {
      const V magnitude = hn::Abs(value(i));
      const auto larger = hn::Gt(magnitude, largest);
      largest = hn::IfThenElse(larger, magnitude, largest);
      extreme = hn::IfThenElse(larger, value(i), extreme);
    }
    const auto empty = hn::Lt(largest, hn::Set(d, kTiny));
    const V divisor = hn::IfThenElse(empty, one, extreme);
    V scale = zero, best = zero;
    const auto attempt = [&](float end, bool first) HWY_ATTR {
      const V inverse = hn::Div(hn::Set(d, -end), divisor);
      V sum_lx = zero, sum_l2 = zero;
      for (int i = 0; i < kLength; ++i) {
        const V x = value(i), w = hn::Mul(x, x);
        const V code = Clamp(Nearest(hn::Mul(inverse, x)), -kHalf, kHalf - 1);
        sum_lx = hn::Add(sum_lx, hn::Mul(hn::Mul(w, x), code));
        sum_l2 = hn::Add(sum_l2, hn::Mul(hn::Mul(w, code), code));
      }
      const auto some = hn::Gt(sum_l2, zero);
      const auto better = first ? some : hn::And(some, hn::Gt(hn::Mul(sum_lx, sum_lx), hn::Mul(best, sum_l2)));
      if (!first && hn::AllFalse(d, better)) return;
      for (int i = 0; i < kLength; ++i) {
        float* const codes = &block.codes[i][j];
        const V code = hn::Add(half, Clamp(Nearest(hn::Mul(inverse, value(i))), -kHalf, kHalf - 1));
        hn::Store(first ? code : hn::IfThenElse(better, code, hn::Load(d, codes)), d, codes);
      }
      const V fitted = hn::Div(sum_lx, hn::IfThenElse(some, sum_l2, one));
      scale = hn::IfThenElse(better, fitted, scale);
      best = hn::IfThenElse(better, hn::Mul(fitted, sum_lx), best);
    };
    attempt(kHalf, true);
    for (int step = -9; step <= 9; ++step) {
      if (step != 0) attempt(static_cast<float>(kHalf) + 0.1f * static_cast<float>(step), false);
    }
    hn::Store(hn::IfThenElse(empty, zero, scale), d, &block.scales[j]);
    for (int i = 0; i < kLength; ++i) {
      float* const codes = &block.codes[i][j];
      hn::Store(hn::IfThenElse(empty, zero, hn::Load(d, codes)), d, codes);
    }
  }
}

float PutHalf(std::uint8_t* out, float value) {
  const f16 half = to_f16(value);
  std::memcpy(out, &half.bits, sizeof half.bits);
  return to_float(half);
}

// What Q4_K and Q5_K share: scales and minima in six bits each, packed into twelve bytes, and the codes that follow from
// them as they are stored. codes [256] in the order of the values.
template <int kMax, int kSteps>
void EncodeAffine(std::uint8_t* out, std::uint8_t* codes, const float* values, float first_step) {
  constexpr int kParts = 8, kLength = 32;
  Interleaved<kParts> block;
  block.Load(values);
  SearchAffine<kMax, kSteps>(block, first_step);
  const float largest_scale = std::max(0.0f, *std::max_element(block.scales, block.scales + kParts));
  const float largest_minimum = std::max(0.0f, *std::max_element(block.minima, block.minima + kParts));
  const float to_scale = largest_scale > 0 ? 63.0f / largest_scale : 0.0f;
  const float to_minimum = largest_minimum > 0 ? 63.0f / largest_minimum : 0.0f;
  int scales[kParts], minima[kParts];
  for (int j = 0; j < kParts; ++j) {
    scales[j] = std::min(63, static_cast<int>(NearestOne(to_scale * block.scales[j])) & 255);
    minima[j] = std::min(63, static_cast<int>(NearestOne(to_minimum * block.minima[j])) & 255);
  }
  std::uint8_t* const packed = out + 4;
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<std::uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
    packed[j + 4] = static_cast<std::uint8_t>(minima[j] | (minima[j + 4] >> 4) << 6);
    packed[j + 8] = static_cast<std::uint8_t>((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
  const float unit = PutHalf(out, largest_scale / 63.0f), minimum_unit = PutHalf(out + 2, largest_minimum / 63.0f);
  for (int j = 0; j < kParts; ++j) {
    const float scale = unit * static_cast<float>(scales[j]), minimum = minimum_unit * static_cast<float>(minima[j]);
    for (int i = 0; i < kLength; ++i) {
      float code = block.codes[i][j];
      if (scale != 0.0f) code = NearestOne((block.values[i][j] + minimum) / scale);
      codes[j * kLength + i] = static_cast<std::uint8_t>(std::max(0.0f, std::min(static_cast<float>(kMax), code)));
    }
  }
}

// 32 bytes for 64 elements: the first 32 in the low four bits, the others in the high four.
void PackNibbles(std::uint8_t* out, const std::uint8_t* codes) {
  for (int group = 0; group < 4; ++group, out += 32, codes += 64) {
    for (int i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 32] & 15) << 4);
  }
}

void EncodeQ4K(std::uint8_t* out, const float* values, std::int64_t count) {
  std::uint8_t codes[kSuperBlock];
  for (std::int64_t b = 0; b < count; ++b, out += kQ4KBytes, values += kSuperBlock) {
    EncodeAffine<15, 20>(out, codes, values, -1.0f);
    PackNibbles(out + 16, codes);
  }
}

// The fifth bits: bit 2 g of byte i for element i of the g-th 64, bit 2 g + 1 for element i + 32.
void EncodeQ5K(std::uint8_t* out, const float* values, std::int64_t count) {
  std::uint8_t codes[kSuperBlock];
  for (std::int64_t b = 0; b < count; ++b, out += kQ5KBytes, values += kSuperBlock) {
    EncodeAffine<31, 15>(out, codes, values, -0.5f);
    for (int i = 0; i < 32; ++i) {
      int bits = 0;
      for (int group = 0; group < 8; ++group) bits |= (codes[group * 32 + i] >> 4) << group;
      out[16 + i] = static_cast<std::uint8_t>(bits);
    }
    PackNibbles(out + 48, codes);
  }
}

// Low four bits of 128 elements in 64 bytes, high two bits of the same in 32.
void PackSixBits(std::uint8_t* low, std::uint8_t* high, const std::uint8_t* codes) {
  for (int half = 0; half < 2; ++half, low += 64, high += 32, codes += 128) {
    for (int i = 0; i < 32; ++i) {
      const int a = codes[i], b = codes[i + 32], c = codes[i + 64], e = codes[i + 96];
      low[i] = static_cast<std::uint8_t>((a & 15) | (c & 15) << 4);
      low[i + 32] = static_cast<std::uint8_t>((b & 15) | (e & 15) << 4);
      high[i] = static_cast<std::uint8_t>(a >> 4 | (b >> 4) << 2 | (c >> 4) << 4 | (e >> 4) << 6);
    }
  }
}

void EncodeQ6K(std::uint8_t* out, const float* values, std::int64_t count) {
  constexpr int kParts = 16, kLength = 16;
  std::uint8_t codes[kSuperBlock];
  for (std::int64_t b = 0; b < count; ++b, out += kQ6KBytes, values += kSuperBlock) {
    Interleaved<kParts> block;
    block.Load(values);
    SearchCentred<32>(block);
    const float extreme = *std::max_element(block.scales, block.scales + kParts,
                                            [](float x, float y) { return std::fabs(x) < std::fabs(y); });
    if (std::fabs(extreme) < kTiny) {
      std::memset(out, 0, kQ6KBytes);
      continue;
    }
    const float inverse = -128.0f / extreme, unit = PutHalf(out + 208, 1.0f / inverse);
    for (int j = 0; j < kParts; ++j) {
      const float coded = std::min(127.0f, NearestOne(inverse * block.scales[j])), scale = unit * coded;
      out[192 + j] = static_cast<std::uint8_t>(static_cast<std::int8_t>(coded));
      for (int i = 0; i < kLength; ++i) {
        float code = block.codes[i][j];
        if (scale != 0.0f) code = std::max(-32.0f, std::min(31.0f, NearestOne(block.values[i][j] / scale))) + 32.0f;
        codes[j * kLength + i] = static_cast<std::uint8_t>(code);
      }
    }
    PackSixBits(out, out + 128, codes);
  }
}

}  // namespace attune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(EncodeQ4K);
HWY_EXPORT(EncodeQ5K);
HWY_EXPORT(EncodeQ6K);

void encode_q4_k(std::uint8_t* blocks, const float* values, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(EncodeQ4K)(blocks, values, count);
}
void encode_q5_k(std::uint8_t* blocks, const float* values, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(EncodeQ5K)(blocks, values, count);
}
void encode_q6_k(std::uint8_t* blocks, const float* values, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(EncodeQ6K)(blocks, values, count);
}

}  // namespace attune
#endif
