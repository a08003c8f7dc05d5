// Dropout, NEFTune noise and addition. Element i uses word i mod 4 of Philox block i / 4 of the key's stream,
// which is what base/rng.h defines; here many blocks are computed side by side.
#include "ops/noise.h"

#include <cmath>

#include "ops/check.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/noise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int64_t kBlocks = 64, kWords = 4 * kBlocks;

// words[i] for the elements first_block * 4 + i. Plain loops, long enough that compilers make
// vectors of them instead of unrolling them.
void random_words(std::uint32_t* HWY_RESTRICT words, NoiseKey key, std::uint64_t first_block) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (std::int64_t b = 0; b < kBlocks; ++b) {
    const std::uint64_t block = first_block + static_cast<std::uint64_t>(b);
    c0[b] = static_cast<std::uint32_t>(block);
    c1[b] = static_cast<std::uint32_t>(block >> 32);
    c2[b] = static_cast<std::uint32_t>(key.stream);
    c3[b] = static_cast<std::uint32_t>(key.stream >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t b = 0; b < kBlocks; ++b) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0[b];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2[b];
      c0[b] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[b] ^ k0;
      c1[b] = static_cast<std::uint32_t>(p1);
      c2[b] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[b] ^ k1;
      c3[b] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (std::int64_t b = 0; b < kBlocks; ++b) {
    words[4 * b] = c0[b];
    words[4 * b + 1] = c1[b];
    words[4 * b + 2] = c2[b];
    words[4 * b + 3] = c3[b];
  }
}

// Calls body(d, i, words of those lanes) over [begin, end); begin is a multiple of kWords.
template <class Body>
HWY_INLINE void for_lanes_with_words(std::int64_t begin, std::int64_t end, NoiseKey key, const Body& body) {
  HWY_ALIGN std::uint32_t words[kWords];
  for (std::int64_t start = begin; start < end; start += kWords) {
    random_words(words, key, (key.first + static_cast<std::uint64_t>(start)) / 4);
    for_lanes(start, HWY_MIN(end, start + kWords), [&](auto d, std::int64_t i) HWY_ATTR {
      const hn::Rebind<std::uint32_t, decltype(d)> du;
      body(d, i, hn::LoadU(du, words + (i - start)));
    });
  }
}

template <typename T>
void dropout_as(T* out, const T* x, std::uint32_t dropped_below, float scale, NoiseKey key, std::int64_t begin,
                std::int64_t end) {
  for_lanes_with_words(begin, end, key, [&](auto d, std::int64_t i, auto words) HWY_ATTR {
    // Both sides are shifted to 31 bits, because Highway's 1.0.3 vectors compare signed lanes on every
    // target.
    const hn::Rebind<std::int32_t, decltype(d)> di;
    const auto word = hn::BitCast(di, hn::ShiftRight<1>(words));
    const auto dropped = hn::Lt(word, hn::Set(di, static_cast<std::int32_t>(dropped_below)));
    const auto kept = hn::Mul(load(d, x + i), hn::Set(d, scale));
    store(d, hn::IfThenZeroElse(hn::RebindMask(d, dropped), kept), out + i);
  });
}

template <typename T>
void uniform_as(T* x, float magnitude, NoiseKey key, std::int64_t begin, std::int64_t end) {
  for_lanes_with_words(begin, end, key, [&](auto d, std::int64_t i, auto words) HWY_ATTR {
    // 23 bits, centred: (k + 1/2) / 2^22 - 1 for k in [0, 2^23) lies strictly between -1 and 1.
    const hn::Rebind<std::int32_t, decltype(d)> di;
    const auto k = hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<9>(words)));
    const auto u = hn::MulAdd(k, hn::Set(d, 0x1.0p-22f), hn::Set(d, 0x1.0p-23f - 1.0f));
    store(d, hn::MulAdd(u, hn::Set(d, magnitude), load(d, x + i)), x + i);
  });
}

template <typename T>
void add_as(T* out, const T* x, std::int64_t begin, std::int64_t end) {
  for_lanes(begin, end,
            [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::Add(load(d, out + i), load(d, x + i)), out + i); });
}

void dropout_range(const TensorView& out, const TensorView& x, std::uint32_t dropped_below, float scale, NoiseKey key,
                   std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    dropout_as(out.as<float>(), x.as<float>(), dropped_below, scale, key, begin, end);
  } else {
    dropout_as(out.as<bf16>(), x.as<bf16>(), dropped_below, scale, key, begin, end);
  }
}

void uniform_range(const TensorView& x, float magnitude, NoiseKey key, std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    uniform_as(x.as<float>(), magnitude, key, begin, end);
  } else {
    uniform_as(x.as<bf16>(), magnitude, key, begin, end);
  }
}

void add_range(const TensorView& out, const TensorView& x, std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    add_as(out.as<float>(), x.as<float>(), begin, end);
  } else {
    add_as(out.as<bf16>(), x.as<bf16>(), begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(dropout_range);
HWY_EXPORT(uniform_range);
HWY_EXPORT(add_range);

void dropout(TensorView out, TensorView x, float probability, NoiseKey key) {
  require_activations("dropout", {out, x});
  require_equal_size("dropout", {out, x});
  require(probability >= 0.0f && probability < 1.0f, "dropout", "a probability in [0, 1)");
  require(key.first % 4 == 0, "dropout", "a part that begins at a multiple of 4");
  const auto dropped_below = static_cast<std::uint32_t>(std::lround(static_cast<double>(probability) * 0x1.0p31));
  const auto scale = static_cast<float>(1.0 / (1.0 - static_cast<double>(probability)));
  parallel_ranges(x.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(dropout_range)(out, x, dropped_below, scale, key, begin, end);
  });
}

void add_uniform_noise(TensorView x, float magnitude, NoiseKey key) {
  require_activations("add_uniform_noise", {x});
  parallel_ranges(x.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(uniform_range)(x, magnitude, key, begin, end);
  });
}

void add(TensorView out, TensorView x) {
  require_activations("add", {out, x});
  require_equal_size("add", {out, x});
  parallel_ranges(x.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_range)(out, x, begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
