// The parts of the server that need no socket: what a request may ask for, stop strings, and the text of an answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "serve/api_error.h"
#include "serve/api_request.h"
#include "serve/metrics.h"
#include "serve/stop_text.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kMessages = R"("model": "m", "messages": [{"role": "user", "content": "hi"}])";

ApiRequest chat(const std::string& more) {
  return parse_chat_request("{" + std::string(kMessages) + (more.empty() ? "" : ", " + more) + "}");
}

// "param: message" of the refusal.
std::string refusal(const std::string& body, bool of_chat = true) {
  try {
    of_chat ? parse_chat_request(body) : parse_completion_request(body);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    return error.param + ": " + error.what();
  }
  return "accepted";
}

std::string refusal_of(const std::string& more) { return refusal("{" + std::string(kMessages) + ", " + more + "}"); }

TEST(ApiRequest, HasOpenAisDefaults) {
  const ApiRequest request = chat("");
  EXPECT_EQ(request.model, "m");
  EXPECT_THAT(request.messages, ElementsAre(Message{"user", "hi"}));
  EXPECT_EQ(request.sampler.temperature, 1.0);
  EXPECT_EQ(request.sampler.top_p, 1.0);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.has_seed);
  EXPECT_FALSE(request.max_tokens);
  EXPECT_FALSE(request.top_logprobs);
}

TEST(ApiRequest, TakesEveryParameter) {
  const ApiRequest request = chat(R"("stream": true, "stream_options": {"include_usage": true}, "max_tokens": 5,
      "max_completion_tokens": 7, "temperature": 0, "top_p": 0.5, "top_k": 4, "min_p": 0.1, "seed": -3,
      "frequency_penalty": 1, "presence_penalty": -1, "stop": ["a", "b"], "logprobs": true, "top_logprobs": 3,
      "n": 1, "tools": [], "logit_bias": {}, "response_format": {"type": "text"}, "user": "x", "store": false)");
  EXPECT_TRUE(request.stream && request.include_usage && request.has_seed);
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.sampler.temperature, 0);
  EXPECT_EQ(request.sampler.top_k, 4);
  EXPECT_EQ(request.sampler.seed, static_cast<std::uint64_t>(-3));
  EXPECT_EQ(request.penalties.presence, -1);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.top_logprobs, 3);
}

TEST(ApiRequest, JoinsPartsOfAMessage) {
  const ApiRequest request = parse_chat_request(R"({"model": "m", "messages": [
      {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "user", "content": "c", "name": "ignored"}]})");
  EXPECT_THAT(request.messages, ElementsAre(Message{"system", "ab"}, Message{"user", "c"}));
}

TEST(ApiRequest, NamesWhatItRefuses) {
  EXPECT_THAT(refusal(""), HasSubstr("no JSON that can be read"));
  EXPECT_THAT(refusal("\xFF\xFE"), HasSubstr("no JSON that can be read"));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("nested deeper than 256"));
  EXPECT_EQ(refusal("[]"), ": the body of the request must be a JSON object");
  EXPECT_EQ(refusal("{}"), "model: you must provide the parameter 'model'");
  EXPECT_EQ(refusal(R"({"model": "m"})"), "messages: 'messages' must be a list of at least one message");
  EXPECT_EQ(refusal(R"({"model": "m", "messages": [{"role": "tool", "content": "x"}]})"),
            "messages[0]: 'messages[0].role' must be system, developer, user or assistant");
  EXPECT_EQ(refusal(R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]})"),
            R"(messages[0]: 'messages[0].content' may have parts {"type": "text", "text": "..."} only)");
  EXPECT_EQ(refusal_of(R"("temperature": 3)"), "temperature: 'temperature' must be between 0 and 2, got 3");
  EXPECT_EQ(refusal_of(R"("temperature": "hot")"), "temperature: 'temperature' must be a number");
  EXPECT_EQ(refusal_of(R"("max_tokens": 0)"), "max_tokens: 'max_tokens' must be between 1 and 2147483647");
  EXPECT_EQ(refusal_of(R"("max_tokens": 18446744073709551615)"),
            "max_tokens: 'max_tokens' must be between 1 and 2147483647");
  EXPECT_EQ(refusal_of(R"("n": 2)"), "n: 'n' other than 1 is not supported");
  EXPECT_EQ(refusal_of(R"("tools": [{}])"), "tools: 'tools' is not supported");
  EXPECT_EQ(refusal_of(R"("response_format": {"type": "json_object"})"),
            R"(response_format: only the response format {"type": "text"} is supported)");
  EXPECT_EQ(refusal_of(R"("stop": "")"),
            "stop: 'stop' must be a string or a list of at most 16 strings, of 1 to 1024 bytes each");
  EXPECT_EQ(refusal_of(R"("top_logprobs": 2)"),
            R"(top_logprobs: 'top_logprobs' is allowed with "logprobs": true only)");
  EXPECT_EQ(refusal_of(R"("stream_options": {})"),
            R"(stream_options: 'stream_options' is allowed with "stream": true only)");
}

TEST(ApiRequest, ACompletionTakesTextOrTokens) {
  EXPECT_EQ(parse_completion_request(R"({"model": "m", "prompt": "x"})").prompt, "x");
  EXPECT_EQ(parse_completion_request(R"({"model": "m", "prompt": ["x"]})").prompt, "x");
  EXPECT_THAT(parse_completion_request(R"({"model": "m", "prompt": [1, 2], "logprobs": 2})").prompt_tokens,
              ElementsAre(1, 2));
  EXPECT_EQ(refusal(R"({"model": "m"})", false), "prompt: 'prompt' must be a string or a list of tokens");
  EXPECT_THAT(refusal(R"({"model": "m", "prompt": ["x", "y"]})", false),
              HasSubstr("several prompts are not supported"));
  EXPECT_THAT(refusal(R"({"model": "m", "prompt": [-1]})", false), HasSubstr("must be one string"));
}

TEST(StopText, HoldsBackWhatMayBecomeAStop) {
  StopText text({"###", "End"});
  EXPECT_EQ(text.push("one #"), "one ");
  EXPECT_EQ(text.push("# two #"), "## two ");
  EXPECT_EQ(text.push("#"), "");
  EXPECT_EQ(text.push("# three"), "");
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(text.push("more"), "");
  EXPECT_EQ(text.finish(), "");
}

TEST(StopText, TheEarliestStopCounts) {
  StopText text({"lazy dog", "fox"});
  EXPECT_EQ(text.push("the quick fox and the lazy dog"), "the quick ");
  StopText unfinished({"stop"});
  EXPECT_EQ(unfinished.push("do not sto"), "do not ");
  EXPECT_EQ(unfinished.finish(), "sto");
  EXPECT_FALSE(unfinished.stopped());
}

TEST(ApiError, HasOpenAisShape) {
  const ApiError error(404, "there is no \"x\"", "model", "model_not_found");
  EXPECT_EQ(error.body(), R"({"error":{"message":"there is no \"x\"","type":"not_found_error","param":"model",)"
                          R"("code":"model_not_found"}})");
}

TEST(Metrics, AreWhatPrometheusReads) {
  Metrics metrics;
  metrics.count_request("/v1/models", 200);
  metrics.count_request("/v1/models", 200);
  metrics.request.observe(0.3);
  metrics.request.observe(1000);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("attune_requests_total{endpoint=\"/v1/models\",status=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("attune_request_seconds_bucket{le=\"0.25\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("attune_request_seconds_bucket{le=\"0.5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("attune_request_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE attune_queue_length gauge\nattune_queue_length 0\n"));
}

}  // namespace
}  // namespace attune
