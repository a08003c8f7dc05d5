// Attention backward over tiles of bf16, as attention_backward.cc: five products in one pass where a task sums the gradients
// of one sequence and key head, and holds those of its keys; else seven in two passes, of which one holds the gradients of a
// block of keys and the other those of a block of queries. Both add the same terms in the same order.
#include "base/error.h"
#include "ops/attention_bf16.h"
#include "ops/bf16_tile.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#if defined(__x86_64__)
#include "ops/attention_bf16-inl.h"
#endif

namespace attune {

#if defined(__x86_64__)
namespace {

constexpr std::int64_t kKeySumFloats = std::int64_t{1} << 17;  // of each of dk and dv that a task may hold

// Keys whose gradients one task may hold.
std::int64_t most_keys(std::int64_t width) {
  return std::max(kKeyBlock, kKeySumFloats / width / kKeyBlock * kKeyBlock);
}

// The operands and sums of one task in the thread's scratch; `width` is D rounded up to whole steps.
struct BackwardOperands {
  bf16 *keys, *values;                          // left: [kKeySteps, width / 32] steps
  bf16* keys_transposed;                        // left: [width / 32, kKeySteps]
  bf16 *queries_transposed, *douts_transposed;  // right: [kGroupHeads, kQuerySteps, width / 32]
  bf16 *queries, *douts;                        // right: [kGroupHeads, width / 32, kQuerySteps]
  bf16 *probabilities, *dscores;                // left, keys as rows: [kKeySteps, kQuerySteps]
  bf16* dscores_by_query;                       // right: [kQuerySteps, kKeySteps]
  float *scores, *dprobabilities;               // [32, 32], keys as rows
  float *log_sum_exps, *deltas;                 // [kGroupHeads, kQueryBlock], the first times log2(e)
  float* dq;                                    // transposed: [kGroupHeads, kQuerySteps, width, 32]
  float *dk, *dv;                               // [keys, width]
};

std::int64_t operand_floats(std::int64_t width, std::int64_t keys) {
  constexpr std::int64_t kHeadRows = kGroupHeads * kQueryBlock;
  return (3 * kKeyBlock * width + 4 * kHeadRows * width + 3 * kKeyBlock * kQueryBlock) / 2 + 2 * kBf16Step +
         kHeadRows * (width + 2) + 2 * keys * width;
}

BackwardOperands backward_operands(std::int64_t width, std::int64_t keys) {
  constexpr std::int64_t kHeadRows = kGroupHeads * kQueryBlock;
  float* const memory = thread_scratch(static_cast<std::size_t>(operand_floats(width, keys)));
  BackwardOperands o;
  o.scores = memory;
  o.dprobabilities = o.scores + kBf16Step;
  o.log_sum_exps = o.dprobabilities + kBf16Step;
  o.deltas = o.log_sum_exps + kHeadRows;
  o.dq = o.deltas + kHeadRows;
  o.dk = o.dq + kHeadRows * width;
  o.dv = o.dk + keys * width;
  o.keys = reinterpret_cast<bf16*>(o.dv + keys * width);
  o.values = o.keys + kKeyBlock * width;
  o.keys_transposed = o.values + kKeyBlock * width;
  o.queries_transposed = o.keys_transposed + kKeyBlock * width;
  o.douts_transposed = o.queries_transposed + kHeadRows * width;
  o.queries = o.douts_transposed + kHeadRows * width;
  o.douts = o.queries + kHeadRows * width;
  o.probabilities = o.douts + kHeadRows * width;
  o.dscores = o.probabilities + kKeyBlock * kQueryBlock;
  o.dscores_by_query = o.dscores + kKeyBlock * kQueryBlock;
  return o;
}

// What a task sums: gradients of the queries, of the keys, or of both, over all pairs of the two that see one another.
struct Part {
  Run queries, keys;  // both from the start of a block of theirs
  std::int64_t key_head, head_begin, head_end;
  bool of_queries, of_keys;
};

// Probabilities and score gradients of 32 keys (rows) by 32 queries that lie `distance` tokens behind, rounded: as rows of left
// operands and, with kPairs, the gradients also as a step of a right one.
template <bool kMasked, bool kPairs>
ATTUNE_AVX512 void soften_gradients(const BackwardOperands& o, bf16* probabilities, bf16* dscores, bf16* pairs,
                                    const float* log_sum_exps, const float* deltas, float scale, std::int64_t distance,
                                    std::int64_t window) {
  const __m512 factor = _mm512_set1_ps(scale * kLog2E);
  const __m512 shift[2] = {_mm512_load_ps(log_sum_exps), _mm512_load_ps(log_sum_exps + kLanes)};
  const __m512 delta[2] = {_mm512_load_ps(deltas), _mm512_load_ps(deltas + kLanes)};
  for (std::int64_t key = 0; key < kBf16Tile; key += 2) {
    __m512i rows[2];
    for (int r = 0; r < 2; ++r) {
      const std::int64_t row = (key + r) * kBf16Tile;
      __m512 p[2], ds[2];
      for (int half = 0; half < 2; ++half) {
        p[half] = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(o.scores + row + half * kLanes), factor, shift[half]));
        if constexpr (kMasked) p[half] = _mm512_maskz_mov_ps(sees(distance + half * kLanes - key - r, window), p[half]);
        ds[half] =
            _mm512_mul_ps(p[half], _mm512_sub_ps(_mm512_load_ps(o.dprobabilities + row + half * kLanes), delta[half]));
      }
      _mm512_store_si512(probabilities + row, (__m512i)_mm512_cvtne2ps_pbh(p[1], p[0]));
      rows[r] = (__m512i)_mm512_cvtne2ps_pbh(ds[1], ds[0]);
      _mm512_store_si512(dscores + row, rows[r]);
    }
    if constexpr (kPairs) {
      __m512i low, high;
      interleave(rows[0], rows[1], low, high);
      _mm512_store_si512(pairs + key * kLanes, low);
      _mm512_store_si512(pairs + kBf16Step / 2 + key * kLanes, high);
    }
  }
}

// What the packed keys from token `keys` on and the packed queries from token `queries` on, of the chunk's head `h`, add to
// the gradients of both.
ATTUNE_AVX512 void add_gradients(const Bf16Multiplier& multiplier, const BackwardOperands& o,
                                 const AttentionShape& shape, const Part& part, std::int64_t keys, std::int64_t queries,
                                 std::int64_t h) {
  const std::int64_t width = padded_size(shape.head_size), width_steps = width / kBf16Tile;
  const std::int64_t query_count = std::min(kQueryBlock, part.queries.end - queries);
  const std::int64_t key_steps = steps_of(std::min(kKeyBlock, part.keys.end - keys));
  const std::int64_t head = h * kQueryBlock * width;
  for (std::int64_t key_step = 0; key_step < key_steps; ++key_step) {
    const std::int64_t key = keys + key_step * kBf16Tile;
    const Steps seeing = seeing_queries(key, queries, query_count, shape.window);
    for (std::int64_t s = seeing.begin; s < seeing.end; ++s) {
      const std::int64_t operand = s * width_steps * kBf16Step;
      multiplier.multiply(o.scores, kBf16Tile, Bf16Left::packed(o.keys + key_step * width_steps * kBf16Step),
                          o.queries_transposed + head + operand, width_steps, false);
      multiplier.multiply(o.dprobabilities, kBf16Tile, Bf16Left::packed(o.values + key_step * width_steps * kBf16Step),
                          o.douts_transposed + head + operand, width_steps, false);
      const std::int64_t distance = queries + s * kBf16Tile - key;
      const std::int64_t left = (key_step * kQuerySteps + s) * kBf16Step;
      bf16* const pairs = o.dscores_by_query + (s * kKeySteps + key_step) * kBf16Step;
      const std::int64_t lanes = h * kQueryBlock + s * kBf16Tile;
      const bool masked = partly_seen(distance, shape.window);
      const auto run = masked ? (part.of_queries ? soften_gradients<true, true> : soften_gradients<true, false>)
                              : (part.of_queries ? soften_gradients<false, true> : soften_gradients<false, false>);
      run(o, o.probabilities + left, o.dscores + left, pairs, o.log_sum_exps + lanes, o.deltas + lanes, shape.scale,
          distance, shape.window);
    }
    if (!part.of_keys || seeing.empty()) continue;
    const std::int64_t left = (key_step * kQuerySteps + seeing.begin) * kBf16Step,
                       sums = (key - part.keys.begin) * width;
    for (std::int64_t s = 0; s < width_steps; ++s) {
      const std::int64_t right = head + (s * kQuerySteps + seeing.begin) * kBf16Step;
      multiplier.multiply(o.dv + sums + s * kBf16Tile, width, Bf16Left::packed(o.probabilities + left), o.douts + right,
                          seeing.count(), true);
      multiplier.multiply(o.dk + sums + s * kBf16Tile, width, Bf16Left::packed(o.dscores + left), o.queries + right,
                          seeing.count(), true);
    }
  }
  if (!part.of_queries) return;
  for (std::int64_t step = 0; step < steps_of(query_count); ++step) {
    const Steps seen = seen_keys(queries + step * kBf16Tile, keys, shape.window);
    if (seen.empty()) continue;
    float* const sums = o.dq + head + step * width * kBf16Tile;
    for (std::int64_t s = 0; s < width_steps; ++s) {
      multiplier.multiply(sums + s * kBf16Step, kBf16Tile,
                          Bf16Left::packed(o.keys_transposed + (s * kKeySteps + seen.begin) * kBf16Step),
                          o.dscores_by_query + (step * kKeySteps + seen.begin) * kBf16Step, seen.count(), true);
    }
  }
}

// Packs what the queries [begin, end) of one head are read as.
ATTUNE_AVX512 void pack_queries(const BackwardOperands& o, const AttentionGradients& g, const AttentionShape& shape,
                                std::int64_t begin, std::int64_t end, std::int64_t head, std::int64_t h, bool of_keys) {
  const std::int64_t size = shape.head_size, query_row = shape.query_heads * size, count = end - begin;
  const std::int64_t offset = begin * query_row + head * size, to = h * kQueryBlock * padded_size(size);
  pack_rows<true>(o.queries_transposed + to, g.q.as<bf16>() + offset, query_row, count, size);
  pack_rows<true>(o.douts_transposed + to, g.dout.as<bf16>() + offset, query_row, count, size);
  if (of_keys) {
    pack_columns<false>(o.queries + to, kQuerySteps, g.q.as<bf16>() + offset, query_row, count, size);
    pack_columns<false>(o.douts + to, kQuerySteps, g.dout.as<bf16>() + offset, query_row, count, size);
  }
  for (std::int64_t i = 0; i < kQueryBlock; ++i) {
    const std::int64_t from = head * shape.tokens + begin + i;
    o.log_sum_exps[h * kQueryBlock + i] = i < count ? g.log_sum_exp[from] * kLog2E : 0.0f;
    o.deltas[h * kQueryBlock + i] = i < count ? g.delta[from] : 0.0f;
  }
}

ATTUNE_AVX512 void backward_part(const AttentionGradients& g, const AttentionShape& shape, const Part& part) {
  const std::int64_t size = shape.head_size, width = padded_size(size);
  const std::int64_t query_row = shape.query_heads * size, key_row = shape.key_heads * size;
  const std::int64_t key_column = part.key_head * size;
  const std::int64_t held = part.of_keys ? steps_of(part.keys.end - part.keys.begin) * kBf16Tile : 0;
  const BackwardOperands o = backward_operands(width, held);
  const Bf16Multiplier multiplier;
  std::fill_n(o.dk, 2 * held * width, 0.0f);
  std::int64_t packed = -1;  // keys
  for (std::int64_t queries = part.queries.begin; queries < part.queries.end; queries += kQueryBlock) {
    const std::int64_t end = std::min(queries + kQueryBlock, part.queries.end);
    const std::int64_t seen = std::max<std::int64_t>(0, queries - shape.window + 1 - part.keys.begin);
    const std::int64_t first = part.keys.begin + seen / kKeyBlock * kKeyBlock, last = std::min(end, part.keys.end);
    for (std::int64_t chunk = part.head_begin; chunk < part.head_end; chunk += kGroupHeads) {
      const std::int64_t heads = std::min(kGroupHeads, part.head_end - chunk);
      for (std::int64_t h = 0; h < heads; ++h) pack_queries(o, g, shape, queries, end, chunk + h, h, part.of_keys);
      if (part.of_queries) std::fill_n(o.dq, heads * kQueryBlock * width, 0.0f);
      for (std::int64_t keys = first; keys < last; keys += kKeyBlock) {
        if (keys != packed) {
          const std::int64_t count = std::min(kKeyBlock, part.keys.end - keys), offset = keys * key_row + key_column;
          pack_rows<false>(o.keys, g.k.as<bf16>() + offset, key_row, count, size);
          pack_rows<false>(o.values, g.v.as<bf16>() + offset, key_row, count, size);
          if (part.of_queries) {
            pack_columns<true>(o.keys_transposed, kKeySteps, g.k.as<bf16>() + offset, key_row, count, size);
          }
          packed = keys;
        }
        for (std::int64_t h = 0; h < heads; ++h) add_gradients(multiplier, o, shape, part, keys, queries, h);
      }
      if (!part.of_queries) continue;
      const __m512 factors[2] = {_mm512_set1_ps(shape.scale), _mm512_set1_ps(shape.scale)};
      for (std::int64_t h = 0; h < heads; ++h) {
        for (std::int64_t token = queries; token < end; token += kBf16Tile) {
          store_transposed(g.dq.as<bf16>() + token * query_row + (chunk + h) * size, query_row,
                           o.dq + (h * kQueryBlock + token - queries) * width, std::min(kBf16Tile, end - token), size,
                           factors);
        }
      }
    }
  }
  if (!part.of_keys) return;
  const std::int64_t offset = part.keys.begin * key_row + key_column, count = part.keys.end - part.keys.begin;
  store_rows(g.dk.as<bf16>() + offset, key_row, o.dk, count, size, shape.scale);
  store_rows(g.dv.as<bf16>() + offset, key_row, o.dv, count, size, 1.0f);
}

}  // namespace

std::size_t attention_bf16_scratch_bytes(std::int64_t head_size) {
  const std::int64_t width = padded_size(head_size);
  return static_cast<std::size_t>(operand_floats(width, most_keys(width))) * sizeof(float);
}

void attention_backward_bf16(const AttentionGradients& g, const AttentionShape& shape) {
  const std::int64_t width = padded_size(shape.head_size), group = shape.group();
  const auto sequences = static_cast<std::int64_t>(shape.starts.size()) - 1;
  std::int64_t longest = 0;
  for (std::size_t s = 1; s < shape.starts.size(); ++s) {
    longest = std::max<std::int64_t>(longest, shape.starts[s] - shape.starts[s - 1]);
  }
  if (longest <= most_keys(width) && enough_sequences(shape)) {
    parallel_tasks(sequences * shape.key_heads, [&](std::int64_t task) {
      const auto s = static_cast<std::size_t>(task / shape.key_heads);
      const std::int64_t first = shape.starts[s], last = shape.starts[s + 1], key_head = task % shape.key_heads;
      const Run run{first, last, first, last};
      backward_part(g, shape, {run, run, key_head, key_head * group, (key_head + 1) * group, true, true});
    });
    return;
  }
  // Early keys are seen by more queries.
  parallel_tasks(sequence_blocks(shape, kKeyBlock) * shape.key_heads, [&](std::int64_t task) {
    const std::int64_t key_head = task % shape.key_heads;
    const Run keys = sequence_block(shape, kKeyBlock, task / shape.key_heads);
    const Run queries{keys.begin, std::min(keys.last, keys.end - 1 + shape.window), keys.first, keys.last};
    backward_part(g, shape, {queries, keys, key_head, key_head * group, (key_head + 1) * group, false, true});
  });
  const std::int64_t blocks = sequence_blocks(shape, kQueryBlock);
  const std::int64_t chunks = shape.group_chunks(), columns = shape.key_heads * chunks;
  parallel_tasks(blocks * columns, [&](std::int64_t task) {  // late queries see more keys
    const std::int64_t key_head = task % columns / chunks;
    const std::int64_t head_begin = key_head * group + task % chunks * kGroupHeads;
    const Run queries = sequence_block(shape, kQueryBlock, blocks - 1 - task / columns);
    const Run keys{queries.first, queries.end, queries.first, queries.last};
    backward_part(
        g, shape,
        {queries, keys, key_head, head_begin, std::min(head_begin + kGroupHeads, (key_head + 1) * group), true, false});
  });
}

#else

std::size_t attention_bf16_scratch_bytes(std::int64_t) { return 0; }

void attention_backward_bf16(const AttentionGradients&, const AttentionShape&) {
  throw InternalError("[attention_bf16] this processor multiplies no bf16");
}

#endif

}  // namespace attune
