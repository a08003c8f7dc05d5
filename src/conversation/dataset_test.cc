#include "conversation/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"

namespace attune {
namespace {

using testing::ElementsAre;

class DatasetTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("dataset-{}-{}", testing::UnitTest::GetInstance()->current_test_info()->name(), ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view text) {
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }
  // The one-line message, with the file's own path written as FILE.
  std::string error_of(std::string_view text, const std::string& name = "data.jsonl") {
    const fs::path path = write(name, text);
    try {
      read_conversations(path);
    } catch (const UserError& error) {
      std::string message = error.what();
      const auto at = message.find(path.string());
      if (at != std::string::npos) message.replace(at, path.string().size(), "FILE");
      return message;
    }
    return "no error";
  }

  fs::path folder_;
};

TEST_F(DatasetTest, EveryFormGivesTheSameConversation) {
  const Conversation expected{{{"system", "Be brief."}, {"user", "Szia!"}, {"assistant", "Szia, őszi szél."}}};
  const std::vector<std::pair<std::string, std::string>> files = {
      {"messages.jsonl", R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Szia!"},)"
                         R"({"role":"assistant","content":"Szia, őszi szél."}],"id":7})"},
      {"parts.jsonl", R"({"messages":[{"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text",)"
                      R"("text":"brief."}]},{"role":"user","content":"Szia!"},{"role":"assistant","content":)"
                      R"("Szia, őszi szél.","name":"a"}]})"},
      {"sharegpt.json", R"([{"conversations":[{"from":"system","value":"Be brief."},{"from":"human","value":"Szia!"},)"
                        R"({"from":"gpt","value":"Szia, őszi szél."}]}])"},
      {"sharegpt2.jsonl", R"({"system":"Be brief.","conversations":[{"from":"human","value":"Szia!"},)"
                          R"({"from":"gpt","value":"Szia, őszi szél."}]})"},
      {"alpaca.json", R"([{"instruction":"Szia!","input":"","output":"Szia, őszi szél.","system":"Be brief."}])"},
      {"prompt.jsonl", R"({"prompt":[{"role":"system","content":"Be brief."},{"role":"user","content":"Szia!"}],)"
                       R"("completion":[{"role":"assistant","content":"Szia, őszi szél."}]})"},
  };
  std::string digest;
  for (const auto& [name, text] : files) {
    SCOPED_TRACE(name);
    const auto rows = read_conversations(write(name, text));
    EXPECT_THAT(rows, ElementsAre(expected));
    if (digest.empty()) digest = dataset_digest(rows);
    EXPECT_EQ(dataset_digest(rows), digest);
  }
  EXPECT_EQ(digest, sha256_hex(R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":)"
                               R"("Szia!"},{"role":"assistant","content":"Szia, őszi szél."}]})"
                               "\n"));
}

TEST_F(DatasetTest, AlpacaInputAndHistory) {
  const auto rows = read_conversations(
      write("a.json", R"([{"instruction":"Add.","input":"1 2","output":"3","history":[["Hi","Hello"]]}])"));
  EXPECT_THAT(rows[0].messages, ElementsAre(Message{"user", "Hi"}, Message{"assistant", "Hello"},
                                            Message{"user", "Add.\n\n1 2"}, Message{"assistant", "3"}));
}

TEST_F(DatasetTest, PromptAndCompletionStrings) {
  const auto rows = read_conversations(write("p.jsonl", "\xEF\xBB\xBF{\"prompt\":\"a\",\"completion\":\"b\"}\r\n\r\n"));
  EXPECT_THAT(rows[0].messages, ElementsAre(Message{"user", "a"}, Message{"assistant", "b"}));
}

TEST_F(DatasetTest, FolderWithTrainAndValid) {
  write("train.jsonl", R"({"prompt":"a","completion":"b"})");
  write("valid.jsonl", R"({"prompt":"c","completion":"d"})");
  write("ledger.json", R"({"lines":1})");
  const Dataset dataset = read_dataset(folder_);
  ASSERT_EQ(dataset.train.size(), 1u);
  EXPECT_EQ(dataset.train[0].messages[0].content, "a");
  ASSERT_EQ(dataset.valid.size(), 1u);
  EXPECT_EQ(dataset.valid[0].messages[0].content, "c");
}

TEST_F(DatasetTest, FolderOfOtherFilesInNameOrder) {
  write("b.jsonl", R"({"prompt":"2","completion":"x"})");
  write("a.json", R"([{"prompt":"1","completion":"x"}])");
  write("test.jsonl", R"({"prompt":"3","completion":"x"})");
  write("ledger.json", R"({"lines":1})");
  const Dataset dataset = read_dataset(folder_);
  ASSERT_EQ(dataset.train.size(), 2u);
  EXPECT_EQ(dataset.train[0].messages[0].content, "1");
  EXPECT_EQ(dataset.train[1].messages[0].content, "2");
  EXPECT_EQ(dataset.valid.size(), 1u);
}

TEST_F(DatasetTest, ErrorsNameTheLine) {
  EXPECT_EQ(error_of("{\"prompt\":\"a\",\"completion\":\"b\"}\n\n{\"prompt\":\"a\"}\n"),
            "[FILE:3] key \"completion\" is missing");
  EXPECT_EQ(error_of(R"({"mesages":[]})"),
            "[FILE:1] expected \"messages\", \"conversations\", \"instruction\" and \"output\", or \"prompt\" and "
            "\"completion\", got \"mesages\"; did you mean messages?");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"asistant","content":"x"}]})"),
            "[FILE:1: message 1] expected the role system, user, assistant or tool, got \"asistant\"; did you mean "
            "assistant?");
  EXPECT_EQ(error_of(R"({"conversations":[{"from":"humen","value":"x"}]})"),
            "[FILE:1: message 1] expected \"from\" to be human, gpt, system or tool, got \"humen\"; did you "
            "mean human?");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":" \n"}]})"),
            "[FILE:1: message 2] the content is empty");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"assistant","content":"x"}]})"),
            "[FILE:1: message 1] expected the user to speak first, got role \"assistant\"");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]})"),
            "[FILE:1: message 2] two user messages in a row; join them into one");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":"x"},{"role":"system","content":"y"}]})"),
            "[FILE:1: message 2] a system message must be the first one");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":7}]})"),
            "[FILE:1: message 1] key \"content\": expected a string or a list of text parts, got number");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"),
            "[FILE:1: message 1] expected text parts only, got a part of type \"image_url\"");
  EXPECT_EQ(
      error_of(R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[1]}]})"),
      "[FILE:1: message 2] key \"tool_calls\" is not supported; remove it or the row");
  EXPECT_EQ(error_of(R"({"messages":[]})"), "[FILE:1] the conversation has no message");
  EXPECT_EQ(error_of(R"({"messages":3})"), "[FILE:1] key \"messages\": expected a list, got number");
  EXPECT_EQ(error_of(R"({"text":"x"})"),
            "[FILE:1] a row of plain \"text\" has no speakers to tell apart; use \"messages\", or `attune "
            "pretrain`");
  EXPECT_EQ(error_of("{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\",\"compl"),
            "[FILE:2] not valid JSON near byte 21");
  EXPECT_EQ(error_of("[{\"prompt\":\"a\",\"completion\":\"b\"},{\"prompt\":\"a\"}]"),
            "[FILE: row 2] key \"completion\" is missing");
  EXPECT_EQ(error_of("[]"), "[FILE] the file has no row");
  EXPECT_EQ(error_of(" \n"), "[FILE] the file is empty; expected JSON lines");
  EXPECT_EQ(error_of("3\n"), "[FILE:1] expected a JSON object, got number");
}

TEST_F(DatasetTest, FolderErrors) {
  try {
    read_dataset(folder_);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()), fmt::format("[{}] expected train.jsonl or other .jsonl or .json files in the "
                                                     "folder, found none",
                                                     folder_.string()));
  }
  try {
    read_dataset(folder_ / "missing.jsonl");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()),
              fmt::format("[{}] no such file; check the path", (folder_ / "missing.jsonl").string()));
  }
}

TEST(ConversationTest, BothWritersOfALineAgree) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);  // broken UTF-8 included
  for (const std::string& text : {std::string(), std::string("ő \"\\/ \u007F"), every, std::string("\xC3")}) {
    const Conversation conversation{{{"user", text}, {"assistant", "b"}}};
    EXPECT_EQ(to_json_line(conversation), to_json_line(to_json(conversation)));
  }
  EXPECT_EQ(to_json_line(Conversation{}), to_json_line(to_json(Conversation{})));
}

TEST(ConversationTest, JsonRoundTrip) {
  const Conversation conversation{{{"user", "a\n\"b\""}, {"assistant", "ő 👩‍👩‍👧"}}};
  EXPECT_EQ(conversation_from_json(to_json(conversation), "test"), conversation);
  EXPECT_EQ(to_json_line(to_json(conversation)),
            "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\n\\\"b\\\"\"},{\"role\":\"assistant\",\"content\":"
            "\"ő 👩‍👩‍👧\"}]}");
}

}  // namespace
}  // namespace attune
