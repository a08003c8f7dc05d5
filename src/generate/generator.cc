#include "generate/generator.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/clock.h"
#include "base/error.h"

namespace attune {
namespace {

// A prompt runs in pieces of this many tokens, which bounds the activations whatever its length.
constexpr std::int64_t kPrefillTokens = 512;

}  // namespace

Session::Session(const Model& model, std::int64_t capacity, DType act) : model_(model) {
  PassOptions options;
  options.tokens = std::min(capacity, kPrefillTokens);
  options.positions = capacity;
  options.act = act;
  options.head_rows = 1;
  options.lora_ranks = lora_ranks_of(model);
  MemoryPlan plan;
  const ActivationPlan activations = plan_activations(plan, model.config, options);
  const KvCachePlan cache = plan_kv_cache(plan, model.config, capacity, act);
  const BufferId logits = plan.add("logits", BufferKind::kActivations, DType::kF32, {1, model.config.vocab_size});
  const BufferId ids = plan.add("ids", BufferKind::kData, DType::kI32, {options.tokens});
  const BufferId positions = plan.add("positions", BufferKind::kData, DType::kI32, {options.tokens});
  plan.place();
  arena_ = Arena(plan);
  activations_ = bind_activations(activations, arena_, model.config);
  cache_ = bind_kv_cache(cache, arena_);
  logits_ = arena_.view(logits);
  ids_ = arena_.view(ids);
  positions_ = arena_.view(positions);
  tokens_.reserve(static_cast<std::size_t>(capacity));
}

void Session::run(std::span<const TokenId> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  std::copy(tokens.begin(), tokens.end(), ids_.as<std::int32_t>());
  std::iota(positions_.as<std::int32_t>(), positions_.as<std::int32_t>() + count,
            static_cast<std::int32_t>(cache_.length));
  const std::array<std::int32_t, 2> starts = {0, static_cast<std::int32_t>(count)};
  forward(model_, {ids_.slice_rows(0, count), positions_.slice_rows(0, count), starts}, {}, activations_, &cache_);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  project_logits(logits_, model_, count - 1, activations_);
}

std::span<const float> Session::set_tokens(std::span<const TokenId> tokens) {
  const auto wanted = static_cast<std::int64_t>(tokens.size());
  if (tokens.empty()) throw UserError("[prompt] is empty; give the model something to continue");
  if (wanted > capacity()) {
    throw UserError("[prompt] has {} tokens, the limit is {}; shorten it or raise the limit", wanted, capacity());
  }
  const auto common =
      std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end()).second - tokens.begin();
  // At least one token must run, or there would be no logits to return.
  const std::int64_t kept = std::min<std::int64_t>(common, wanted - 1);
  cache_.length = kept;
  tokens_.resize(static_cast<std::size_t>(kept));
  for (std::int64_t done = kept; done < wanted;) {
    const std::int64_t piece = std::min(kPrefillTokens, wanted - done);
    run(tokens.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(piece)));
    done += piece;
  }
  return {logits_.as<float>(), static_cast<std::size_t>(logits_.elements())};
}

std::span<const float> Session::append(TokenId token) {
  if (length() == capacity()) throw UserError("[context] is full at {} tokens", capacity());
  run({&token, 1});
  return {logits_.as<float>(), static_cast<std::size_t>(logits_.elements())};
}

Generated generate(Session& session, std::span<const TokenId> prompt, const GenerateOptions& options,
                   const std::function<bool(TokenId)>& on_token) {
  Sampler sampler(options.sampler);
  Generated result;
  result.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  const double begun = seconds_now();
  std::span<const float> logits = session.set_tokens(prompt);
  result.prompt_seconds = seconds_now() - begun;

  const double answering = seconds_now();
  while (static_cast<std::int64_t>(result.tokens.size()) < options.max_new_tokens) {
    const TokenId token = sampler.sample(logits);
    if (std::find(options.stop_tokens.begin(), options.stop_tokens.end(), token) != options.stop_tokens.end()) {
      result.reason = FinishReason::kStop;
      break;
    }
    result.tokens.push_back(token);
    if (on_token && !on_token(token)) {
      result.reason = FinishReason::kInterrupted;
      break;
    }
    if (session.length() == session.capacity()) break;
    logits = session.append(token);
  }
  result.answer_seconds = seconds_now() - answering;
  return result;
}

}  // namespace attune
