// The ops once more, as plain loops over one scalar type: what the tests hold the fast ones to. Forward
// functions take T = double or std::complex<double> (complex-step differentiation, Squire & Trapp 1998);
// backward ones double. Comparisons look at the real part only. Not part of the product.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace attune::reference {

using Doubles = std::vector<double>;
using Ints = std::vector<std::int32_t>;
template <typename T>
using Values = std::vector<T>;

// x [N, C], weight [C]
template <typename T>
Values<T> rms_norm(const Values<T>& x, const Values<T>& weight, double eps) {
  const std::size_t columns = weight.size();
  Values<T> out(x.size());
  for (std::size_t row = 0; row < x.size(); row += columns) {
    T squares = 0.0;
    for (std::size_t c = 0; c < columns; ++c) squares += x[row + c] * x[row + c];
    const T inv = 1.0 / std::sqrt(squares / static_cast<double>(columns) + eps);
    for (std::size_t c = 0; c < columns; ++c) out[row + c] = x[row + c] * inv * weight[c];
  }
  return out;
}

struct RmsNormGradient {
  Doubles dx, dweight;
};
inline RmsNormGradient rms_norm_backward(const Doubles& dout, const Doubles& x, const Doubles& weight, double eps) {
  const std::size_t columns = weight.size();
  RmsNormGradient g{Doubles(x.size()), Doubles(columns)};
  for (std::size_t row = 0; row < x.size(); row += columns) {
    double squares = 0.0, dot = 0.0;
    for (std::size_t c = 0; c < columns; ++c) {
      squares += x[row + c] * x[row + c];
      dot += dout[row + c] * weight[c] * x[row + c];
    }
    const double count = static_cast<double>(columns), inv = 1.0 / std::sqrt(squares / count + eps);
    for (std::size_t c = 0; c < columns; ++c) {
      g.dx[row + c] = inv * weight[c] * dout[row + c] - x[row + c] * inv * inv * inv * dot / count;
      g.dweight[c] += dout[row + c] * x[row + c] * inv;
    }
  }
  return g;
}

// x [N, heads, 2 half]; tables [max_position, half]; direction -1 is the backward pass.
template <typename T>
Values<T> rope(const Values<T>& x, const Ints& positions, const Doubles& cosines, const Doubles& sines,
               std::size_t heads, std::size_t half, double direction) {
  Values<T> out(x.size());
  for (std::size_t n = 0; n < positions.size(); ++n) {
    const std::size_t table = static_cast<std::size_t>(positions[n]) * half;
    for (std::size_t h = 0; h < heads; ++h) {
      const std::size_t base = (n * heads + h) * 2 * half;
      for (std::size_t i = 0; i < half; ++i) {
        const T a = x[base + i], b = x[base + half + i];
        const double c = cosines[table + i], s = direction * sines[table + i];
        out[base + i] = a * c - b * s;
        out[base + half + i] = b * c + a * s;
      }
    }
  }
  return out;
}

template <typename T>
Values<T> swiglu(const Values<T>& gate, const Values<T>& up) {
  Values<T> out(gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) out[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
  return out;
}

struct SwigluGradient {
  Doubles dgate, dup;
};
inline SwigluGradient swiglu_backward(const Doubles& dout, const Doubles& gate, const Doubles& up) {
  SwigluGradient g{Doubles(gate.size()), Doubles(gate.size())};
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const double s = 1.0 / (1.0 + std::exp(-gate[i]));
    g.dgate[i] = dout[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
    g.dup[i] = dout[i] * gate[i] * s;
  }
  return g;
}

// Sizes of an attention problem; window 0 means none.
struct Attention {
  std::size_t query_heads, key_heads, size;
  double scale;
  std::size_t window;
  Ints starts;

  std::size_t tokens() const { return static_cast<std::size_t>(starts.back()); }
  // The tokens that `token` sees are [first(token), token].
  std::size_t first(std::size_t token) const {
    std::size_t start = 0;
    for (const std::int32_t s : starts) {
      if (static_cast<std::size_t>(s) <= token) start = static_cast<std::size_t>(s);
    }
    return window > 0 && token + 1 > start + window ? token + 1 - window : start;
  }
  std::size_t query(std::size_t token, std::size_t head) const { return (token * query_heads + head) * size; }
  std::size_t key(std::size_t token, std::size_t head) const {
    return (token * key_heads + head * key_heads / query_heads) * size;
  }
};

// Softmax row of (token, head) over the tokens from a.first(token) on, and its log-sum-exp.
template <typename T>
struct AttentionRow {
  Values<T> probabilities;
  T log_sum_exp;
};
template <typename T>
AttentionRow<T> attention_row(const Attention& a, const Values<T>& q, const Values<T>& k, std::size_t token,
                              std::size_t head) {
  AttentionRow<T> row;
  double maximum = -INFINITY;
  for (std::size_t j = a.first(token); j <= token; ++j) {
    T score = 0.0;
    for (std::size_t i = 0; i < a.size; ++i) score += q[a.query(token, head) + i] * k[a.key(j, head) + i];
    row.probabilities.push_back(score * a.scale);
    maximum = std::max(maximum, std::real(row.probabilities.back()));
  }
  T sum = 0.0;
  for (T& p : row.probabilities) {
    p = std::exp(p - maximum);
    sum += p;
  }
  for (T& p : row.probabilities) p /= sum;
  row.log_sum_exp = std::log(sum) + maximum;
  return row;
}

template <typename T>
Values<T> attention(const Attention& a, const Values<T>& q, const Values<T>& k, const Values<T>& v) {
  Values<T> out(q.size());
  for (std::size_t token = 0; token < a.tokens(); ++token) {
    for (std::size_t head = 0; head < a.query_heads; ++head) {
      const AttentionRow<T> row = attention_row(a, q, k, token, head);
      for (std::size_t j = a.first(token); j <= token; ++j) {
        for (std::size_t i = 0; i < a.size; ++i) {
          out[a.query(token, head) + i] += row.probabilities[j - a.first(token)] * v[a.key(j, head) + i];
        }
      }
    }
  }
  return out;
}

struct AttentionGradient {
  Doubles dq, dk, dv;
};
// `out` is the forward result as it was stored: with bf16 its rounding is part of the definition.
inline AttentionGradient attention_backward(const Attention& a, const Doubles& dout, const Doubles& q, const Doubles& k,
                                            const Doubles& v, const Doubles& out) {
  AttentionGradient g{Doubles(q.size()), Doubles(k.size()), Doubles(v.size())};
  for (std::size_t token = 0; token < a.tokens(); ++token) {
    for (std::size_t head = 0; head < a.query_heads; ++head) {
      const AttentionRow<double> row = attention_row(a, q, k, token, head);
      const std::size_t query = a.query(token, head), first = a.first(token);
      double delta = 0.0;
      for (std::size_t i = 0; i < a.size; ++i) delta += dout[query + i] * out[query + i];
      for (std::size_t j = 0; j < row.probabilities.size(); ++j) {
        const std::size_t key = a.key(first + j, head);
        double dp = 0.0;
        for (std::size_t i = 0; i < a.size; ++i) dp += dout[query + i] * v[key + i];
        const double p = row.probabilities[j], ds = p * (dp - delta) * a.scale;
        for (std::size_t i = 0; i < a.size; ++i) {
          g.dq[query + i] += ds * k[key + i];
          g.dk[key + i] += ds * q[query + i];
          g.dv[key + i] += p * dout[query + i];
        }
      }
    }
  }
  return g;
}

// logits [n, V]; the losses of the rows.
template <typename T>
Values<T> cross_entropy(const Values<T>& logits, const Ints& targets) {
  const std::size_t columns = logits.size() / targets.size();
  Values<T> losses;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    double maximum = -INFINITY;
    for (std::size_t c = 0; c < columns; ++c) maximum = std::max(maximum, std::real(logits[row * columns + c]));
    T sum = 0.0;
    for (std::size_t c = 0; c < columns; ++c) sum += std::exp(logits[row * columns + c] - maximum);
    const std::size_t target = row * columns + static_cast<std::size_t>(targets[row]);
    losses.push_back(std::log(sum) + maximum - logits[target]);
  }
  return losses;
}

inline Doubles cross_entropy_backward(const Doubles& logits, const Ints& targets) {
  const std::size_t columns = logits.size() / targets.size();
  const Doubles losses = cross_entropy(logits, targets);
  Doubles gradient(logits.size());
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const std::size_t target = row * columns + static_cast<std::size_t>(targets[row]);
    const double log_sum = losses[row] + logits[target];
    for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) gradient[i] = std::exp(logits[i] - log_sum);
    gradient[target] -= 1.0;
  }
  return gradient;
}

// One step of torch.optim.AdamW in f64.
struct AdamWState {
  Doubles parameter, first, second;
};
inline void adamw(AdamWState& s, const Doubles& gradient, double rate, double beta1, double beta2, double epsilon,
                  double decay, double step) {
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    s.parameter[i] *= 1.0 - rate * decay;
    s.first[i] = beta1 * s.first[i] + (1.0 - beta1) * gradient[i];
    s.second[i] = beta2 * s.second[i] + (1.0 - beta2) * gradient[i] * gradient[i];
    const double first = s.first[i] / (1.0 - std::pow(beta1, step));
    const double second = s.second[i] / (1.0 - std::pow(beta2, step));
    s.parameter[i] -= rate * first / (std::sqrt(second) + epsilon);
  }
}

}  // namespace attune::reference
