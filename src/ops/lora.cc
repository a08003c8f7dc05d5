#include "ops/lora.h"

#include "base/error.h"
#include "ops/matmul.h"
#include "ops/op_time.h"

namespace attune {
namespace {

TensorView first_rows_of(TensorView scratch, std::int64_t rows, std::int64_t columns) {
  if (scratch.elements() < rows * columns) throw InternalError("[lora] scratch is too small for {}x{}", rows, columns);
  return {scratch.data, scratch.dtype, {rows, columns}};
}

}  // namespace

void lora_hidden(TensorView hidden, TensorView x, TensorView a, const LoraParams& params, TensorView dropped) {
  const OpTimer timer(OpFamily::kLora);
  TensorView input = x;
  if (params.dropout > 0) {
    input = first_rows_of(dropped, x.rows(), x.columns());
    dropout(input, x, params.dropout, params.key);
  }
  matmul_bt(hidden, input, a);
}

void lora_forward(TensorView y, TensorView hidden, TensorView x, TensorView a, TensorView b, const LoraParams& params,
                  TensorView dropped) {
  const OpTimer timer(OpFamily::kLora);
  lora_hidden(hidden, x, a, params, dropped);
  matmul_bt(y, hidden, b, params.scale, true);
}

void lora_backward_pair(TensorView dhidden, TensorView da, TensorView db, TensorView dy, TensorView x,
                        TensorView hidden, TensorView b, const LoraParams& params, TensorView dropped) {
  const OpTimer timer(OpFamily::kLora);
  matmul(dhidden, dy, b, params.scale);
  if (!db.empty()) matmul_at(db, dy, hidden, params.scale, true);
  if (da.empty()) return;
  TensorView input = x;
  if (params.dropout > 0) {
    input = first_rows_of(dropped, x.rows(), x.columns());
    dropout(input, x, params.dropout, params.key);
  }
  matmul_at(da, dhidden, input, 1.0f, true);
}

void lora_backward_input(TensorView dx, TensorView dhidden, TensorView a, const LoraParams& params,
                         TensorView dropped) {
  const OpTimer timer(OpFamily::kLora);
  if (params.dropout == 0) return matmul(dx, dhidden, a, 1.0f, true);
  const TensorView input = first_rows_of(dropped, dx.rows(), dx.columns());
  matmul(input, dhidden, a);
  dropout(input, input, params.dropout, params.key);
  add(dx, input);
}

void lora_linear_forward(TensorView y, TensorView hidden, TensorView x, const WeightMatrix& weight, TensorView bias,
                         TensorView tile, GradientMode mode, TensorView a, TensorView b, const LoraParams& params,
                         TensorView dropped) {
  if (linear_takes_low_rank(x.dtype) && x.rows() > 1) {  // one token has a kernel of its own
    lora_hidden(hidden, x, a, params, dropped);
    const LowRankTerm pair{hidden, b, params.scale};
    linear_forward(y, x, weight, bias, tile, mode, &pair);
  } else {
    linear_forward(y, x, weight, bias, tile, mode);
    lora_forward(y, hidden, x, a, b, params, dropped);
  }
}

void lora_linear_backward_input(TensorView dx, GradientMode mode, TensorView dy, const WeightMatrix& weight,
                                TensorView tile, TensorView dhidden, TensorView a, TensorView dropped) {
  if (linear_takes_low_rank(dy.dtype)) {
    const LowRankTerm pair{dhidden, a};
    return linear_backward_input(dx, mode, dy, weight, tile, &pair);
  }
  linear_backward_input(dx, mode, dy, weight, tile);
  lora_backward_input(dx, dhidden, a, {}, dropped);
}

}  // namespace attune
