// What comes back from a model: the endpoint's JSON, the JSON in the model's own words, the journal, the cost.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/error_of.h"
#include "base/file.h"
#include "http/scripted_server.h"
#include "synth/budget.h"
#include "synth/completion.h"
#include "synth/endpoint.h"
#include "synth/journal.h"
#include "synth/model_text.h"
#include "synth/prompts.h"

namespace attune {
namespace {

const ModelCall kCall{{{"user", "Hello there, model"}}, {}, 100, 0};
const char* const kCompletion =
    R"({"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":7,"completion_tokens":2}})";

TEST(Completion, IsRead) {
  const ModelReply reply = parse_completion(kCompletion, kCall, "e");
  EXPECT_EQ(reply.text, "Hi");
  EXPECT_EQ(reply.prompt_tokens, 7);
  EXPECT_EQ(reply.reply_tokens, 2);
  EXPECT_FALSE(reply.cut || reply.estimated);
  const ModelReply bare =
      parse_completion(R"({"choices":[{"message":{"content":null},"finish_reason":"length"}]})", kCall, "e");
  EXPECT_TRUE(bare.cut && bare.estimated);
  EXPECT_EQ(bare.prompt_tokens, (18 + 16 + 3) / 4);
}

TEST(Completion, RefusesOtherThings) {
  EXPECT_EQ(error_of([] { parse_completion("<html>", kCall, "e"); }), "[e] not valid JSON near byte 1");
  EXPECT_EQ(error_of([] { parse_completion("{}", kCall, "e"); }), "[e] has no \"choices\"");
  EXPECT_EQ(error_of([] { parse_completion(R"({"choices":[3]})", kCall, "e"); }), "[e] has no \"message\"");
  EXPECT_EQ(error_of([] {
              parse_completion(R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1}})", kCall, "e");
            }),
            "[e] key \"prompt_tokens\": got -1");
}

TEST(Completion, ErrorsBecomeOneLine) {
  EXPECT_EQ(completion_error(R"({"error":{"message":"no\nsuch model"}})"), "no such model");
  EXPECT_EQ(completion_error(R"({"detail":"Not Found"})"), "Not Found");
  EXPECT_EQ(completion_error("<html>"), "");
  EXPECT_EQ(without_secret("sk-1 and sk-1", "sk-1"), "[secret] and [secret]");
}

TEST(ModelText, FindsTheExchanges) {
  const std::vector<Exchange> expected = {{"Why?", "So."}};
  EXPECT_EQ(
      parse_exchanges("<think>[{\"question\":\"x\",\"answer\":\"y\"}]</think>Here [it] is:\n```json\n[{\"question\": "
                      "\" Why? \", \"answer\": \"So.\"}, {\"question\": \"\"}]\n```"),
      expected);
  EXPECT_EQ(parse_exchanges(R"({"pairs":[{"question":"Why?","answer":"So."}]})"), expected);
  EXPECT_EQ(parse_exchanges(R"({"question":"Why?","answer":"So."})"), expected);
  EXPECT_TRUE(parse_exchanges("I cannot do that. [").empty());
  EXPECT_TRUE(parse_exchanges(R"([{"question":"Why?","answer":"cut of)").empty());
}

TEST(ModelText, FindsTheScore) {
  EXPECT_EQ(parse_score("Well {\"score\": 7.5, \"reason\": \"ok\"}"), 7.5);
  EXPECT_EQ(parse_score("{\"score\": 11}"), std::nullopt);
  EXPECT_EQ(parse_score("seven"), std::nullopt);
}

class InFolder : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune_replies_test_{}", ::getpid());
};

using JournalFile = InFolder;

TEST_F(JournalFile, RemembersAfterReopening) {
  const std::string a = call_key("m", kCall, 0), b = call_key("m", kCall, 1);
  EXPECT_NE(a, b);
  {
    Journal journal(folder_ / "out" / "journal");
    EXPECT_FALSE(fs::exists(folder_ / "out"));  // until there is something
    journal.add(a, {"ő\n\"x\"", false, 10, 3, false});
    EXPECT_EQ(error_of([&] { Journal second(folder_ / "out" / "journal"); }),
              "[" + (folder_ / "out/journal").string() + "] another attune synth is writing it; wait for it to end");
  }
  Journal journal(folder_ / "out" / "journal");
  ASSERT_TRUE(journal.find(a));
  EXPECT_EQ(journal.find(a)->text, "ő\n\"x\"");
  EXPECT_FALSE(journal.find(b));
  EXPECT_EQ(journal.totals().prompt_tokens, 10);
}

TEST_F(JournalFile, DropsTheLineThatACrashCut) {
  const std::string line = journal_line(call_key("m", kCall, 0), {"x", true, 1, 1, true});
  write("journal", line + "\n" + line.substr(0, 30));
  Journal(folder_ / "journal").add(call_key("m", kCall, 1), {"y", false, 1, 1, false});
  EXPECT_EQ(Journal(folder_ / "journal").totals().calls, 2);
  EXPECT_EQ(Journal(folder_ / "journal").totals().estimated, 1);
}

TEST_F(JournalFile, NamesADamagedLine) {
  write("journal", "{\"key\":\"abc\"}\n");
  EXPECT_EQ(error_of([&] { Journal journal(folder_ / "journal"); }),
            "[" + (folder_ / "journal").string() + ":1] key \"key\": expected 64 digits");
}

using PromptFiles = InFolder;

TEST_F(PromptFiles, AreCheckedAndFilledOnce) {
  write("pairs.txt", "{{count}} about {{chunk}}");
  write("conversation.txt", "{{chunk}}");
  write("judge.txt", "{{chunk}} {{conversation}}");
  const Prompts prompts = load_prompts(folder_);
  EXPECT_EQ(prompts.version.size(), 12u);
  EXPECT_EQ(fill_prompt(prompts.pairs, {{"chunk", "{{count}}"}, {"count", "3"}}), "3 about {{count}}");
  write("pairs.txt", "{{chunk}} {{cont}}");
  EXPECT_EQ(error_of([&] { load_prompts(folder_); }),
            "[" + (folder_ / "pairs.txt").string() + "] {{cont}} means nothing here; did you mean count?");
  write("pairs.txt", "ask");
  EXPECT_EQ(error_of([&] { load_prompts(folder_); }),
            "[" + (folder_ / "pairs.txt").string() + "] expected {{chunk}} somewhere in the prompt");
}

TEST(Prompts, ThatAreBundledLoad) { load_prompts(fs::path(ATTUNE_SOURCE_DIR) / "assets/prompts"); }

TEST(BudgetOfCalls, StopsBeforeTheLimit) {
  Budget budget(1.0, 0.3);
  EXPECT_TRUE(budget.reserve(0.4));
  EXPECT_FALSE(budget.reserve(0.8));  // not even if the first cost nothing
  std::thread waiting([&] {
    EXPECT_TRUE(budget.reserve(0.6));  // once the first turned out cheap
    budget.settle(0.6, 0.5);
  });
  budget.settle(0.4, 0.05);
  waiting.join();
  EXPECT_DOUBLE_EQ(budget.spent(), 0.85);
  EXPECT_FALSE(budget.reserve(0.2));
}

EndpointOptions endpoint_options(const ScriptedServer& server) {
  EndpointOptions options;
  options.url = server.url("/v1/");
  options.model = "m";
  options.key = Secret("sk-planted");
  options.timeout_seconds = 5;
  options.retries = 2;
  return options;
}

TEST(EndpointCalls, SendWhatOpenAiExpects) {
  ScriptedServer server({{200, {}, kCompletion}});
  EXPECT_EQ(Endpoint(endpoint_options(server)).reply(kCall).text, "Hi");
  const SeenRequest seen = server.seen().at(0);
  EXPECT_EQ(seen.target, "/v1/chat/completions");
  EXPECT_NE(seen.head.find("Authorization: Bearer sk-planted"), std::string::npos);
  EXPECT_EQ(
      seen.body,
      R"({"model":"m","messages":[{"role":"user","content":"Hello there, model"}],"stream":false,"max_tokens":100})");
}

TEST(EndpointCalls, WaitAsLongAsTheServerAsks) {
  ScriptedServer server({{429, {{"Retry-After", "1"}}, "{}"}, {200, {}, "no json"}, {200, {}, kCompletion}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Endpoint(endpoint_options(server)).reply(kCall).text, "Hi");
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  EXPECT_EQ(server.seen().size(), 3u);
}

TEST(EndpointCalls, LearnTheNewNameOfTheLength) {
  ScriptedServer server(
      {{400, {}, R"({"error":{"message":"Use 'max_completion_tokens' instead."}})"}, {200, {}, kCompletion}});
  EXPECT_EQ(Endpoint(endpoint_options(server)).reply(kCall).text, "Hi");
  EXPECT_NE(server.seen().at(1).body.find(R"("max_completion_tokens":100)"), std::string::npos);
}

TEST(EndpointCalls, NeverSayTheKey) {
  ScriptedServer server({{401, {}, R"({"error":{"message":"Incorrect API key sk-planted"}})"}});
  EXPECT_EQ(error_of([&] { Endpoint(endpoint_options(server)).reply(kCall); }),
            "[POST " + server.url("/v1/chat/completions") +
                "] the endpoint answered 401: Incorrect API key [secret]; check ATTUNE_API_KEY");
}

TEST(EndpointCalls, TellAFailureOfTheOptionsFromOneOfACall) {
  ScriptedServer server({{404, {}, R"({"error":"no such model"})"}, {400, {}, "{}"}});
  Endpoint endpoint(endpoint_options(server));
  const std::string post = "[POST " + server.url("/v1/chat/completions") + "] the endpoint answered ";
  EXPECT_EQ(error_of([&] { endpoint.reply(kCall); }), post + "404: no such model; check --endpoint and --model");
  EXPECT_THROW(endpoint.reply(kCall), CallFailed);
}

TEST(EndpointCalls, RefuseUrlsThatHoldSecrets) {
  EndpointOptions options;
  options.url = "https://me:pass@host/v1?key=x";
  EXPECT_EQ(error_of([&] { Endpoint endpoint(options); }),
            "[--endpoint] expected a URL such as http://localhost:8080/v1, without user, query or fragment, got "
            "https://host/v1");
}

}  // namespace
}  // namespace attune
