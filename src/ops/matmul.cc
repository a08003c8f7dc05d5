#include "ops/matmul.h"

#include <omp.h>

#include <array>
#include <atomic>
#include <cassert>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "base/error.h"
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

// ---- bf16 in hardware: one oneDNN primitive per shape, made at first use and kept.

struct Bf16Primitive {
  dnnl::memory::desc a, b, c;
  dnnl::matmul primitive;
  dnnl::memory a_memory, b_memory, c_memory, scratchpad;
};

using PrimitiveKey = std::array<std::int64_t, 10>;

dnnl::engine& cpu_engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type dnnl_type(DType type) {
  return type == DType::kF32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

Bf16Primitive make_primitive(const Product& p) {
  const auto describe = [](const Matrix& x, std::int64_t rows, std::int64_t columns, bool transposed) {
    const dnnl::memory::dims strides = transposed ? dnnl::memory::dims{1, x.stride} : dnnl::memory::dims{x.stride, 1};
    return dnnl::memory::desc({rows, columns}, dnnl_type(x.dtype), strides);
  };
  Bf16Primitive made;
  made.a = describe(p.a, p.m, p.l, p.transpose_a);
  made.b = describe(p.b, p.l, p.n, p.transpose_b);
  made.c = describe(p.c, p.m, p.n, false);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (p.alpha != 1.0f) attributes.set_output_scales(0, {p.alpha});
  if (p.accumulate) {
    dnnl::post_ops after;
    after.append_sum(1.0f);
    attributes.set_post_ops(after);
  }
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(made.a, made.b, made.c), attributes, cpu_engine());
  made.primitive = dnnl::matmul(description);
  made.a_memory = dnnl::memory(made.a, cpu_engine(), nullptr);
  made.b_memory = dnnl::memory(made.b, cpu_engine(), nullptr);
  made.c_memory = dnnl::memory(made.c, cpu_engine(), nullptr);
  made.scratchpad = dnnl::memory(description.scratchpad_desc(), cpu_engine());
  return made;
}

void multiply_bf16(const Product& p) {
  static std::mutex mutex;  // the cached memories hold the current pointers
  static std::map<PrimitiveKey, Bf16Primitive> primitives;
  static dnnl::stream stream(cpu_engine());
  const std::lock_guard lock(mutex);
  const PrimitiveKey key = {p.m,
                            p.n,
                            p.l,
                            p.a.stride,
                            p.b.stride,
                            p.c.stride,
                            p.transpose_a * 2 + p.transpose_b,
                            static_cast<std::int64_t>(p.c.dtype),
                            p.accumulate,
                            std::bit_cast<std::int32_t>(p.alpha)};
  auto found = primitives.find(key);
  if (found == primitives.end()) found = primitives.emplace(key, make_primitive(p)).first;
  Bf16Primitive& cached = found->second;
  cached.a_memory.set_data_handle(p.a.data);
  cached.b_memory.set_data_handle(p.b.data);
  cached.c_memory.set_data_handle(p.c.data);
  cached.primitive.execute(stream, {{DNNL_ARG_SRC, cached.a_memory},
                                    {DNNL_ARG_WEIGHTS, cached.b_memory},
                                    {DNNL_ARG_DST, cached.c_memory},
                                    {DNNL_ARG_SCRATCHPAD, cached.scratchpad}});
  stream.wait();
}

// ---- bf16 without hardware: the same rounded inputs, multiplied in f32.

Matrix widened(const Matrix& x, std::vector<float>& buffer) {
  buffer.resize(static_cast<std::size_t>(x.rows * x.columns));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const bf16* const from = static_cast<const bf16*>(x.data) + i * x.stride;
    float* const to = buffer.data() + i * x.columns;
    for (std::int64_t j = 0; j < x.columns; ++j) to[j] = to_float(from[j]);
  }
  return {buffer.data(), DType::kF32, x.rows, x.columns, x.columns};
}

void multiply_bf16_in_f32(const Product& p) {
  static thread_local std::vector<float> a_buffer, b_buffer, c_buffer;
  Product wide = p;
  wide.a = widened(p.a, a_buffer);
  wide.b = widened(p.b, b_buffer);
  if (p.c.dtype == DType::kBF16) wide.c = widened(p.c, c_buffer);
  multiply_f32(wide);
  if (p.c.dtype != DType::kBF16) return;
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < p.c.rows; ++i) {
    const float* const from = static_cast<const float*>(wide.c.data) + i * wide.c.stride;
    bf16* const to = static_cast<bf16*>(p.c.data) + i * p.c.stride;
    for (std::int64_t j = 0; j < p.c.columns; ++j) to[j] = to_bf16(from[j]);
  }
}

void multiply(const Product& p) {
  check(p.c.rows == p.m && p.c.columns == p.n && p.a.dtype == p.b.dtype, p);
  check(p.a.dtype == DType::kF32 ? p.c.dtype == DType::kF32
                                 : p.a.dtype == DType::kBF16 && (p.c.dtype == DType::kBF16 || p.c.dtype == DType::kF32),
        p);
  if (p.m == 0 || p.n == 0 || p.l == 0) throw InternalError("[matmul] empty product {}x{}x{}", p.m, p.n, p.l);
  flops_done += static_cast<std::uint64_t>(2 * p.m * p.n * p.l);
  if (p.a.dtype == DType::kF32) {
    multiply_f32(p);
  } else if (has_fast_bf16()) {
    multiply_bf16(p);
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

bool has_fast_bf16() {
#if defined(__x86_64__)
  static const bool fast =
      __builtin_cpu_supports("avx512bf16") && dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core_bf16;
  return fast;
#else
  return false;
#endif
}

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
  if (a.dtype != DType::kF32) return matmul_bt(c, a, b);
  multiply_f32_onednn({c, a, b, false, true, a.rows, b.rows, a.columns, 1.0f, false});
}

void matmul_at(const Matrix& c, const Matrix& a, const Matrix& b, float alpha, bool accumulate) {
  const Product p{c, a, b, true, false, a.columns, b.columns, a.rows, alpha, accumulate};
  check(b.rows == p.l, p);
  multiply(p);
}

double matmul_flops_done() { return static_cast<double>(flops_done.load()); }

}  // namespace attune
