// Attention backward over tiles of bf16, as attention_backward.cc: five products in one pass where a task can hold the
// gradients of all keys of a sequence and key head, and there are enough such tasks; else seven in two passes, of which
// one holds the gradients of a block of keys and the other those of a block of queries. Both add the same terms in the
// same order.
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
  bf16 *queries_transposed, *douts_transposed;  // right: [kQueryPanels, width / 32]
  bf16 *queries, *douts;                        // right: [width / 32, kQueryPanels]
  bf16 *probabilities, *dscores;                // left, of 32 keys as rows: [kQueryPanels]
  bf16* dscores_by_query;                       // right: [kQueryPanels, kKeySteps]
  float *scores, *dprobabilities;               // [32, 32], keys as rows
  float *log_sum_exps, *deltas;                 // [kQueryPanels, 32], the first times log2(e)
  float* dq;                                    // transposed: [kQueryPanels, width, 32]
  float *dk, *dv;                               // [keys, width]
};

constexpr std::int64_t kPanelRows = kQueryPanels * kBf16Tile;

std::int64_t operand_floats(std::int64_t width, std::int64_t keys) {
  return (3 * kKeyBlock * width + 4 * kPanelRows * width + (2 + kKeySteps) * kQueryPanels * kBf16Step) / 2 +
         2 * kBf16Step + kPanelRows * (width + 2) + 2 * keys * width;
}

BackwardOperands backward_operands(std::int64_t width, std::int64_t keys) {
  float* const memory = thread_scratch(static_cast<std::size_t>(operand_floats(width, keys)));
  BackwardOperands o;
  o.scores = memory;
  o.dprobabilities = o.scores + kBf16Step;
  o.log_sum_exps = o.dprobabilities + kBf16Step;
  o.deltas = o.log_sum_exps + kPanelRows;
  o.dq = o.deltas + kPanelRows;
  o.dk = o.dq + kPanelRows * width;
  o.dv = o.dk + keys * width;
  o.keys = reinterpret_cast<bf16*>(o.dv + keys * width);
  o.values = o.keys + kKeyBlock * width;
  o.keys_transposed = o.values + kKeyBlock * width;
  o.queries_transposed = o.keys_transposed + kKeyBlock * width;
  o.douts_transposed = o.queries_transposed + kPanelRows * width;
  o.queries = o.douts_transposed + kPanelRows * width;
  o.douts = o.queries + kPanelRows * width;
  o.probabilities = o.douts + kPanelRows * width;
  o.dscores = o.probabilities + kQueryPanels * kBf16Step;
  o.dscores_by_query = o.dscores + kQueryPanels * kBf16Step;
  return o;
}

// What a task sums: gradients of the queries, of the keys, or of both, over all pairs of the two that see one another.
struct Part {
  Run queries, keys;  // both from the start of a block of theirs
  std::int64_t key_head, head_begin, head_end;
  bool of_queries, of_keys;
};

// Turns scores and gradients of probabilities of 32 keys (rows) by the panel's 32 queries, which lie `distance` tokens
// behind, into probabilities and gradients of scores, rounded: as rows of left operands and, with kByQuery, the
// gradients also as a step of a right one.
template <bool kMasked, bool kByQuery>
ATTUNE_AVX512 void soften_gradients(const BackwardOperands& o, std::int64_t panel, std::int64_t key_step, float scale,
                                    std::int64_t distance, std::int64_t window) {
  const float *shifts = o.log_sum_exps + panel * kBf16Tile, *deltas = o.deltas + panel * kBf16Tile;
  bf16* const by_query = o.dscores_by_query + (panel * kKeySteps + key_step) * kBf16Step;
  const __m512 factor = _mm512_set1_ps(scale * kLog2OfE);
  const __m512 shift[2] = {_mm512_load_ps(shifts), _mm512_load_ps(shifts + kQueryLanes)};
  const __m512 delta[2] = {_mm512_load_ps(deltas), _mm512_load_ps(deltas + kQueryLanes)};
  for (std::int64_t key = 0; key < kBf16Tile; key += 2) {
    __m512i rows[2];
    for (int r = 0; r < 2; ++r) {
      const std::int64_t row = (key + r) * kBf16Tile;
      __m512 p[2], ds[2];
      for (int half = 0; half < 2; ++half) {
        const std::int64_t at = row + half * kQueryLanes;
        p[half] = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(o.scores + at), factor, shift[half]));
        if constexpr (kMasked)
          p[half] = _mm512_maskz_mov_ps(sees(distance + half * kQueryLanes - key - r, window), p[half]);
        ds[half] = _mm512_mul_ps(p[half], _mm512_sub_ps(_mm512_load_ps(o.dprobabilities + at), delta[half]));
      }
      _mm512_store_si512(o.probabilities + panel * kBf16Step + row, (__m512i)_mm512_cvtne2ps_pbh(p[1], p[0]));
      rows[r] = (__m512i)_mm512_cvtne2ps_pbh(ds[1], ds[0]);
      _mm512_store_si512(o.dscores + panel * kBf16Step + row, rows[r]);
    }
    if constexpr (kByQuery) {
      __m512i low, high;
      interleave(rows[0], rows[1], low, high);
      _mm512_store_si512(by_query + key * kQueryLanes, low);
      _mm512_store_si512(by_query + kBf16Step / 2 + key * kQueryLanes, high);
    }
  }
}

// What the packed keys from token `keys` on and the packed queries [begin, end) of `heads` heads add to the gradients
// of both.
ATTUNE_AVX512 void add_block_gradients(const Bf16Multiplier& multiplier, const BackwardOperands& o,
                                       const AttentionShape& shape, const Part& part, std::int64_t keys,
                                       std::int64_t begin, std::int64_t end, std::int64_t heads) {
  const std::int64_t width = padded_size(shape.head_size), width_steps = width / kBf16Tile;
  const std::int64_t operand = width_steps * kBf16Step, key_steps = tiles_of(std::min(kKeyBlock, part.keys.end - keys));
  for (std::int64_t key_step = 0; key_step < key_steps; ++key_step) {
    const std::int64_t key = keys + key_step * kBf16Tile;
    const SeenTiles seeing = seeing_queries(key, begin, end - begin, shape.window);
    if (seeing.empty()) continue;
    const std::int64_t first = seeing.begin * heads, last = seeing.end * heads;
    for (std::int64_t panel = first; panel < last; ++panel) {
      multiplier.multiply(o.scores, kBf16Tile, Bf16Left::packed(o.keys + key_step * operand),
                          o.queries_transposed + panel * operand, width_steps, false);
      multiplier.multiply(o.dprobabilities, kBf16Tile, Bf16Left::packed(o.values + key_step * operand),
                          o.douts_transposed + panel * operand, width_steps, false);
      const std::int64_t distance = begin + panel / heads * kBf16Tile - key;
      const bool masked = partly_seen(distance, shape.window);
      const auto soften = masked ? (part.of_queries ? soften_gradients<true, true> : soften_gradients<true, false>)
                                 : (part.of_queries ? soften_gradients<false, true> : soften_gradients<false, false>);
      soften(o, panel, key_step, shape.scale, distance, shape.window);
    }
    if (!part.of_keys) continue;
    const std::int64_t sums = (key - part.keys.begin) * width;
    for (std::int64_t s = 0; s < width_steps; ++s) {
      const std::int64_t right = (s * kQueryPanels + first) * kBf16Step;
      multiplier.multiply(o.dv + sums + s * kBf16Tile, width, Bf16Left::packed(o.probabilities + first * kBf16Step),
                          o.douts + right, last - first, true);
      multiplier.multiply(o.dk + sums + s * kBf16Tile, width, Bf16Left::packed(o.dscores + first * kBf16Step),
                          o.queries + right, last - first, true);
    }
  }
  if (!part.of_queries) return;
  for (std::int64_t panel = 0; panel < tiles_of(end - begin) * heads; ++panel) {
    const SeenTiles seen = seen_keys(begin + panel / heads * kBf16Tile, keys, shape.window);
    if (seen.empty()) continue;
    for (std::int64_t s = 0; s < width_steps; ++s) {
      multiplier.multiply(o.dq + panel * width * kBf16Tile + s * kBf16Step, kBf16Tile,
                          Bf16Left::packed(o.keys_transposed + (s * kKeySteps + seen.begin) * kBf16Step),
                          o.dscores_by_query + (panel * kKeySteps + seen.begin) * kBf16Step, seen.count(), true);
    }
  }
}

// Packs the keys [begin, end).
ATTUNE_AVX512 void pack_keys(const BackwardOperands& o, const AttentionGradients& g, const AttentionShape& shape,
                             const Part& part, std::int64_t begin, std::int64_t end) {
  const std::int64_t size = shape.head_size, row = shape.key_heads * size, count = end - begin;
  const std::int64_t offset = begin * row + part.key_head * size;
  pack_head_rows<false>(o.keys, g.k.as<bf16>() + offset, row, count, size);
  pack_head_rows<false>(o.values, g.v.as<bf16>() + offset, row, count, size);
  if (part.of_queries) pack_head_columns<true>(o.keys_transposed, kKeySteps, g.k.as<bf16>() + offset, row, count, size);
}

// Packs the queries [begin, end) of the heads [head_begin, head_begin + heads).
ATTUNE_AVX512 void pack_queries(const BackwardOperands& o, const AttentionGradients& g, const AttentionShape& shape,
                                std::int64_t begin, std::int64_t end, std::int64_t head_begin, std::int64_t heads,
                                bool of_keys) {
  const std::int64_t size = shape.head_size, row = shape.query_heads * size, width = padded_size(size);
  for (std::int64_t panel = 0; panel < tiles_of(end - begin) * heads; ++panel) {
    const std::int64_t token = begin + panel / heads * kBf16Tile, head = head_begin + panel % heads;
    const std::int64_t offset = token * row + head * size, count = std::min(kBf16Tile, end - token);
    const bf16 *q = g.q.as<bf16>() + offset, *dout = g.dout.as<bf16>() + offset;
    pack_head_rows<true>(o.queries_transposed + panel * kBf16Tile * width, q, row, count, size);
    pack_head_rows<true>(o.douts_transposed + panel * kBf16Tile * width, dout, row, count, size);
    if (of_keys) {
      pack_head_columns<false>(o.queries + panel * kBf16Step, kQueryPanels, q, row, count, size);
      pack_head_columns<false>(o.douts + panel * kBf16Step, kQueryPanels, dout, row, count, size);
    }
    for (std::int64_t i = 0; i < kBf16Tile; ++i) {
      const std::int64_t from = head * shape.tokens + token + i;
      o.log_sum_exps[panel * kBf16Tile + i] = i < count ? g.log_sum_exp[from] * kLog2OfE : 0.0f;
      o.deltas[panel * kBf16Tile + i] = i < count ? g.delta[from] : 0.0f;
    }
  }
}

ATTUNE_AVX512 void backward_part(const AttentionGradients& g, const AttentionShape& shape, const Part& part) {
  const std::int64_t size = shape.head_size, width = padded_size(size), block = query_block(shape);
  const std::int64_t query_row = shape.query_heads * size, key_row = shape.key_heads * size;
  const std::int64_t held = part.of_keys ? tiles_of(part.keys.end - part.keys.begin) * kBf16Tile : 0;
  const BackwardOperands o = backward_operands(width, held);
  const Bf16Multiplier multiplier;
  std::fill_n(o.dk, 2 * held * width, 0.0f);
  std::int64_t packed = -1;  // keys
  for (std::int64_t begin = part.queries.begin; begin < part.queries.end; begin += block) {
    const std::int64_t end = std::min(begin + block, part.queries.end);
    const std::int64_t seen = std::max<std::int64_t>(0, begin - shape.window + 1 - part.keys.begin);
    for (std::int64_t chunk = part.head_begin; chunk < part.head_end; chunk += chunk_heads(shape)) {
      const std::int64_t heads = std::min(chunk_heads(shape), part.head_end - chunk);
      const std::int64_t panels = tiles_of(end - begin) * heads;
      pack_queries(o, g, shape, begin, end, chunk, heads, part.of_keys);
      if (part.of_queries) std::fill_n(o.dq, panels * kBf16Tile * width, 0.0f);
      const std::int64_t last = std::min(end, part.keys.end);
      for (std::int64_t keys = part.keys.begin + seen / kKeyBlock * kKeyBlock; keys < last; keys += kKeyBlock) {
        if (keys != packed) pack_keys(o, g, shape, part, keys, std::min(keys + kKeyBlock, part.keys.end));
        packed = keys;
        add_block_gradients(multiplier, o, shape, part, keys, begin, end, heads);
      }
      const __m512 factors[2] = {_mm512_set1_ps(shape.scale), _mm512_set1_ps(shape.scale)};
      for (std::int64_t panel = 0; part.of_queries && panel < panels; ++panel) {
        const std::int64_t token = begin + panel / heads * kBf16Tile, head = chunk + panel % heads;
        store_head_columns(g.dq.as<bf16>() + token * query_row + head * size, query_row,
                           o.dq + panel * kBf16Tile * width, std::min(kBf16Tile, end - token), size, factors);
      }
    }
  }
  if (!part.of_keys) return;
  const std::int64_t offset = part.keys.begin * key_row + part.key_head * size, count = part.keys.end - part.keys.begin;
  store_head_rows(g.dk.as<bf16>() + offset, key_row, o.dk, count, size, shape.scale);
  store_head_rows(g.dv.as<bf16>() + offset, key_row, o.dv, count, size, 1.0f);
}

// delta = dout . out for every head of the tokens [begin, end), 16 tokens at a time.
ATTUNE_AVX512 void delta_bf16(const AttentionGradients& g, const AttentionShape& shape, std::int64_t begin,
                              std::int64_t end) {
  const std::int64_t size = shape.head_size, row = shape.query_heads * size;
  for (std::int64_t token = begin; token < end; token += kQueryLanes) {
    const std::int64_t rows = std::min<std::int64_t>(kQueryLanes, end - token);
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      const bf16* const dout = g.dout.as<bf16>() + token * row + head * size;
      const bf16* const out = g.out.as<bf16>() + token * row + head * size;
      __m512i sums[kQueryLanes];
      for (int r = 0; r < kQueryLanes; ++r) {
        __m512 sum = _mm512_setzero_ps();
        for (std::int64_t column = 0; column < size; column += kBf16Tile) {
          sum = _mm512_dpbf16_ps(sum, (__m512bh)part_of_row(dout, r, row, rows, column, size),
                                 (__m512bh)part_of_row(out, r, row, rows, column, size));
        }
        sums[r] = (__m512i)sum;
      }
      transpose_pairs(sums);
      __m512 delta = (__m512)sums[0];
      for (int i = 1; i < kQueryLanes; ++i) delta = _mm512_add_ps(delta, (__m512)sums[i]);
      _mm512_mask_storeu_ps(g.delta + head * shape.tokens + token, static_cast<__mmask16>((1u << rows) - 1), delta);
    }
  }
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
  parallel_ranges(shape.tokens, kBf16Tile,
                  [&](std::int64_t begin, std::int64_t end) { delta_bf16(g, shape, begin, end); });
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
  const std::int64_t size = query_block(shape), blocks = sequence_blocks(shape, size), most = chunk_heads(shape);
  const std::int64_t chunks = shape.group_chunks(), columns = shape.key_heads * chunks;
  parallel_tasks(blocks * columns, [&](std::int64_t task) {  // late queries see more keys
    const std::int64_t key_head = task % columns / chunks;
    const std::int64_t head_begin = key_head * group + task % chunks * most;
    const Run queries = sequence_block(shape, size, blocks - 1 - task / columns);
    const Run keys{queries.first, queries.end, queries.first, queries.last};
    backward_part(
        g, shape,
        {queries, keys, key_head, head_begin, std::min(head_begin + most, (key_head + 1) * group), true, false});
  });
}

#else

std::size_t attention_bf16_scratch_bytes(std::int64_t) { return 0; }

void attention_backward_bf16(const AttentionGradients&, const AttentionShape&) {
  throw InternalError("[attention_bf16] this processor multiplies no bf16");
}

#endif

}  // namespace attune
