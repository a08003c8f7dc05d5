// Attention forward over tiles of bf16: online softmax over blocks of keys, one task per block of queries and group of
// heads.
#include "ops/attention_bf16.h"

#include <cmath>

#include "base/error.h"
#include "ops/bf16_tile.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#if defined(__x86_64__)
#include "ops/attention_bf16-inl.h"
#endif

namespace attune {

bool multiplies_bf16_tiles(DType type) { return type == DType::kBF16 && bf16_tiles() != Bf16Tiles::kNone; }

#if defined(__x86_64__)
namespace {

// Before anything is seen: less than any score, and finite, so that its difference from a masked score is not NaN.
constexpr float kLowestMaximum = -1e30f;

// The operands and sums of one task in the thread's scratch; `width` is D rounded up to whole steps.
struct ForwardOperands {
  bf16* queries;         // right, transposed: [kQueryPanels, width / 32] steps
  bf16* keys;            // left: [kKeySteps, width / 32]
  bf16* values;          // left, transposed: [width / 32, kKeySteps]
  bf16* probabilities;   // right: [kKeySteps]
  float* scores;         // [kKeyBlock, 32]
  float* outputs;        // transposed: [kQueryPanels, width, 32]
  float *maxima, *sums;  // [kQueryPanels, 32]; maxima of scores times scale and log2(e)
};

ForwardOperands forward_operands(std::int64_t width) {
  constexpr std::int64_t kRows = kQueryPanels * kBf16Tile;
  float* memory = thread_scratch(
      static_cast<std::size_t>(kRows * width * 3 / 2 + kKeyBlock * width + kKeyBlock * kBf16Tile * 3 / 2 + 2 * kRows));
  ForwardOperands o;
  o.outputs = memory;
  o.scores = o.outputs + kRows * width;
  o.maxima = o.scores + kKeyBlock * kBf16Tile;
  o.sums = o.maxima + kRows;
  o.queries = reinterpret_cast<bf16*>(o.sums + kRows);
  o.keys = o.queries + kRows * width;
  o.values = o.keys + kKeyBlock * width;
  o.probabilities = o.values + kKeyBlock * width;
  return o;
}

// Scores of 32 keys (rows) by 32 queries that lie `distance` tokens behind: minus infinity where not seen.
ATTUNE_AVX512 void mask_scores(float* scores, std::int64_t distance, std::int64_t window) {
  for (std::int64_t key = 0; key < kBf16Tile; ++key) {
    for (std::int64_t half = 0; half < kBf16Tile; half += kQueryLanes) {
      float* const at = scores + key * kBf16Tile + half;
      const __m512 hidden = _mm512_set1_ps(-INFINITY);
      _mm512_store_ps(at, _mm512_mask_mov_ps(hidden, sees(distance + half - key, window), _mm512_load_ps(at)));
    }
  }
}

// Turns scores [32 steps, 32] into exp(scale (score - running maximum)), packed, and brings the queries' sums and
// outputs up to date. The sums are of what is not yet rounded: the errors of many roundings cancel in the outputs, but
// those in a log-sum-exp would be in every probability of the backward pass.
ATTUNE_AVX512 void soften(bf16* probabilities, const float* scores, std::int64_t steps, float scale, float* maxima,
                          float* sums, float* outputs, std::int64_t width) {
  constexpr int kRows = 4;
  __m512 largest[kRows][2];
  for (int r = 0; r < kRows; ++r) {
    for (int half = 0; half < 2; ++half) largest[r][half] = _mm512_load_ps(scores + r * kBf16Tile + half * kQueryLanes);
  }
  for (std::int64_t key = kRows; key < steps * kBf16Tile; key += kRows) {
    for (int r = 0; r < kRows; ++r) {
      for (int half = 0; half < 2; ++half) {
        largest[r][half] =
            _mm512_max_ps(largest[r][half], _mm512_load_ps(scores + (key + r) * kBf16Tile + half * kQueryLanes));
      }
    }
  }
  const __m512 factor = _mm512_set1_ps(scale * kLog2OfE);
  __m512 maximum[2], shrink[2], sum[2];
  __mmask16 grown = 0;
  for (int half = 0; half < 2; ++half) {
    const __m512 of_block = _mm512_max_ps(_mm512_max_ps(largest[0][half], largest[1][half]),
                                          _mm512_max_ps(largest[2][half], largest[3][half]));
    const __m512 before = _mm512_load_ps(maxima + half * kQueryLanes);
    maximum[half] = _mm512_max_ps(before, _mm512_mul_ps(of_block, factor));
    shrink[half] = power_of_two(_mm512_sub_ps(before, maximum[half]));
    sum[half] = _mm512_mul_ps(_mm512_load_ps(sums + half * kQueryLanes), shrink[half]);
    grown |= _mm512_cmp_ps_mask(maximum[half], before, _CMP_NEQ_UQ);
    _mm512_store_ps(maxima + half * kQueryLanes, maximum[half]);
  }
  if (grown != 0) {
    for (std::int64_t i = 0; i < width; ++i) {
      for (int half = 0; half < 2; ++half) {
        float* const at = outputs + i * kBf16Tile + half * kQueryLanes;
        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), shrink[half]));
      }
    }
  }
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t pair = 0; pair < kBf16Tile / 2; ++pair) {
      for (int half = 0; half < 2; ++half) {
        const float* const from = scores + (step * kBf16Tile + 2 * pair) * kBf16Tile + half * kQueryLanes;
        const __m512 a = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(from), factor, maximum[half]));
        const __m512 b = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(from + kBf16Tile), factor, maximum[half]));
        sum[half] = _mm512_add_ps(sum[half], _mm512_add_ps(a, b));
        _mm512_store_si512(probabilities + step * kBf16Step + half * (kBf16Step / 2) + pair * kBf16Tile,
                           rounded_pairs(a, b));
      }
    }
  }
  for (int half = 0; half < 2; ++half) _mm512_store_ps(sums + half * kQueryLanes, sum[half]);
}

// What the packed keys and values from token `keys` on add to a panel of queries from token `query` on.
ATTUNE_AVX512 void add_values(const Bf16Multiplier& multiplier, const ForwardOperands& o, const AttentionShape& shape,
                              std::int64_t keys, std::int64_t query, std::int64_t panel) {
  const std::int64_t width = padded_size(shape.head_size), width_steps = width / kBf16Tile;
  const SeenTiles seen = seen_keys(query, keys, shape.window);
  if (seen.empty()) return;
  for (std::int64_t s = seen.begin; s < seen.end; ++s) {
    float* const scores = o.scores + (s - seen.begin) * kBf16Step;
    multiplier.multiply(scores, kBf16Tile, Bf16Left::packed(o.keys + s * width_steps * kBf16Step),
                        o.queries + panel * width_steps * kBf16Step, width_steps, false);
    const std::int64_t distance = query - keys - s * kBf16Tile;
    if (partly_seen(distance, shape.window)) mask_scores(scores, distance, shape.window);
  }
  float* const outputs = o.outputs + panel * width * kBf16Tile;
  soften(o.probabilities, o.scores, seen.count(), shape.scale, o.maxima + panel * kBf16Tile, o.sums + panel * kBf16Tile,
         outputs, width);
  for (std::int64_t s = 0; s < width_steps; ++s) {
    multiplier.multiply(outputs + s * kBf16Step, kBf16Tile,
                        Bf16Left::packed(o.values + (s * kKeySteps + seen.begin) * kBf16Step), o.probabilities,
                        seen.count(), true);
  }
}

ATTUNE_AVX512 void forward_block(const TensorView& out, float* log_sum_exp, const TensorView& q, const TensorView& k,
                                 const TensorView& v, const AttentionShape& shape, const Run& run,
                                 std::int64_t head_begin, std::int64_t head_end) {
  const std::int64_t size = shape.head_size, width = padded_size(size);
  const std::int64_t query_row = shape.query_heads * size, key_row = shape.key_heads * size;
  const std::int64_t heads = head_end - head_begin, panels = tiles_of(run.end - run.begin) * heads;
  const ForwardOperands o = forward_operands(width);
  const Bf16Multiplier multiplier;
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    const std::int64_t token = run.begin + panel / heads * kBf16Tile, head = head_begin + panel % heads;
    pack_head_rows<true>(o.queries + panel * kBf16Tile * width, q.as<bf16>() + token * query_row + head * size,
                         query_row, std::min(kBf16Tile, run.end - token), size);
  }
  std::fill_n(o.outputs, panels * kBf16Tile * width, 0.0f);
  std::fill_n(o.maxima, panels * kBf16Tile, kLowestMaximum);
  std::fill_n(o.sums, panels * kBf16Tile, 0.0f);
  const std::int64_t seen = run.first_visible(run.begin, shape.window) - run.first;
  for (std::int64_t keys = run.first + seen / kKeyBlock * kKeyBlock; keys < run.end; keys += kKeyBlock) {
    const std::int64_t count = std::min(kKeyBlock, run.end - keys);
    const std::int64_t offset = keys * key_row + head_begin / shape.group() * size;
    pack_head_rows<false>(o.keys, k.as<bf16>() + offset, key_row, count, size);
    pack_head_columns<true>(o.values, kKeySteps, v.as<bf16>() + offset, key_row, count, size);
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      add_values(multiplier, o, shape, keys, run.begin + panel / heads * kBf16Tile, panel);
    }
  }
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    const std::int64_t token = run.begin + panel / heads * kBf16Tile, head = head_begin + panel % heads;
    const std::int64_t rows = std::min(kBf16Tile, run.end - token);
    const float *maxima = o.maxima + panel * kBf16Tile, *sums = o.sums + panel * kBf16Tile;
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 factors[2] = {_mm512_div_ps(one, _mm512_load_ps(sums)),
                               _mm512_div_ps(one, _mm512_load_ps(sums + kQueryLanes))};
    store_head_columns(out.as<bf16>() + token * query_row + head * size, query_row,
                       o.outputs + panel * width * kBf16Tile, rows, size, factors);
    float* const to = log_sum_exp + head * shape.tokens + token;
    for (std::int64_t i = 0; i < rows; ++i) to[i] = maxima[i] * kLogOf2 + std::log(sums[i]);
  }
}

}  // namespace

void attention_forward_bf16(const TensorView& out, float* log_sum_exp, const TensorView& q, const TensorView& k,
                            const TensorView& v, const AttentionShape& shape) {
  const std::int64_t size = query_block(shape), blocks = sequence_blocks(shape, size), most = chunk_heads(shape);
  const std::int64_t chunks = shape.group_chunks(), columns = shape.key_heads * chunks;
  parallel_tasks(blocks * columns, [&](std::int64_t task) {  // late blocks see more keys and come first
    const std::int64_t key_head = task % columns / chunks;
    const std::int64_t head_begin = key_head * shape.group() + task % chunks * most;
    forward_block(out, log_sum_exp, q, k, v, shape, sequence_block(shape, size, blocks - 1 - task / columns),
                  head_begin, std::min(head_begin + most, (key_head + 1) * shape.group()));
  });
}

#else

void attention_forward_bf16(const TensorView&, float*, const TensorView&, const TensorView&, const TensorView&,
                            const AttentionShape&) {
  throw InternalError("[attention_bf16] this processor multiplies no bf16");
}

#endif

}  // namespace attune
