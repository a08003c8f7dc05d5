#include "serve/api_reply.h"

#include <fmt/format.h>

#include <ctime>
#include <random>

#include "base/utf8.h"

namespace attune {
namespace {

std::string random_id(const char* prefix) {
  std::random_device device;
  return fmt::format("{}-{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

Json usage_json(const AnswerUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.answer_tokens},
          {"total_tokens", usage.prompt_tokens + usage.answer_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.known_tokens}}}};
}

Json bytes_of(const std::string& text) {
  Json bytes = Json::array();
  for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
  return bytes;
}

}  // namespace

ApiReply::ApiReply(bool chat, std::string model, const Tokenizer& tokenizer, bool logprobs)
    : chat_(chat),
      logprobs_(logprobs),
      model_(std::move(model)),
      id_(random_id(chat ? "chatcmpl" : "cmpl")),
      created_(std::time(nullptr)),
      tokenizer_(tokenizer) {}

Json ApiReply::envelope(const char* object) const {
  return {{"id", id_},
          {"object", object},
          {"created", created_},
          {"model", model_},
          {"system_fingerprint", "attune-" ATTUNE_VERSION}};
}

Json ApiReply::with_choice(Json choice) const {
  Json json = envelope(chat_ ? "chat.completion.chunk" : "text_completion");
  json["choices"] = Json::array({std::move(choice)});
  return json;
}

std::string ApiReply::text_of(TokenId token) const { return to_valid_utf8(tokenizer_.token_bytes(token)); }

Json ApiReply::logprobs_of(const AnswerText::Piece& piece, std::size_t offset) const {
  if (!logprobs_) return {};
  if (chat_) {
    const auto entry = [&](TokenId token, float logprob) -> Json {
      return {{"token", text_of(token)}, {"logprob", logprob}, {"bytes", bytes_of(tokenizer_.token_bytes(token))}};
    };
    Json content = Json::array();
    for (const TokenChoice& choice : piece.tokens) {
      Json json = entry(choice.token, choice.logprob);
      json["top_logprobs"] = Json::array();
      for (const auto& likely : choice.top) json["top_logprobs"].push_back(entry(likely.token, likely.logprob));
      content.push_back(std::move(json));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const TokenChoice& choice : piece.tokens) {
    json["tokens"].push_back(text_of(choice.token));
    json["token_logprobs"].push_back(choice.logprob);
    Json top = Json::object();
    for (const auto& likely : choice.top) top[text_of(likely.token)] = likely.logprob;
    json["top_logprobs"].push_back(std::move(top));
    json["text_offset"].push_back(offset);
    offset += tokenizer_.token_bytes(choice.token).size();
  }
  return json;
}

Json ApiReply::whole(const AnswerText::Piece& answer, const std::string& finish_reason,
                     const AnswerUsage& usage) const {
  Json choice = {{"index", 0}};
  if (chat_) {
    choice["message"] = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  } else {
    choice["text"] = answer.text;
  }
  choice["logprobs"] = logprobs_of(answer, 0);
  choice["finish_reason"] = finish_reason;
  Json json = envelope(chat_ ? "chat.completion" : "text_completion");
  json["choices"] = Json::array({std::move(choice)});
  json["usage"] = usage_json(usage);
  return json;
}

Json ApiReply::first_chunk() const {
  return with_choice({{"index", 0},
                      {"delta", {{"role", "assistant"}, {"content", ""}}},
                      {"logprobs", nullptr},
                      {"finish_reason", nullptr}});
}

Json ApiReply::chunk(const AnswerText::Piece& piece) {
  Json choice = {{"index", 0}};
  if (chat_) {
    choice["delta"] = {{"content", piece.text}};
  } else {
    choice["text"] = piece.text;
  }
  choice["logprobs"] = logprobs_of(piece, offset_);
  choice["finish_reason"] = nullptr;
  offset_ += piece.text.size();
  return with_choice(std::move(choice));
}

Json ApiReply::last_chunk(const std::string& finish_reason) const {
  Json choice = {{"index", 0}};
  if (chat_) {
    choice["delta"] = Json::object();
  } else {
    choice["text"] = "";
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish_reason;
  return with_choice(std::move(choice));
}

Json ApiReply::usage_chunk(const AnswerUsage& usage) const {
  Json json = envelope(chat_ ? "chat.completion.chunk" : "text_completion");
  json["choices"] = Json::array();
  json["usage"] = usage_json(usage);
  return json;
}

}  // namespace attune
