// SwiGLU: the reference against complex steps, the kernels against the reference.
#include "ops/swiglu.h"

#include "ops/test_support.h"

namespace attune {
namespace {

// exp within 1e-7, and a division, and a handful of products.
constexpr double kRoundings = 12.0;

TEST(SwigluReference, BackwardAgreesWithComplexSteps) {
  const Doubles gate = random_normal(9, 1, 3.0), up = random_normal(9, 2), dout = random_normal(9, 3);
  const auto g = reference::swiglu_backward(dout, gate, up);
  const auto cg = to_complex(gate), cu = to_complex(up);
  expect_complex_step(
      gate, g.dgate, dout, [&](const auto& v) { return reference::swiglu(v, cu); }, "dgate");
  expect_complex_step(
      up, g.dup, dout, [&](const auto& v) { return reference::swiglu(cg, v); }, "dup");
}

TEST(Swiglu, MatchesReferenceAndAliases) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t columns : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 172, 4099}) {
      SCOPED_TRACE(columns);
      const Shape shape{7, columns};
      const auto count = static_cast<std::size_t>(shape.elements());
      Stored gate(type, shape, random_normal(count, 1, 4.0)), up(type, shape, random_normal(count, 2));
      Stored dout(type, shape, random_normal(count, 3)), out(type, shape), dgate(type, shape), dup(type, shape);
      const Doubles z = gate.values(), u = up.values(), d = dout.values();
      swiglu_forward(out.view(), gate.view(), up.view());
      const Doubles want = reference::swiglu(z, u);
      expect_near(out.values(), want, type, kRoundings, largest(want), "out");
      swiglu_backward(dgate.view(), dup.view(), dout.view(), gate.view(), up.view());
      const auto g = reference::swiglu_backward(d, z, u);
      // 1 + z (1 - s) cancels where silu' crosses 0: its terms are at most largest(z) there.
      expect_near(dgate.values(), g.dgate, type, kRoundings, largest(g.dgate), "dgate");
      expect_near(dup.values(), g.dup, type, kRoundings, largest(g.dup), "dup");

      Stored as_dout(type, shape, d), as_gate(type, shape, z), as_up(type, shape, u), as_gate2(type, shape, z);
      swiglu_backward(as_gate.view(), as_dout.view(), as_dout.view(), as_gate.view(), up.view());
      EXPECT_EQ(as_gate.bits(), dgate.bits()) << "dgate may be gate";
      EXPECT_EQ(as_dout.bits(), dup.bits()) << "dup may be dout";
      swiglu_backward(dgate.view(), as_up.view(), dout.view(), gate.view(), as_up.view());
      EXPECT_EQ(as_up.bits(), dup.bits()) << "dup may be up";
      swiglu_forward(as_gate2.view(), as_gate2.view(), up.view());
      EXPECT_EQ(as_gate2.bits(), out.bits()) << "out may be gate";
      swiglu_forward(up.view(), gate.view(), up.view());
      EXPECT_EQ(up.bits(), out.bits()) << "out may be up";
    }
  });
}

TEST(Swiglu, IsFiniteAtTheEdges) {
  for_each_target([] {
    const Doubles gates{-1e30, -200.0, -104.5, -88.8, -87.0, -0.0, 0.0, 87.0, 88.8, 104.5, 200.0, 1e30};
    const auto count = static_cast<std::int64_t>(gates.size());
    Stored gate(DType::kF32, {count}, gates), up(DType::kF32, {count}, Doubles(gates.size(), 1.0));
    Stored out(DType::kF32, {count}), dgate(DType::kF32, {count}), dup(DType::kF32, {count});
    swiglu_forward(out.view(), gate.view(), up.view());
    swiglu_backward(dgate.view(), dup.view(), up.view(), gate.view(), up.view());
    for (std::size_t i = 0; i < gates.size(); ++i) {
      const double want = gates[i] > 0 ? gates[i] : 0.0;
      EXPECT_NEAR(out.values()[i], want, 1e-7 * want + 1e-35) << gates[i];
      EXPECT_NEAR(dgate.values()[i], gates[i] == 0 ? 0.5 : gates[i] > 0 ? 1.0 : 0.0, 1e-6) << gates[i];
    }
  });
}

TEST(Swiglu, PassesNanOn) {
  for_each_target_and_type([](DType type) {
    Stored gate(type, {17}), up(type, {17}), out(type, {17});
    Doubles values(17, 1.0);
    values[3] = values[16] = std::numeric_limits<double>::quiet_NaN();
    Stored broken(type, {17}, values);
    swiglu_forward(out.view(), broken.view(), up.view());
    for (const std::size_t i : {3, 16}) EXPECT_TRUE(std::isnan(out.values()[i]));
    swiglu_forward(out.view(), gate.view(), broken.view());
    for (const std::size_t i : {3, 16}) EXPECT_TRUE(std::isnan(out.values()[i]));
  });
}

}  // namespace
}  // namespace attune
