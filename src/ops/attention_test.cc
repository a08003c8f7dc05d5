// Attention: the reference against complex steps, the kernels against the reference.
#include "ops/attention.h"

#include "ops/bf16_tile.h"
#include "ops/test_support.h"

namespace attune {
namespace {

using reference::Attention;

constexpr std::size_t kNoWindow = 0;

Attention problem(std::size_t query_heads, std::size_t key_heads, std::size_t size, std::size_t window, Ints starts) {
  return {query_heads, key_heads, size, 1.0 / std::sqrt(static_cast<double>(size)), window, std::move(starts)};
}

AttentionParams params_of(const Attention& a) {
  return {.scale = static_cast<float>(a.scale), .sliding_window = static_cast<std::int64_t>(a.window)};
}

Shape query_shape(const Attention& a) {
  return {static_cast<std::int64_t>(a.tokens()), static_cast<std::int64_t>(a.query_heads),
          static_cast<std::int64_t>(a.size)};
}
Shape key_shape(const Attention& a) {
  return {static_cast<std::int64_t>(a.tokens()), static_cast<std::int64_t>(a.key_heads),
          static_cast<std::int64_t>(a.size)};
}
Shape statistics_shape(const Attention& a) {
  return {static_cast<std::int64_t>(a.query_heads), static_cast<std::int64_t>(a.tokens())};
}

// Inputs and outputs of one problem in one type of storage.
struct Case {
  Case(const Attention& a, DType type)
      : a(a),
        type(type),
        q(type, query_shape(a), random_normal(a.tokens() * a.query_heads * a.size, 1)),
        k(type, key_shape(a), random_normal(a.tokens() * a.key_heads * a.size, 2)),
        v(type, key_shape(a), random_normal(a.tokens() * a.key_heads * a.size, 3)),
        dout(type, query_shape(a), random_normal(a.tokens() * a.query_heads * a.size, 4)),
        out(type, query_shape(a)),
        dq(type, query_shape(a)),
        dk(type, key_shape(a)),
        dv(type, key_shape(a)),
        log_sum_exp(DType::kF32, statistics_shape(a)),
        delta(DType::kF32, statistics_shape(a)) {}

  void forward() {
    attention_forward(out.view(), log_sum_exp.view(), q.view(), k.view(), v.view(), a.starts, params_of(a));
  }
  void backward() {
    attention_backward(dq.view(), dk.view(), dv.view(), dout.view(), q.view(), k.view(), v.view(), out.view(),
                       log_sum_exp.view(), delta.view(), a.starts, params_of(a));
  }

  Attention a;
  DType type;
  Stored q, k, v, dout, out, dq, dk, dv, log_sum_exp, delta;
};

// Calls body(type) with f32 and bf16 once per Highway target, then with bf16 once per kind of tiles that this processor
// multiplies.
template <typename Body>
void for_each_arithmetic(const Body& body) {
  limit_bf16_tiles(Bf16Tiles::kNone);
  for_each_target_and_type(body);
  for_each_bf16_tiles([&] { body(DType::kBF16); });
}

// What the results may differ by because probabilities and gradients of scores are rounded to bf16 before products over
// them: 2^-8 of every summand.
struct SummandRounding {
  Doubles out, dq, dk, dv;
};
SummandRounding rounding_of_summands(const Attention& a, DType type, const Doubles& q, const Doubles& k,
                                     const Doubles& v, const Doubles& dout, const Doubles& out) {
  SummandRounding bound{Doubles(q.size()), Doubles(q.size()), Doubles(k.size()), Doubles(k.size())};
  if (type == DType::kF32 || bf16_tiles() == Bf16Tiles::kNone) return bound;
  for (std::size_t token = 0; token < a.tokens(); ++token) {
    for (std::size_t head = 0; head < a.query_heads; ++head) {
      const auto row = reference::attention_row(a, q, k, token, head);
      const std::size_t query = a.query(token, head), first = a.first(token);
      double delta = 0.0;
      for (std::size_t i = 0; i < a.size; ++i) delta += dout[query + i] * out[query + i];
      for (std::size_t j = 0; j < row.probabilities.size(); ++j) {
        const std::size_t key = a.key(first + j, head);
        double dp = 0.0;
        for (std::size_t i = 0; i < a.size; ++i) dp += dout[query + i] * v[key + i];
        const double p = 0x1.0p-8 * row.probabilities[j], ds = p * std::abs(dp - delta) * a.scale;
        for (std::size_t i = 0; i < a.size; ++i) {
          bound.out[query + i] += p * std::abs(v[key + i]);
          bound.dq[query + i] += ds * std::abs(k[key + i]);
          bound.dk[key + i] += ds * std::abs(q[query + i]);
          bound.dv[key + i] += p * std::abs(dout[query + i]);
        }
      }
    }
  }
  return bound;
}

// As expect_near, where every element may differ by its own `more`.
void expect_near(const Doubles& got, const Doubles& want, DType type, double roundings, double norm,
                 const Doubles& more, const std::string& what) {
  Doubles nearest = got;
  for (std::size_t i = 0; i < got.size(); ++i) nearest[i] = std::clamp(want[i], got[i] - more[i], got[i] + more[i]);
  expect_near(nearest, want, type, roundings, norm, what);
}

void expect_matches_reference(const Attention& a, DType type) {
  Case c(a, type);
  c.forward();
  c.backward();
  const Doubles q = c.q.values(), k = c.k.values(), v = c.v.values(), dout = c.dout.values();
  const Doubles want = reference::attention(a, q, k, v);
  const SummandRounding more = rounding_of_summands(a, type, q, k, v, dout, c.out.values());
  // A probability carries the rounding of a score (D products) and of the sums over at most N keys.
  const double roundings = 4.0 * std::sqrt(static_cast<double>(a.size + a.tokens())) + 16.0;
  expect_near(c.out.values(), want, type, roundings, largest(v), more.out, "out");
  Doubles log_sums;
  for (std::size_t head = 0; head < a.query_heads; ++head) {
    for (std::size_t token = 0; token < a.tokens(); ++token) {
      log_sums.push_back(reference::attention_row(a, q, k, token, head).log_sum_exp);
    }
  }
  expect_near(c.log_sum_exp.values(), log_sums, DType::kF32, roundings, 1.0 + largest(log_sums), "log_sum_exp");
  const reference::AttentionGradient g = reference::attention_backward(a, dout, q, k, v, c.out.values());
  // dscores is a difference of two sums over D of products dout v, each rounded, times the scale 1/sqrt(D).
  const double product = largest(dout) * largest(v);
  expect_near(c.dq.values(), g.dq, type, roundings, largest(g.dq) + product * largest(k), more.dq, "dq");
  expect_near(c.dk.values(), g.dk, type, roundings, largest(g.dk) + product * largest(q), more.dk, "dk");
  expect_near(c.dv.values(), g.dv, type, roundings, largest(g.dv), more.dv, "dv");
}

TEST(AttentionReference, BackwardAgreesWithComplexSteps) {
  for (const std::size_t window : {kNoWindow, std::size_t{3}}) {
    const Attention a = problem(4, 2, 3, window, {0, 5, 6, 13});
    const Doubles q = random_normal(a.tokens() * 4 * 3, 1), k = random_normal(a.tokens() * 2 * 3, 2);
    const Doubles v = random_normal(a.tokens() * 2 * 3, 3), dout = random_normal(a.tokens() * 4 * 3, 4);
    const Doubles out = reference::attention(a, q, k, v);
    const reference::AttentionGradient g = reference::attention_backward(a, dout, q, k, v, out);
    const auto cq = to_complex(q), ck = to_complex(k), cv = to_complex(v);
    expect_complex_step(
        q, g.dq, dout, [&](const auto& x) { return reference::attention(a, x, ck, cv); }, "dq");
    expect_complex_step(
        k, g.dk, dout, [&](const auto& x) { return reference::attention(a, cq, x, cv); }, "dk");
    expect_complex_step(
        v, g.dv, dout, [&](const auto& x) { return reference::attention(a, cq, ck, x); }, "dv");
  }
}

TEST(Attention, MatchesReferenceForEveryHeadSize) {
  for_each_arithmetic([](DType type) {
    for (const std::size_t size : {1, 2, 7, 8, 16, 20, 31, 40, 64, 80, 128, 256}) {
      SCOPED_TRACE(size);
      expect_matches_reference(problem(2, 1, size, kNoWindow, {0, 37}), type);
    }
  });
}

TEST(Attention, MatchesReferenceOnPackedSequences) {
  for_each_arithmetic([](DType type) {
    // Sequences of one token, inside one block, across blocks, ending on a block's border, and empty ones.
    for (const Ints& starts : {Ints{0, 1}, Ints{0, 64}, Ints{0, 65}, Ints{0, 1, 2, 40, 40, 63, 64, 128, 200},
                               Ints{0, 3, 150}, Ints{0, 0, 6, 71, 71}}) {
      SCOPED_TRACE(starts.size());
      expect_matches_reference(problem(6, 2, 20, kNoWindow, starts), type);
    }
  });
}

TEST(Attention, MatchesReferenceWithSlidingWindow) {
  for_each_arithmetic([](DType type) {
    for (const std::size_t window : {1, 2, 7, 31, 64, 65, 100, 500}) {
      SCOPED_TRACE(window);
      expect_matches_reference(problem(2, 2, 16, window, {0, 11, 170}), type);
    }
  });
}

TEST(Attention, MatchesReferenceForEveryGroup) {
  for_each_arithmetic([](DType type) {
    for (const std::size_t group : {1, 3, 4, 5, 7, 9}) {
      SCOPED_TRACE(group);
      expect_matches_reference(problem(2 * group, 2, 8, kNoWindow, {0, 70}), type);
    }
  });
}

TEST(Attention, MatchesReferenceAcrossBlocks) {
  for_each_arithmetic([](DType type) {
    for (const std::size_t window : {kNoWindow, std::size_t{45}, std::size_t{150}}) {
      SCOPED_TRACE(window);
      expect_matches_reference(problem(3, 1, 40, window, {0, 7, 300, 301, 333}), type);
    }
  });
  // More tokens than any task sums the gradients of at once.
  expect_matches_reference(problem(1, 1, 256, kNoWindow, {0, 530}), DType::kBF16);
}

TEST(Attention, SurvivesLargeScores) {
  for_each_arithmetic([](DType type) {
    const Attention a = problem(1, 1, 8, kNoWindow, {0, 90});
    Case c(a, type);
    Stored large(type, query_shape(a), random_normal(90 * 8, 1, 300.0));
    attention_forward(c.out.view(), c.log_sum_exp.view(), large.view(), c.k.view(), c.v.view(), a.starts, params_of(a));
    const Doubles q = large.values(), k = c.k.values(), v = c.v.values();
    const SummandRounding more = rounding_of_summands(a, type, q, k, v, c.dout.values(), c.out.values());
    // The scores are of size 300 sqrt(8); their rounding is a relative error of the probabilities.
    expect_near(c.out.values(), reference::attention(a, q, k, v), type, 8.0 * 300.0 * std::sqrt(8.0), largest(v),
                more.out, "out");
  });
}

TEST(Attention, DoesNotDependOnThreads) {
  for (const DType type : {DType::kF32, DType::kBF16}) {
    SCOPED_TRACE(std::string(name_of(type)));
    for (const std::size_t window : {kNoWindow, std::size_t{70}}) {
      expect_independent_of_threads([&] {
        Case c(problem(6, 3, 24, window, {0, 100, 101, 700}), type);
        c.forward();
        c.backward();
        return c.out.bits() + c.log_sum_exp.bits() + c.dq.bits() + c.dk.bits() + c.dv.bits();
      });
    }
  }
}

TEST(Attention, SequencesDoNotTouchEachOther) {
  // The same sequence alone and behind another: the same bits.
  const Attention alone = problem(2, 1, 12, kNoWindow, {0, 90}), packed = problem(2, 1, 12, kNoWindow, {0, 90, 133});
  for (const DType type : {DType::kF32, DType::kBF16}) {
    Case a(alone, type), b(packed, type);
    a.forward();
    b.forward();
    EXPECT_EQ(a.out.bits(), b.out.bits().substr(0, a.out.bits().size())) << name_of(type);
  }
}

TEST(AttentionDecode, MatchesLastRowOfReference) {
  for_each_target_and_type([](DType type) {
    for (const std::size_t window : {0, 1, 5, 300}) {
      for (const std::size_t length : {1, 2, 31, 256, 257, 600}) {
        SCOPED_TRACE(testing::Message() << "window " << window << ", length " << length);
        const Attention a = problem(6, 2, 20, window, {0, static_cast<std::int32_t>(length)});
        const auto capacity = static_cast<std::int64_t>(length) + 3;
        const Doubles q = random_normal(length * 6 * 20, 1);
        Stored last(type, {6, 20}, Doubles(q.end() - 6 * 20, q.end())), out(type, {6, 20});
        Stored keys(type, {capacity, 2, 20}, random_normal((length + 3) * 2 * 20, 2));
        Stored values(type, {capacity, 2, 20}, random_normal((length + 3) * 2 * 20, 3));
        attention_decode(out.view(), last.view(), keys.view(), values.view(), static_cast<std::int64_t>(length),
                         params_of(a));
        const Doubles rounded = last.values(), v = values.values();
        Doubles want(6 * 20), padded(q.size());
        std::copy(rounded.begin(), rounded.end(), padded.end() - 6 * 20);
        for (std::size_t head = 0; head < 6; ++head) {
          const auto row = reference::attention_row(a, padded, keys.values(), length - 1, head);
          for (std::size_t j = 0; j < row.probabilities.size(); ++j) {
            for (std::size_t i = 0; i < 20; ++i) {
              want[head * 20 + i] += row.probabilities[j] * v[a.key(a.first(length - 1) + j, head) + i];
            }
          }
        }
        const double roundings = 4.0 * std::sqrt(20.0 + static_cast<double>(length)) + 16.0;
        expect_near(out.values(), want, type, roundings, largest(v), "out");
      }
    }
  });
}

TEST(AttentionDecode, DoesNotDependOnThreads) {
  Stored q(DType::kF32, {4, 16}, random_normal(64, 1)), keys(DType::kF32, {700, 2, 16}, random_normal(22400, 2));
  Stored values(DType::kF32, {700, 2, 16}, random_normal(22400, 3));
  expect_independent_of_threads([&] {
    Stored out(DType::kF32, {4, 16});
    attention_decode(out.view(), q.view(), keys.view(), values.view(), 700, {.scale = 0.25f});
    return out.bits();
  });
}

}  // namespace
}  // namespace attune
