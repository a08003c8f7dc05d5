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

// to [n, V] act = dlogits + more, both f32; may be the same memory as dlogits.
void add_gradients(TensorView to, TensorView dlogits, TensorView more) {
  const float* const a = dlogits.as<float>();
  const float* const b = more.as<float>();
  parallel_ranges(to.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (to.dtype == DType::kF32)
        to.as<float>()[i] = a[i] + b[i];
      else
        to.as<bf16>()[i] = to_bf16(a[i] + b[i]);
    }
  });
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
    const bool separate = gradients != nullptr && !scratch.dlogits.empty();
    const TensorView dlogits = separate ? scratch.dlogits.slice_rows(0, padded) : logits;
    linear_forward(logits, rows, weight, {}, scratch.tile);
    if (near) {
      more = more.slice_rows(0, count);
      divergence(scratch.losses.slice_rows(0, count), more, logits.slice_rows(0, count), gradients->base.weight);
      for (std::int64_t i = 0; i < count; ++i) result.divergence += scratch.losses.as<float>()[i];
    }
    cross_entropy(scratch.losses.slice_rows(0, count), logits.slice_rows(0, count),
                  separate ? dlogits.slice_rows(0, count) : TensorView{}, scratch.targets.slice_rows(0, count));
    const float* const losses = scratch.losses.as<float>();
    for (std::int64_t i = 0; i < count; ++i) result.sum += losses[i];
    result.tokens += count;
    if (!token_losses.empty()) {
      for (std::int64_t t = first, i = 0; t < next; ++t) {
        if (target_of[t] != kNoTarget) token_losses.as<float>()[t] = losses[i++];
      }
    }
    if (gradients == nullptr) continue;
    if (near) add_gradients(dlogits.slice_rows(0, count), logits.slice_rows(0, count), more);
    if (padded > count) {
      const TensorView padding = dlogits.slice_rows(count, padded - count);
      std::memset(padding.data, 0, padding.bytes());
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
