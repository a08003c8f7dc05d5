#include "generate/engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "generate/engine_pass.h"
#include "generate/sequence.h"

namespace attune {
namespace {

constexpr std::int64_t kPromptRows = 256;     // of prompts in one pass: what an answer under way may have to wait for
constexpr std::int64_t kBlockMultiple = 16;   // pieces of prompts are padded to it, so that products have few shapes
constexpr std::int64_t kLookupSequences = 8;  // answers under way at most for guessing to pay

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

std::int64_t padded(std::int64_t tokens) { return (tokens + kBlockMultiple - 1) / kBlockMultiple * kBlockMultiple; }

std::int64_t single_rows_of(const EngineOptions& options) {
  const std::int64_t guessing = std::min(options.sequences, kLookupSequences) * (1 + kLookupTokens);
  return options.prompt_lookup ? std::max(options.sequences, guessing) : options.sequences;
}

// The largest rank per block and slot: what the buffers must hold.
LoraRanks largest_ranks(const std::vector<LoraTable>& adapters, const Model& model) {
  LoraRanks ranks(model.blocks.size());
  for (const LoraTable& table : adapters) {
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      for (std::size_t slot = 0; slot < kSlots; ++slot) ranks[i][slot] = std::max(ranks[i][slot], table[i][slot].rank);
    }
  }
  return ranks;
}

}  // namespace

Engine::Engine(const Model& model, std::vector<LoraTable> adapters, const EngineOptions& options)
    : model_(model),
      adapters_(std::move(adapters)),
      options_(options),
      pool_(pages_for(options.cache_tokens > 0 ? options.cache_tokens
                                               : options.sequences * pages_for(options.context) * kPageTokens)) {
  PassOptions pass;
  pass.tokens = single_rows_of(options) + kPromptRows;
  pass.positions = options.context;
  pass.act = options.act;
  // Logits: of every single row, and of the last row of each prompt that a pass completes.
  pass.head_rows = single_rows_of(options) + kPromptRows / kBlockMultiple;
  pass.lora_ranks = largest_ranks(adapters_, model);
  MemoryPlan plan;
  const ActivationPlan activations = plan_activations(plan, model.config, pass);
  const PagedCachePlan cache = plan_paged_cache(plan, model.config, pool_.pages(), options.act);
  const BufferId ids = plan.add("ids", BufferKind::kData, DType::kI32, {pass.tokens});
  const BufferId positions = plan.add("positions", BufferKind::kData, DType::kI32, {pass.tokens});
  plan.place();
  arena_ = Arena(plan);
  activations_ = bind_activations(activations, arena_, model.config);
  cache_ = bind_paged_cache(cache, arena_);
  ids_ = arena_.view(ids);
  positions_ = arena_.view(positions);
}

Engine::~Engine() = default;

void Engine::check(const SequenceRequest& request) const {
  Sampler(request.sampler, request.penalties);  // checks the numbers
  const std::int64_t prompt = std::ssize(request.prompt);
  if (prompt == 0) throw UserError("[prompt] is empty; give the model something to continue");
  if (request.max_new_tokens < 1) {
    throw UserError("[max_tokens] expected 1 or more, got {}", request.max_new_tokens);
  }
  const std::int64_t limit = std::min(options_.context, pool_.pages() * kPageTokens);
  if (prompt >= limit) {
    throw UserError(
        "[prompt] has {} tokens and the context {}, which must hold the answer too; shorten it or raise "
        "--context",
        prompt, limit);
  }
  for (const TokenId token : request.prompt) {
    if (token < 0 || token >= model_.config.vocab_size) {
      throw UserError("[prompt] token {} is outside the vocabulary of {}", token, model_.config.vocab_size);
    }
  }
}

void Engine::add(SequenceRequest request, std::shared_ptr<AnswerSink> sink) {
  const std::int64_t limit = std::min(options_.context, pool_.pages() * kPageTokens);
  request.max_new_tokens = std::min(request.max_new_tokens, limit - std::ssize(request.prompt));
  waiting_.push_back(std::make_unique<Sequence>(std::move(request), std::move(sink)));
}

bool Engine::idle() const { return waiting_.empty() && under_way_.empty(); }

EngineLoad Engine::load() const {
  return {std::ssize(waiting_), std::ssize(under_way_), pool_.pages(), pool_.used(), pool_.known()};
}

void Engine::finish(Sequence& sequence, FinishReason reason) {
  for (std::size_t i = sequence.pages.size(); i-- > 0;) pool_.release(sequence.pages[i]);
  sequence.pages.clear();
  sequence.over = true;
  sequence.sink->on_finish(reason);
}

void Engine::drop_unwanted() {
  for (auto* const list : {&waiting_, &under_way_}) {
    for (const auto& sequence : *list) {
      if (!sequence->sink->wanted()) finish(*sequence, FinishReason::kInterrupted);
    }
    std::erase_if(*list, [](const auto& sequence) { return sequence->over; });
  }
}

// First come, first served: one that does not fit yet holds back those behind it, or it might wait for ever.
void Engine::admit() {
  while (std::ssize(under_way_) < options_.sequences && !waiting_.empty() && admit_first()) {
    under_way_.push_back(std::move(waiting_.front()));
    waiting_.erase(waiting_.begin());
  }
}

// Reserves the pages for the whole of the first sequence that waits, so that no answer has to be taken back later.
bool Engine::admit_first() {
  Sequence& sequence = *waiting_.front();
  const std::int64_t needed = pages_for(sequence.prompt_tokens() + sequence.request.max_new_tokens);
  adopt_known_pages(sequence);
  if (pool_.available() < needed - std::ssize(sequence.pages)) {
    for (std::size_t i = sequence.pages.size(); i-- > 0;) pool_.release(sequence.pages[i]);
    sequence.pages.clear();
    sequence.cached = sequence.known = 0;
    sequence.prefix = PagePool::root(sequence.request.adapter);
    return false;
  }
  while (std::ssize(sequence.pages) < needed) sequence.pages.push_back(pool_.take());
  return true;
}

// Goes forward over whole pages of the prompt that are known, taking them in place of the sequence's own. At least one
// token of the prompt must run, or there would be no logits.
void Engine::adopt_known_pages(Sequence& sequence) {
  if (!options_.share_prefixes) return;
  while (sequence.cached % kPageTokens == 0 && sequence.cached + kPageTokens < sequence.prompt_tokens()) {
    const auto page_tokens = std::span(sequence.tokens).subspan(static_cast<std::size_t>(sequence.cached), kPageTokens);
    const auto known = pool_.find(sequence.prefix, page_tokens);
    if (!known) return;
    pool_.share(known->page);
    const auto index = static_cast<std::size_t>(sequence.cached / kPageTokens);
    if (index < sequence.pages.size()) {
      pool_.release(std::exchange(sequence.pages[index], known->page));
    } else {
      sequence.pages.push_back(known->page);
    }
    sequence.prefix = known->name;
    sequence.cached += kPageTokens;
    sequence.known += kPageTokens;
  }
}

// The last token of every answer under way, and what is guessed to follow it. Those of one adapter stand together.
void Engine::plan_answers(Pass& pass) {
  std::vector<Sequence*> answering;
  for (const auto& sequence : under_way_) {
    if (sequence->answering()) answering.push_back(sequence.get());
  }
  std::stable_sort(answering.begin(), answering.end(),
                   [](const Sequence* a, const Sequence* b) { return a->request.adapter < b->request.adapter; });
  const bool guessing = options_.prompt_lookup && std::ssize(answering) <= kLookupSequences;
  for (Sequence* const sequence : answering) {
    sequence->guess.clear();
    if (guessing && sequence->may_guess()) {
      const std::int64_t room = sequence->request.max_new_tokens - sequence->answer_tokens() - 1;
      const auto found = looked_up(sequence->tokens, std::min(sequence->pace.allowed(), room));
      sequence->guess.assign(found.begin(), found.end());
      if (sequence->guess.empty()) sequence->pace.passed_without_guess();
    }
    const std::int64_t first = pass.rows;
    pass.add(*sequence, sequence->cached, std::span(sequence->tokens).last(1));
    pass.add(*sequence, sequence->cached + 1, sequence->guess);
    const std::int64_t count = pass.rows - first;
    pass.answers.push_back({sequence, first, count, std::ssize(pass.logits_rows)});
    for (std::int64_t row = first; row < pass.rows; ++row) pass.logits_rows.push_back(row);
    if (sequence->request.adapter < 0) continue;
    const LoraTable* const table = &adapters_[static_cast<std::size_t>(sequence->request.adapter)];
    if (!pass.adapted.empty() && pass.adapted.back().table == table) {
      pass.adapted.back().rows.count += count;
    } else {
      pass.adapted.push_back({{first, count}, table});
    }
  }
  pass.single_rows = pass.rows;
}

// Pieces of prompts, those that came first before the others, each from where its sequence is to the end of the page:
// where a prompt is cut depends on nothing else.
void Engine::plan_prompts(Pass& pass) {
  struct Piece {
    PrefixName prefix;
    std::span<const TokenId> tokens;
  };
  std::vector<Piece> pieces;
  std::int64_t room = kPromptRows;
  for (const auto& owner : under_way_) {
    Sequence& sequence = *owner;
    if (sequence.answering()) continue;
    adopt_known_pages(sequence);
    for (std::int64_t begin = sequence.cached; begin < sequence.prompt_tokens();) {
      const std::int64_t end = std::min(sequence.prompt_tokens(), begin / kPageTokens * kPageTokens + kPageTokens);
      const std::int64_t count = end - begin;
      if (padded(count) > room) return;
      const auto tokens =
          std::span(sequence.tokens).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
      // Another sequence computes the same page in this pass: to be adopted in the next one.
      const bool coming = options_.share_prefixes && begin == sequence.cached && end < sequence.prompt_tokens() &&
                          std::any_of(pieces.begin(), pieces.end(), [&](const Piece& piece) {
                            return piece.prefix == sequence.prefix && std::ranges::equal(piece.tokens, tokens);
                          });
      if (coming) break;
      if (begin == sequence.cached) pieces.push_back({sequence.prefix, tokens});
      const std::int64_t first = pass.rows;
      pass.add(sequence, begin, tokens);
      pass.pad(padded(count) - count);
      pass.blocks.push_back({first, padded(count)});
      pass.prompts.push_back({&sequence, first, count});
      if (sequence.request.adapter >= 0) {
        pass.adapted.push_back({{first, count}, &adapters_[static_cast<std::size_t>(sequence.request.adapter)]});
      }
      if (end == sequence.prompt_tokens()) {
        pass.prompts.back().logits = std::ssize(pass.logits_rows);
        pass.logits_rows.push_back(first + count - 1);
      }
      room -= padded(count);
      begin = end;
    }
  }
}

void Engine::run(Pass& pass) {
  const BatchRows rows{ids_.slice_rows(0, pass.rows),
                       positions_.slice_rows(0, pass.rows),
                       pass.single_rows,
                       pass.blocks,
                       pass.queries,
                       pass.adapted};
  batch_forward(model_, rows, cache_, activations_);
  const auto count = std::ssize(pass.logits_rows);
  if (count == 0) return;
  const TensorView gathered = activations_.head_rows.slice_rows(0, count);
  const std::size_t bytes = gathered.slice_rows(0, 1).bytes();
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(gathered.slice_rows(i, 1).data,
                activations_.normed.slice_rows(pass.logits_rows[static_cast<std::size_t>(i)], 1).data, bytes);
  }
  rows_linear(activations_.head_logits.slice_rows(0, count), gathered, model_.head.weight, {}, activations_.tile, count,
              {});
}

PassReport Engine::step() {
  PassReport report;
  try {
    drop_unwanted();
    admit();
    Pass pass;
    pass.ids = ids_;
    pass.positions = positions_;
    plan_answers(pass);
    plan_prompts(pass);
    if (pass.rows == 0) return report;
    run(pass);
    choose(pass, report);
    std::erase_if(under_way_, [](const auto& sequence) { return sequence->over; });
  } catch (...) {
    for (const auto& sequence : under_way_) {
      for (const PageId page : sequence->pages) pool_.release(page);
    }
    under_way_.clear();
    waiting_.clear();
    throw;
  }
  return report;
}

}  // namespace attune
