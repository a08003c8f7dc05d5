// Rows of the table out, gradients of rows back. The backward pass splits the table by columns: each part
// walks the tokens in order, so no two threads meet and the sum is the same for any number of them.
#include "ops/embedding.h"

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/embedding.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

template <typename Out, typename Table>
void gather(Out* out, const Table* table, const std::int32_t* ids, std::int64_t columns, std::int64_t begin,
            std::int64_t end) {
  for (std::int64_t token = begin; token < end; ++token) {
    const Table* from = table + ids[token] * columns;
    Out* to = out + token * columns;
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR { store(d, load(d, from + i), to + i); });
  }
}

template <typename Out>
void gather_into(Out* out, const TensorView& table, const std::int32_t* ids, std::int64_t begin, std::int64_t end) {
  const std::int64_t columns = table.columns();
  if (table.dtype == DType::kF32) {
    gather(out, table.as<float>(), ids, columns, begin, end);
  } else if (table.dtype == DType::kBF16) {
    gather(out, table.as<bf16>(), ids, columns, begin, end);
  } else {
    gather(out, table.as<f16>(), ids, columns, begin, end);
  }
}

template <typename T>
void scatter_add(float* dtable, const T* dout, const std::int32_t* ids, std::int64_t tokens, std::int64_t columns,
                 std::int64_t begin, std::int64_t end) {
  for (std::int64_t token = 0; token < tokens; ++token) {
    const T* from = dout + token * columns;
    float* to = dtable + ids[token] * columns;
    for_lanes(begin, end,
              [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::Add(load(d, to + i), load(d, from + i)), to + i); });
  }
}

void embedding_gather_tokens(const TensorView& out, const TensorView& table, const std::int32_t* ids,
                             std::int64_t begin, std::int64_t end) {
  if (out.dtype == DType::kF32) {
    gather_into(out.as<float>(), table, ids, begin, end);
  } else {
    gather_into(out.as<bf16>(), table, ids, begin, end);
  }
}

void embedding_scatter_columns(float* dtable, const TensorView& dout, const std::int32_t* ids, std::int64_t begin,
                               std::int64_t end) {
  if (dout.dtype == DType::kF32) {
    scatter_add(dtable, dout.as<float>(), ids, dout.rows(), dout.columns(), begin, end);
  } else {
    scatter_add(dtable, dout.as<bf16>(), ids, dout.rows(), dout.columns(), begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(embedding_gather_tokens);
HWY_EXPORT(embedding_scatter_columns);

namespace {

constexpr std::int64_t kTableColumns = 128;  // of dtable per part: whole cache lines

void require_ids(const char* where, TensorView ids, std::int64_t tokens, std::int64_t vocabulary) {
  require(ids.dtype == DType::kI32 && ids.elements() == tokens, where, "ids [N] i32");
  for (std::int64_t token = 0; token < tokens; ++token) {
    const std::int32_t id = ids.as<std::int32_t>()[token];
    require(id >= 0 && id < vocabulary, where, "every id in [0, V)");
  }
}

}  // namespace

void embedding_forward(TensorView out, TensorView ids, TensorView table) {
  const OpTimer timer(OpFamily::kEmbedding);
  const char* where = "embedding_forward";
  require_activations(where, {out});
  require(table.dtype == DType::kF32 || table.dtype == DType::kBF16 || table.dtype == DType::kF16, where,
          "a table in f32, bf16 or f16");
  if (out.elements() == 0) return;
  require(out.columns() == table.columns(), where, "out [N, C] and table [V, C]");
  require_ids(where, ids, out.rows(), table.rows());
  parallel_ranges(out.rows(), row_grain(out.columns()), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(embedding_gather_tokens)(out, table, ids.as<std::int32_t>(), begin, end);
  });
}

void embedding_backward(TensorView dtable, TensorView dout, TensorView ids) {
  const OpTimer timer(OpFamily::kEmbedding);
  const char* where = "embedding_backward";
  require_activations(where, {dout});
  require_f32(where, {dtable});
  if (dout.elements() == 0) return;
  require(dout.columns() == dtable.columns(), where, "dout [N, C] and dtable [V, C]");
  require_ids(where, ids, dout.rows(), dtable.rows());
  parallel_ranges(dout.columns(), kTableColumns, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(embedding_scatter_columns)
    (dtable.as<float>(), dout, ids.as<std::int32_t>(), begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
