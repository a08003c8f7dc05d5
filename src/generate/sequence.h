// An answer under way in the engine.
#pragma once

#include <memory>
#include <vector>

#include "generate/engine.h"
#include "generate/prompt_lookup.h"

namespace attune {

struct Engine::Sequence {
  Sequence(SequenceRequest asked, std::shared_ptr<AnswerSink> receiver)
      : request(std::move(asked)),
        sink(std::move(receiver)),
        sampler(request.sampler, request.penalties),
        tokens(request.prompt),
        prefix(PagePool::root(request.adapter)) {}

  SequenceRequest request;
  std::shared_ptr<AnswerSink> sink;
  Sampler sampler;
  std::vector<TokenId> tokens;  // prompt and answer
  std::vector<PageId> pages;    // for all that it may become
  std::int64_t cached = 0;      // tokens whose keys and values are in the pages
  std::int64_t known = 0;       // tokens of the prompt that were adopted from the pool
  PrefixName prefix;            // of the whole pages of the prompt that are cached
  LookupPace pace;
  std::vector<TokenId> guess;       // run after the last token in this pass
  std::vector<TokenChoice> chosen;  // in this pass
  bool over = false;

  std::int64_t prompt_tokens() const { return std::ssize(request.prompt); }
  std::int64_t answer_tokens() const { return std::ssize(tokens) - prompt_tokens(); }
  bool answering() const { return cached >= prompt_tokens(); }
  // Penalties may change with every token, so that guesses would have to be penalized one by one: not worth it.
  bool may_guess() const { return request.sampler.temperature == 0 && !request.penalties.any(); }
};

}  // namespace attune
