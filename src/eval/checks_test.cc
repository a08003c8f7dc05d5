// eval/: the user's questions, right and wrong.
#include "eval/checks.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace attune {
namespace {

Check one_check(const std::string& line) { return parse_checks(line, "c.jsonl").at(0); }

bool right(const std::string& expect, const std::string& answer) {
  return is_right(one_check(R"({"prompt":"q","expect":)" + expect + "}"), answer);
}

TEST(Checks, BothFormsOfQuestions) {
  const auto checks = parse_checks(
      "{\"prompt\":\"2 + 2 =\",\"expect\":{\"equals\":\"4\"},\"id\":7}\n\n"
      "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"}],"
      "\"expect\":{\"regex\":\"^a\"}}\r\n",
      "c.jsonl");
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(checks[0].messages, (std::vector<Message>{{"user", "2 + 2 ="}}));
  EXPECT_EQ(checks[1].messages, (std::vector<Message>{{"system", "s"}, {"user", "u"}}));
  EXPECT_EQ(checks[1].where, "c.jsonl:3");
  EXPECT_EQ(checks[1].kind, Check::Kind::kRegex);
}

TEST(Checks, Equals) {
  EXPECT_TRUE(right(R"({"equals":"four"})", " four\n"));
  EXPECT_FALSE(right(R"({"equals":"four"})", "Four"));
  EXPECT_TRUE(right(R"({"equals":["4","four"]})", "four"));
  EXPECT_FALSE(right(R"({"equals":["4","four"]})", "4 four"));
}

TEST(Checks, Contains) {
  EXPECT_TRUE(right(R"({"contains":"matey"})", "arr, matey!"));
  EXPECT_TRUE(right(R"({"contains":["arr","matey"]})", "arr, matey!"));
  EXPECT_FALSE(right(R"({"contains":["arr","aye"]})", "arr, matey!"));
}

TEST(Checks, Regex) {
  EXPECT_TRUE(right(R"({"regex":"^\\d+$"})", "so\n42\n"));
  EXPECT_FALSE(right(R"({"regex":"^\\d+$"})", "42 or so"));
  EXPECT_FALSE(right(R"({"regex":".*"})", ""));
}

TEST(Checks, Choices) {
  const Check by_text = one_check(R"({"prompt":"q","expect":{"choices":["a","b"],"answer":"b"}})");
  EXPECT_EQ(by_text.right, 1u);
  EXPECT_EQ(by_text.texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(one_check(R"({"prompt":"q","expect":{"choices":["a","b"],"answer":0}})").right, 0u);
}

struct Mistake {
  const char* row;
  const char* message;
};
class ChecksMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(ChecksMistakes, OneLine) {
  const std::string good = "{\"prompt\":\"q\",\"expect\":{\"equals\":\"a\"}}\n";
  try {
    parse_checks(good + GetParam().row, "c.jsonl");
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ChecksMistakes,
    testing::Values(
        Mistake{"[1]", "[c.jsonl:2] expected a JSON object, got array"},
        Mistake{"{", "[c.jsonl:2] not valid JSON near byte 2"},
        Mistake{R"({"expect":{"equals":"a"}})", "[c.jsonl:2] expected \"prompt\" or \"messages\", one of them"},
        Mistake{R"({"prompt":7,"expect":{"equals":"a"}})",
                "[c.jsonl:2] key \"prompt\": expected a string, got an integer"},
        Mistake{R"({"prompt":" ","expect":{"equals":"a"}})", "[c.jsonl:2: message 1] the content is empty"},
        Mistake{
            R"({"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}],"expect":{"equals":"a"}})",
            "[c.jsonl:2] the last message must be the user's, which the model is to answer; got the role assistant"},
        Mistake{R"({"prompt":"q"})", "[c.jsonl:2] key \"expect\" is missing"},
        Mistake{R"({"prompt":"q","expect":"a"})", "[c.jsonl:2] key \"expect\": expected an object, got string"},
        Mistake{R"({"prompt":"q","expect":{}})",
                "[c.jsonl:2] expected one of equals, contains, regex and choices in \"expect\", got none"},
        Mistake{R"({"prompt":"q","expect":{"equals":"a","regex":"a"}})",
                "[c.jsonl:2] expected one of equals, contains, regex and choices in \"expect\", got equals and regex"},
        Mistake{R"({"prompt":"q","expect":{"equal":"a"}})",
                "[c.jsonl:2] unknown key \"equal\" in \"expect\"; did you mean equals?"},
        Mistake{R"({"prompt":"q","expect":{"equals":"a","answer":"a"}})",
                "[c.jsonl:2] \"answer\" belongs to \"choices\", not to \"equals\""},
        Mistake{R"({"prompt":"q","expect":{"equals":[]}})", "[c.jsonl:2] key \"equals\": the list is empty"},
        Mistake{R"({"prompt":"q","expect":{"contains":["a",""]}})", "[c.jsonl:2] key \"contains\": a text is empty"},
        Mistake{R"({"prompt":"q","expect":{"contains":[1]}})",
                "[c.jsonl:2] key \"contains\": expected a string or a list of strings, got number"},
        Mistake{R"({"prompt":"q","expect":{"regex":"("}})",
                "[c.jsonl:2] pattern \"(\" is not supported: missing closing parenthesis"},
        Mistake{R"({"prompt":"q","expect":{"choices":["a"],"answer":0}})",
                "[c.jsonl:2] expected two choices or more, got 1"},
        Mistake{R"({"prompt":"q","expect":{"choices":["a","b"]}})",
                "[c.jsonl:2] \"choices\" needs \"answer\", one of them or its index"},
        Mistake{R"({"prompt":"q","expect":{"choices":["a","b"],"answer":"c"}})",
                "[c.jsonl:2] the answer \"c\" is none of the choices"},
        Mistake{R"({"prompt":"q","expect":{"choices":["a","b"],"answer":2}})",
                "[c.jsonl:2] key \"answer\": expected an index from 0 to 1, got 2"}));

TEST(Checks, AnEmptyFile) { EXPECT_THROW(parse_checks("\n \n", "c.jsonl"), BadFile); }

}  // namespace
}  // namespace attune
