// A request for an answer, from its JSON to the last chunk.
#include <fmt/format.h>

#include <memory>
#include <random>

#include "base/error.h"
#include "base/utf8.h"
#include "serve/answer_text.h"
#include "serve/api.h"
#include "serve/api_error.h"
#include "serve/api_reply.h"
#include "token/encode.h"

namespace attune {
namespace {

using Clock = AnswerChannel::Clock;
constexpr std::chrono::milliseconds kLookAround{100};  // how soon a client that left is noticed

double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

std::string event(const Json& json) { return "data: " + to_json_line(json) + "\n\n"; }

}  // namespace

// Everything about one answer, kept alive by its reply.
struct Api::Answering {
  Answering(bool chat, const ApiRequest& request, const Tokenizer& tokenizer, std::shared_ptr<AnswerChannel> from)
      : channel(std::move(from)),
        text(tokenizer, request.stop),
        reply(chat, request.model, tokenizer, request.top_logprobs.has_value()),
        include_usage(request.include_usage) {}
  ~Answering() { channel->cancel(); }  // whoever leaves early wants no more

  std::shared_ptr<AnswerChannel> channel;
  AnswerText text;
  ApiReply reply;
  bool include_usage;
  AnswerUsage usage;
  std::function<bool()> connected;
  Clock::time_point begun = Clock::now();
  AnswerChannel::News news;  // not yet looked at

  // Waits for something new. False: the client has left.
  bool wait() {
    do {
      news = channel->wait(kLookAround);
      if (!connected()) return false;
    } while (news.tokens.empty() && !news.over());
    usage.known_tokens = news.known_tokens;
    return true;
  }
  AnswerText::Piece take() {
    AnswerText::Piece all;
    const auto add = [&](AnswerText::Piece piece) {
      all.text += piece.text;
      for (TokenChoice& choice : piece.tokens) all.tokens.push_back(std::move(choice));
    };
    for (const TokenChoice& choice : news.tokens) add(text.push(choice));
    if (news.over() || text.stopped()) add(text.finish());
    usage.answer_tokens = text.tokens();
    return all;
  }
  bool over() const { return news.over() || text.stopped(); }

  // Empty: the answer was ended by neither the model nor a limit.
  std::string finish_reason() const {
    if (text.stopped() || news.finished == FinishReason::kStop) return "stop";
    if (news.finished == FinishReason::kLength || channel->timed_out()) return "length";
    return "";
  }
  ApiError failure() const {
    if (!news.failure.empty()) return ApiError(500, "the answer failed: " + news.failure);
    return ApiError(503, "the server is shutting down", "", "shutting_down", 5);
  }
};

SequenceRequest Api::sequence_of(ApiRequest& request, bool chat) const {
  SequenceRequest sequence;
  sequence.adapter = models_.adapter_of(request.model);
  if (chat) {
    const ChatTemplate* const chat_template = models_.chat_template();
    if (chat_template == nullptr) {
      throw ApiError(400, "the model has no chat template, so it was not made to chat; use /v1/completions", "model");
    }
    sequence.prompt = encode_prompt(request.messages, *chat_template, models_.tokenizer());
    sequence.stop_tokens = models_.stops();
  } else {
    const Tokenizer& tokenizer = models_.tokenizer();
    sequence.prompt = request.prompt_tokens.empty() ? tokenizer.encode(request.prompt) : request.prompt_tokens;
    if (request.prompt_tokens.empty() && tokenizer.bos && tokenizer.add_bos) {
      sequence.prompt.insert(sequence.prompt.begin(), *tokenizer.bos);
    }
    if (tokenizer.eos) sequence.stop_tokens.push_back(*tokenizer.eos);
  }
  if (!request.has_seed) request.sampler.seed = std::random_device()();
  sequence.sampler = request.sampler;
  sequence.penalties = request.penalties;
  sequence.max_new_tokens = request.max_tokens.value_or(options_.default_max_tokens);
  sequence.top_logprobs = request.top_logprobs;
  return sequence;
}

HttpReply Api::complete(const HttpRequest& request, bool chat) {
  ApiRequest asked = chat ? parse_chat_request(request.body) : parse_completion_request(request.body);
  SequenceRequest sequence = sequence_of(asked, chat);
  const auto channel =
      std::make_shared<AnswerChannel>(Clock::now() + options_.answer_time, asked.stream || !asked.stop.empty());
  const auto answering = std::make_shared<Answering>(chat, asked, models_.tokenizer(), channel);
  answering->usage.prompt_tokens = std::ssize(sequence.prompt);
  answering->connected = request.connected;
  dispatcher_.submit(std::move(sequence), channel);
  // Until here, and until the first token, what goes wrong is an HTTP status.
  if (!answering->wait()) throw ApiError(499, "the client has left");
  if (const auto first = channel->first_token()) {
    metrics_.first_token.observe(std::chrono::duration<double>(*first - answering->begun).count());
  }
  metrics_.count_known(answering->usage.known_tokens);
  return asked.stream ? streamed_answer(answering) : whole_answer(answering);
}

HttpReply Api::whole_answer(const std::shared_ptr<Answering>& answering) {
  AnswerText::Piece answer;
  while (true) {
    AnswerText::Piece piece = answering->take();
    answer.text += piece.text;
    for (TokenChoice& choice : piece.tokens) answer.tokens.push_back(std::move(choice));
    if (answering->over()) break;
    if (!answering->wait()) throw ApiError(499, "the client has left");
  }
  const std::string reason = answering->finish_reason();
  if (reason.empty()) throw answering->failure();
  if (answering->channel->timed_out() && answering->usage.answer_tokens == 0 && reason != "stop") {
    throw ApiError(503, "the request waited too long for its turn", "", "timeout", 5);
  }
  metrics_.request.observe(seconds_since(answering->begun));
  HttpReply reply;
  reply.body = to_json_line(answering->reply.whole(answer, reason, answering->usage));
  return reply;
}

HttpReply Api::streamed_answer(const std::shared_ptr<Answering>& answering) {
  if (!answering->news.failure.empty()) throw answering->failure();
  HttpReply reply;
  reply.content_type = "text/event-stream";
  reply.stream = [this, answering, chat = answering->reply.is_chat()](const HttpReply::Write& write) {
    ApiReply& json = answering->reply;
    if (chat && !write(event(json.first_chunk()))) return;
    while (true) {
      const AnswerText::Piece piece = answering->take();
      if (!piece.empty() && !write(event(json.chunk(piece)))) return;
      if (answering->over()) break;
      if (!answering->wait()) return;
    }
    const std::string reason = answering->finish_reason();
    std::string end = reason.empty() ? "data: " + answering->failure().body() + "\n\n" : event(json.last_chunk(reason));
    if (answering->include_usage) end += event(json.usage_chunk(answering->usage));
    write(end + "data: [DONE]\n\n");
    metrics_.request.observe(seconds_since(answering->begun));
  };
  return reply;
}

}  // namespace attune
