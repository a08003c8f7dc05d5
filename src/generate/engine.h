// Many answers at once from one model: continuous batching over a paged KV cache (Yu et al., "Orca", 2022; Kwon et al.,
// "PagedAttention", 2023). Every pass takes a token of each answer that is under way and pieces of prompts that wait;
// the base weights are read once for all of them, whatever adapter each one speaks with.
//
// The guarantee: the tokens and log probabilities of an answer are, bit for bit, a function of its own request (prompt,
// adapter, sampler, seed), the build, the processor and the thread count. What else is in the batch, whether the
// beginning of the prompt was known already, and whether tokens were guessed ahead do not show.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/batch_pass.h"
#include "generate/generator.h"
#include "generate/page_pool.h"
#include "generate/sampler.h"

namespace attune {

struct EngineOptions {
  std::int64_t context = 4096;    // tokens of one prompt and its answer together, at most
  std::int64_t sequences = 1;     // answers under way at once, at most
  std::int64_t cache_tokens = 0;  // of all of them together; 0: `sequences` full contexts
  DType act = DType::kF32;
  bool share_prefixes = true;
  bool prompt_lookup = true;  // for greedy answers, while few are under way
};

struct SequenceRequest {
  std::vector<TokenId> prompt;
  std::int64_t adapter = -1;  // place in the engine's list; -1: the base
  SamplerOptions sampler;
  Penalties penalties;
  std::int64_t max_new_tokens = 512;
  std::vector<TokenId> stop_tokens;
  std::optional<int> top_logprobs;  // absent: no log probabilities; else that of the token and of so many likely ones
};

// A token of an answer. Log probabilities are the model's own, before temperature, penalties and filters.
struct TokenChoice {
  struct Likely {
    TokenId token;
    float logprob;
  };
  TokenId token = 0;
  float logprob = 0.0f;
  std::vector<Likely> top;
};

// Who receives an answer. Called by step() only, on its thread; must not throw.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual bool wanted() = 0;                              // asked before every pass; false ends the answer
  virtual void on_prompt(std::int64_t known_tokens) = 0;  // admitted; so many tokens of the prompt are known already
  virtual bool on_token(const TokenChoice& choice) = 0;   // not for the stop token; false ends the answer
  virtual void on_finish(FinishReason reason) = 0;        // the last call
};

struct EngineLoad {
  std::int64_t waiting = 0, under_way = 0;  // sequences
  std::int64_t pages = 0, pages_used = 0, pages_known = 0;
};

struct PassReport {
  std::int64_t prompt_tokens = 0, answers = 0;  // prompt tokens computed; answers that got tokens
  std::int64_t answer_tokens = 0;
  std::int64_t guessed = 0, accepted = 0;  // by prompt lookup
};

// The model must outlive the engine; an adapter that is attached to it is ignored. One thread at a time.
class Engine {
 public:
  Engine(const Model& model, std::vector<LoraTable> adapters, const EngineOptions& options);
  ~Engine();

  // UserError, naming the limit, when the request can never run: an empty or too long prompt, sampler options out of
  // range. Thread-safe.
  void check(const SequenceRequest& request) const;

  // Joins the queue. check() first. max_new_tokens is cut to what the context leaves.
  void add(SequenceRequest request, std::shared_ptr<AnswerSink> sink);

  bool idle() const;  // nothing waits or is under way
  EngineLoad load() const;

  // One pass. When it throws, every answer is over without its sink being told (the cause is memory or a fault of
  // ours); the engine may be used again.
  PassReport step();

  std::int64_t context() const { return options_.context; }
  std::size_t arena_bytes() const { return arena_.bytes(); }

 private:
  struct Sequence;
  struct Pass;
  void drop_unwanted();
  void admit();
  bool admit_first();
  void adopt_known_pages(Sequence& sequence);
  void plan_answers(Pass& pass);
  void plan_prompts(Pass& pass);
  void run(Pass& pass);
  void choose(Pass& pass, PassReport& report);
  void finish(Sequence& sequence, FinishReason reason);

  const Model& model_;
  std::vector<LoraTable> adapters_;
  EngineOptions options_;
  Arena arena_;
  Activations activations_;
  PagedCache cache_;
  TensorView ids_, positions_;
  PagePool pool_;
  std::vector<std::unique_ptr<Sequence>> waiting_, under_way_;
};

}  // namespace attune
