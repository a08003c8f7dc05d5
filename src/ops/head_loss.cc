#include "ops/head_loss.h"

#include <algorithm>
#include <cstring>

#include "ops/cross_entropy.h"
#include "ops/divergence.h"
#include "ops/linear.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

namespace attune {
namespace {

// Products are made for multiples of this many rows (the rest is zeros), so that few shapes ever occur.
constexpr std::int64_t kRowMultiple = 32;

std::byte* row_of(TensorView x, std::int64_t row) { return static_cast<std::byte*>(x.slice_rows(row, 1).data); }

struct Gradients {
  TensorView dx, dweight;
  NearBase base;
};

// dlogits + more, both [n, V] f32, as in_rows_of(dlogits, type).
Matrix add_gradients(TensorView dlogits, TensorView more, DType type) {
  const Matrix sums = in_rows_of(dlogits, type);
  parallel_ranges(sums.rows, row_grain(sums.columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* const a = dlogits.as<float>() + row * sums.columns;
      const float* const b = more.as<float>() + row * sums.columns;
      auto* const to = static_cast<std::byte*>(sums.row_block(row, 1).data);
      for (std::int64_t i = 0; i < sums.columns; ++i) {  // copied: a and `to` are one memory
        const float sum = a[i] + b[i];
        if (type == DType::kF32) {
          std::memcpy(to + static_cast<std::size_t>(i) * sizeof(float), &sum, sizeof(float));
        } else {
          const bf16 rounded = to_bf16(sum);
          std::memcpy(to + static_cast<std::size_t>(i) * sizeof(bf16), &rounded, sizeof(bf16));
        }
      }
    }
  });
  return sums;
}

HeadLoss run(const Gradients* gradients, TensorView token_losses, TensorView x, const WeightMatrix& weight,
             TensorView targets, const HeadLossScratch& scratch) {
  const OpTimer timer(OpFamily::kHeadLoss);
  const std::int64_t tokens = x.rows(), chunk = scratch.rows.rows();
  const std::size_t row_bytes = static_cast<std::size_t>(x.columns()) * size_of(x.dtype);
  const std::int32_t* const target_of = targets.as<std::int32_t>();
  if (gradients != nullptr) std::memset(gradients->dx.data, 0, gradients->dx.bytes());
  if (!token_losses.empty()) std::memset(token_losses.data, 0, token_losses.bytes());

  HeadLoss result;
  std::int64_t next = 0;
  while (next < tokens) {
    const std::int64_t first = next;
    std::int64_t count = 0;
    for (; next < tokens && count < chunk; ++next) {
      if (target_of[next] != kNoTarget) scratch.targets.as<std::int32_t>()[count++] = target_of[next];
    }
    if (count == 0) break;
    const std::int64_t padded = std::min(chunk, (count + kRowMultiple - 1) / kRowMultiple * kRowMultiple);
    const TensorView rows = scratch.rows.slice_rows(0, padded), logits = scratch.logits.slice_rows(0, padded);
    const auto gather = [&](TensorView from) {
      for (std::int64_t t = first, i = 0; t < next; ++t) {
        if (target_of[t] != kNoTarget) std::memcpy(row_of(rows, i++), row_of(from, t), row_bytes);
      }
      if (padded == count) return;
      const TensorView padding = rows.slice_rows(count, padded - count);
      std::memset(padding.data, 0, padding.bytes());
    };
    const bool near = gradients != nullptr && !gradients->base.x.empty();
    TensorView more;  // of the divergence to the logits
    if (near) {
      gather(gradients->base.x);
      more = scratch.base_logits.slice_rows(0, padded);
      linear_forward(more, rows, weight, {}, scratch.tile);
    }
    gather(x);
    linear_forward(logits, rows, weight, {}, scratch.tile);
    if (near) {
      more = more.slice_rows(0, count);
      divergence(scratch.losses.slice_rows(0, count), more, logits.slice_rows(0, count), gradients->base.weight);
      for (std::int64_t i = 0; i < count; ++i) result.divergence += scratch.losses.as<float>()[i];
    }
    const TensorView losses_of_chunk = scratch.losses.slice_rows(0, count);
    const TensorView targets_of_chunk = scratch.targets.slice_rows(0, count);
    Matrix dlogits;
    if (gradients == nullptr) {
      cross_entropy_forward(losses_of_chunk, logits.slice_rows(0, count), targets_of_chunk);
    } else {
      dlogits = cross_entropy_backward(losses_of_chunk, logits.slice_rows(0, count), targets_of_chunk,
                                       near ? DType::kF32 : x.dtype);
    }
    const float* const losses = losses_of_chunk.as<float>();
    for (std::int64_t i = 0; i < count; ++i) result.sum += losses[i];
    result.tokens += count;
    if (!token_losses.empty()) {
      for (std::int64_t t = first, i = 0; t < next; ++t) {
        if (target_of[t] != kNoTarget) token_losses.as<float>()[t] = losses[i++];
      }
    }
    if (gradients == nullptr) continue;
    if (near) dlogits = add_gradients(logits.slice_rows(0, count), more, x.dtype);
    if (padded > count) {
      const TensorView padding = logits.slice_rows(count, padded - count);
      std::memset(padding.data, 0, padding.bytes());
      dlogits.rows = padded;
    }
    linear_backward_weight(gradients->dweight, {}, dlogits, rows);
    linear_backward_input(rows, GradientMode::kOverwrite, dlogits, weight, scratch.tile);
    for (std::int64_t t = first, i = 0; t < next; ++t) {
      if (target_of[t] != kNoTarget) std::memcpy(row_of(gradients->dx, t), row_of(rows, i++), row_bytes);
    }
  }
  return result;
}

}  // namespace

HeadLoss head_loss_forward(TensorView token_losses, TensorView x, const WeightMatrix& weight, TensorView targets,
                           const HeadLossScratch& scratch) {
  return run(nullptr, token_losses, x, weight, targets, scratch);
}

HeadLoss head_loss_backward(TensorView dx, TensorView dweight, TensorView x, const WeightMatrix& weight,
                            TensorView targets, const HeadLossScratch& scratch, const NearBase& base) {
  const Gradients gradients{dx, dweight, base};
  return run(&gradients, {}, x, weight, targets, scratch);
}

}  // namespace attune
