#include "ops/matmul.h"

#include <omp.h>

#include <atomic>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "base/error.h"
#include "ops/bf16_gemm.h"
#include "ops/bf16_tile.h"
#include "ops/gemm.h"

namespace attune {
namespace {

std::atomic<std::uint64_t> flops_done{0};

// A product in terms of stored matrices: a is [M, L] or, transposed, stored as [L, M]; b likewise.
struct Product {
  Matrix c, a, b;
  bool transpose_a, transpose_b;
  std::int64_t m, n, l;
  float alpha;
  bool accumulate;
};

void check(bool condition, const Product& p) {
  if (condition) return;
  throw InternalError("[matmul] shapes or types do not fit: c {}x{} {}, a {}x{} {}, b {}x{} {}", p.c.rows, p.c.columns,
                      name_of(p.c.dtype), p.a.rows, p.a.columns, name_of(p.a.dtype), p.b.rows, p.b.columns,
                      name_of(p.b.dtype));
}

void multiply_f32_onednn(const Product& p) {
  const auto status = dnnl::sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.l, p.alpha,
                                  static_cast<const float*>(p.a.data), p.a.stride, static_cast<const float*>(p.b.data),
                                  p.b.stride, p.accumulate ? 1.0f : 0.0f, static_cast<float*>(p.c.data), p.c.stride);
  if (status != dnnl::status::success) throw InternalError("[matmul] oneDNN refused {}x{}x{}", p.m, p.n, p.l);
}

void multiply_f32(const Product& p) {
  if (gemm_is_fastest()) {
    const GemmTerm term{p.a, p.transpose_a, RightOperand::of(p.b, p.transpose_b, p.alpha)};
    return gemm(p.c, {&term, 1}, p.accumulate);
  }
  multiply_f32_onednn(p);
}

// ---- bf16 without hardware: the same rounded inputs, multiplied in f32.

Matrix rounded_in_f32(const Matrix& x, std::vector<float>& buffer) {
  buffer.resize(static_cast<std::size_t>(x.rows * x.columns));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < x.rows; ++i) {
    float* const to = buffer.data() + i * x.columns;
    if (x.dtype == DType::kBF16) {
      const bf16* const from = static_cast<const bf16*>(x.data) + i * x.stride;
      for (std::int64_t j = 0; j < x.columns; ++j) to[j] = to_float(from[j]);
    } else {
      const float* const from = static_cast<const float*>(x.data) + i * x.stride;
      for (std::int64_t j = 0; j < x.columns; ++j) to[j] = to_float(to_bf16(from[j]));
    }
  }
  return {buffer.data(), DType::kF32, x.rows, x.columns, x.columns};
}

void multiply_bf16_in_f32(const Product& p) {
  static thread_local std::vector<float> a_buffer, b_buffer, c_buffer;
  Product wide = p;
  wide.a = rounded_in_f32(p.a, a_buffer);
  wide.b = rounded_in_f32(p.b, b_buffer);
  if (p.c.dtype == DType::kBF16) wide.c = rounded_in_f32(p.c, c_buffer);
  multiply_f32(wide);
  if (p.c.dtype != DType::kBF16) return;
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < p.c.rows; ++i) {
    const float* const from = static_cast<const float*>(wide.c.data) + i * wide.c.stride;
    bf16* const to = static_cast<bf16*>(p.c.data) + i * p.c.stride;
    for (std::int64_t j = 0; j < p.c.columns; ++j) to[j] = to_bf16(from[j]);
  }
}

bool is_float(const Matrix& x) { return x.dtype == DType::kF32 || x.dtype == DType::kBF16; }

void multiply(const Product& p) {
  check(p.c.rows == p.m && p.c.columns == p.n && is_float(p.a) && is_float(p.b) && is_float(p.c), p);
  check(p.a.dtype == DType::kBF16 || (p.b.dtype == DType::kF32 && p.c.dtype == DType::kF32), p);
  if (p.m == 0 || p.n == 0 || p.l == 0) throw InternalError("[matmul] empty product {}x{}x{}", p.m, p.n, p.l);
  flops_done += static_cast<std::uint64_t>(2 * p.m * p.n * p.l);
  if (p.a.dtype == DType::kF32) {
    multiply_f32(p);
  } else if (has_fast_bf16()) {
    const GemmTerm term{p.a, p.transpose_a, RightOperand::of(p.b, p.transpose_b)};
    bf16_gemm(p.c, {&term, 1}, p.accumulate, {}, p.alpha);
  } else {
    multiply_bf16_in_f32(p);
  }
}

}  // namespace

void limit_onednn_to_avx2() {
#if defined(__x86_64__)
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
#endif
}

bool has_fast_bf16() { return bf16_tiles() != Bf16Tiles::kNone; }

void matmul(const Matrix& c, const Matrix& a, const Matrix& b, float alpha, bool accumulate) {
  const Product p{c, a, b, false, false, a.rows, b.columns, a.columns, alpha, accumulate};
  check(b.rows == p.l, p);
  multiply(p);
}

void matmul_bt(const Matrix& c, const Matrix& a, const Matrix& b, float alpha, bool accumulate) {
  const Product p{c, a, b, false, true, a.rows, b.rows, a.columns, alpha, accumulate};
  check(b.columns == p.l, p);
  multiply(p);
}

void matmul_bt_onednn(const Matrix& c, const Matrix& a, const Matrix& b) {
  if (a.dtype == DType::kF32) {
    return multiply_f32_onednn({c, a, b, false, true, a.rows, b.rows, a.columns, 1.0f, false});
  }
  if (!has_fast_bf16()) return matmul_bt(c, a, b);  // nor has oneDNN
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const auto bits = dnnl::memory::data_type::bf16;
  const dnnl::memory::desc a_type({a.rows, a.columns}, bits, dnnl::memory::dims{a.stride, 1});
  const dnnl::memory::desc b_type({b.columns, b.rows}, bits, dnnl::memory::dims{1, b.stride});
  const dnnl::memory::desc c_type({c.rows, c.columns}, bits, dnnl::memory::dims{c.stride, 1});
  const dnnl::matmul product({dnnl::matmul::desc(a_type, b_type, c_type), engine});
  dnnl::stream stream(engine);
  product.execute(stream, {{DNNL_ARG_SRC, dnnl::memory(a_type, engine, a.data)},
                           {DNNL_ARG_WEIGHTS, dnnl::memory(b_type, engine, b.data)},
                           {DNNL_ARG_DST, dnnl::memory(c_type, engine, c.data)}});
  stream.wait();
}

void matmul_at(const Matrix& c, const Matrix& a, const Matrix& b, float alpha, bool accumulate) {
  const Product p{c, a, b, true, false, a.columns, b.columns, a.rows, alpha, accumulate};
  check(b.rows == p.l, p);
  multiply(p);
}

double matmul_flops_done() { return static_cast<double>(flops_done.load()); }

}  // namespace attune
