// The sums of the lanes of vectors in memory, one or many at a time by the same tree of additions, for products that must not
// show how many were made together. Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_LANE_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_LANE_SUMS_INL_H_
#undef ATTUNE_OPS_LANE_SUMS_INL_H_
#else
#define ATTUNE_OPS_LANE_SUMS_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// A vector of Lanes(d) in memory as the sum of its quarters, or what else it has of four lanes.
template <class D>
HWY_INLINE hn::Vec<hn::CappedTag<float, 4>> folded(D d, const float* lanes) {
  const hn::CappedTag<float, 4> d4;
  auto total = hn::LoadU(d4, lanes);
  for (std::size_t i = 4; i < hn::Lanes(d); i += 4) total = hn::Add(total, hn::LoadU(d4, lanes + i));
  return total;
}
#endif

template <class D>
HWY_INLINE float lane_sum(D d, const float* lanes) {
#if HWY_TARGET == HWY_SCALAR
  (void)d;
  return *lanes;
#else
  alignas(16) float four[4];
  hn::Store(folded(d, lanes), hn::CappedTag<float, 4>(), four);
  return (four[0] + four[2]) + (four[1] + four[3]);
#endif
}

// Of as many vectors as there are lanes, which lie one behind the other.
template <class D>
HWY_INLINE hn::Vec<D> lane_sums(D d, const float* lanes) {
#if HWY_TARGET == HWY_SCALAR
  return hn::LoadU(d, lanes);
#else
  HWY_ALIGN float fours[4 * hn::MaxLanes(d)];
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    hn::Store(folded(d, lanes + i * hn::Lanes(d)), hn::CappedTag<float, 4>(), fours + 4 * i);
  }
  hn::Vec<D> first, second, third, fourth;
  hn::LoadInterleaved4(d, fours, first, second, third, fourth);
  return hn::Add(hn::Add(first, third), hn::Add(second, fourth));
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_LANE_SUMS_INL_H_
