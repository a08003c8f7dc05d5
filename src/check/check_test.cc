// The checks against conversations that are wrong on purpose, the numbers against hand-made ones, and the views.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "check/data_check.h"
#include "check/language.h"
#include "check/report.h"

namespace attune {
namespace {

using testing::HasSubstr;
using testing::Not;

const fs::path kModel = fs::path(ATTUNE_SOURCE_DIR) / "assets" / "tiny";

TEST(LengthSummary, PercentilesAreNearestRanks) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 100; i >= 1; --i) lengths.push_back(i);
  const LengthSummary s = summarize_lengths(lengths);
  EXPECT_EQ(s.median, 50);
  EXPECT_EQ(s.p90, 90);
  EXPECT_EQ(s.p99, 99);
  EXPECT_EQ(s.shortest, 1);
  EXPECT_EQ(s.longest, 100);
  EXPECT_DOUBLE_EQ(s.mean, 50.5);
  EXPECT_EQ(s.tokens, 5050);
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < s.histogram.size(); ++i) {
    rows += s.histogram[i].rows;
    if (i > 0) {
      EXPECT_EQ(s.histogram[i].first, s.histogram[i - 1].last + 1);
    }
  }
  EXPECT_EQ(rows, 100u);
  EXPECT_LE(s.histogram.size(), 21u);
  EXPECT_EQ(suggested_max_length(s), 128);
  EXPECT_EQ(summarize_lengths({}).rows, 0u);
}

TEST(LengthSummary, AFewLongRowsAreLeftToTheLastBar) {
  std::vector<std::int64_t> lengths(999, 100);
  lengths.push_back(50000);
  const LengthSummary s = summarize_lengths(lengths);
  EXPECT_EQ(s.histogram.back().last, 50000);
  EXPECT_LE(s.histogram.size(), 22u);
  EXPECT_EQ(suggested_max_length(s), 128);
}

TEST(Language, IsGuessed) {
  EXPECT_EQ(guess_language("I think that we should go to the park and have a walk with you"), "English");
  EXPECT_EQ(guess_language("Azt hiszem, hogy ez már nem is olyan jó, de még meg lehet csinálni"), "Hungarian");
  EXPECT_EQ(guess_language("Ich weiß nicht, ob das eine gute Idee ist, aber wir können es versuchen"), "German");
  EXPECT_EQ(guess_language("Je ne sais pas si c'est une bonne idée, mais nous pouvons essayer avec vous"), "French");
  EXPECT_EQ(guess_language("Я не знаю, как это сделать, но мы попробуем"), "Russian");
  EXPECT_EQ(guess_language("私はそう思います"), "Japanese");
  EXPECT_EQ(guess_language("我不知道"), "Chinese");
  EXPECT_EQ(guess_language("잘 모르겠어요"), "Korean");
  EXPECT_EQ(guess_language("Δεν ξέρω"), "Greek");
  for (const char* text : {"", "ok", "12345 😂", "xyzzy plugh"}) EXPECT_EQ(guess_language(text), "other") << text;
}

class DataCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("data-check-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string row(std::initializer_list<Message> messages) {
    return to_json_line(to_json(Conversation{messages})) + "\n";
  }
  DataCheck check(const std::string& train, const std::string& valid = "", std::int64_t max_length = 1024) {
    write_file_atomic(folder_ / "train.jsonl", train);
    if (!valid.empty()) write_file_atomic(folder_ / "valid.jsonl", valid);
    return check_data(paths(), template_, *tokenizer_, {max_length, {}});
  }
  std::vector<std::string> paths() const { return {folder_.string()}; }
  static const ProblemCounts::Count& of(const DataCheck& check, Problem problem) {
    return check.problems.of[static_cast<std::size_t>(problem)];
  }

  fs::path folder_;
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(kModel);
  ChatTemplate template_ = load_chat_template(kModel);
};

TEST_F(DataCheckTest, BadRowsAreListedWithTheirLinesAndTheOthersCounted) {
  const DataCheck result = check(row({{"user", "What is it?"}, {"assistant", "arr, a ship"}}) + "{broken\n" +
                                 row({{"assistant", "I speak first"}}) + row({{"user", "hm"}, {"assistant", " "}}) +
                                 row({{"user", "a"}, {"user", "b"}}));
  EXPECT_EQ(result.train, 5u);
  EXPECT_EQ(result.lengths.rows, 1u);
  const auto& bad = of(result, Problem::kBadRow);
  ASSERT_EQ(bad.rows, 4u);
  EXPECT_THAT(bad.first[0], HasSubstr("train.jsonl:2"));
  EXPECT_THAT(bad.first[1], HasSubstr("train.jsonl:3: message 1] expected the user to speak first"));
  EXPECT_THAT(bad.first[2], HasSubstr("train.jsonl:4: message 2] the content is empty"));
  EXPECT_THAT(bad.first[3], HasSubstr("train.jsonl:5: message 2] two user messages in a row"));
  EXPECT_EQ(result.problems.errors(), 4u);
  EXPECT_EQ(problem_counts_from_json(to_json(result.problems)).errors(), 4u);
}

TEST_F(DataCheckTest, CountsWhatIsTrainedAndCut) {
  const std::string rows = row({{"user", "What is it?"}, {"assistant", "arr, a ship it be, and a fine one"}}) +
                           row({{"user", "Go on."}, {"assistant", "no"}, {"user", "hm"}});
  const DataCheck whole = check(rows);
  EXPECT_EQ(whole.tokens, whole.lengths.tokens);
  EXPECT_GT(whole.trained_tokens, 0);
  EXPECT_LT(whole.trained_tokens, whole.tokens);
  EXPECT_EQ(of(whole, Problem::kCut).rows, 0u);
  EXPECT_EQ(of(whole, Problem::kUnanswered).rows, 1u);
  const std::int64_t limit = whole.lengths.longest - 3;
  const DataCheck cut = check(rows, "", limit);
  EXPECT_EQ(of(cut, Problem::kCut).rows, 1u);
  EXPECT_EQ(of(cut, Problem::kCutStop).rows, 1u);
  EXPECT_EQ(cut.cut_tokens, 3);
  EXPECT_EQ(cut.tokens + cut.cut_tokens, whole.tokens);
  EXPECT_EQ(cut.trained_tokens + cut.cut_trained_tokens, whole.trained_tokens);
}

TEST_F(DataCheckTest, RepetitionsAndLeaks) {
  const std::string story = "arr, we sailed along the coast until the old harbour, and there we drank a barrel of rum";
  const DataCheck result = check(row({{"user", "What did ye do?"}, {"assistant", story}}) +
                                     row({{"user", "what did ye do"}, {"assistant", story + "!"}}) +
                                     row({{"user", "And then?"}, {"assistant", "nothing at all, matey"}}),
                                 row({{"user", "What did ye do?"}, {"assistant", story}}));
  EXPECT_EQ(of(result, Problem::kRepeated).rows, 1u);
  EXPECT_EQ(of(result, Problem::kLeak).rows, 1u);
  EXPECT_THAT(of(result, Problem::kLeak).first[0], HasSubstr("valid.jsonl:1"));
}

TEST_F(DataCheckTest, SpecialTokensTypedInAMessage) {
  const DataCheck result = check(row({{"user", "what is <|end|> good for?"}, {"assistant", "arr"}}));
  EXPECT_EQ(of(result, Problem::kSpecialInText).rows, 1u);
}

TEST_F(DataCheckTest, DoubleBosAndAnEndThatIsNotTrained) {
  write_file_atomic(folder_ / "train.jsonl", row({{"user", "a"}, {"assistant", "b"}}));
  ASSERT_TRUE(tokenizer_->bos);
  const std::string bos = tokenizer_->decode({*tokenizer_->bos}, false);
  const ChatTemplate doubled(
      "{{ bos_token }}{{ bos_token }}{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}"
      "{% if add_generation_prompt %}<|user|>{% endif %}",
      bos, "");
  EXPECT_EQ(of(check_data(paths(), doubled, *tokenizer_, {}), Problem::kDoubleBos).rows, 1u);
  const ChatTemplate endless(
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant: {% endif %}",
      bos, "");
  const DataCheck result = check_data(paths(), endless, *tokenizer_, {});
  EXPECT_EQ(of(result, Problem::kUntrainedStop).rows, 1u);
  EXPECT_THROW(refuse_errors(result.problems, "data"), UserError);
}

TEST_F(DataCheckTest, FindsARow) {
  check(row({{"user", "a"}, {"assistant", "b"}}) + "{broken\n", row({{"user", "c"}, {"assistant", "d"}}));
  EXPECT_EQ(find_row(paths(), 1).conversation.messages[0].content, "a");
  EXPECT_EQ(find_row(paths(), 3).conversation.messages[0].content, "c");
  EXPECT_THROW(find_row(paths(), 2), BadFile);
  EXPECT_THROW(find_row(paths(), 4), UserError);
  EXPECT_THROW(find_row(paths(), 0), UserError);
}

TEST_F(DataCheckTest, Views) {
  const Conversation talk{{{"user", "Szia, őszintén <b>😂"}, {"assistant", "arr, 🏴‍☠️ be here"}}};
  const EncodedConversation encoded = encode_conversation(talk, template_, *tokenizer_);
  const auto tokens = view_tokens(encoded, *tokenizer_, static_cast<std::int64_t>(encoded.tokens.size()) - 1);
  std::size_t ids = 0;
  std::string all;
  for (const ViewedToken& token : tokens) {
    ids += token.ids.size();
    all += token.text;
  }
  EXPECT_EQ(ids, encoded.tokens.size());
  EXPECT_THAT(all, HasSubstr("őszintén"));
  EXPECT_THAT(all, HasSubstr("🏴‍☠️"));
  EXPECT_EQ(tokens.back().fate, TokenFate::kCut);
  const std::string plain = mask_text(tokens, false), colored = mask_text(tokens, true), html = mask_html(tokens);
  EXPECT_THAT(plain, HasSubstr("«"));
  EXPECT_THAT(plain, HasSubstr("{cut: "));
  EXPECT_THAT(plain, Not(HasSubstr("\033")));
  EXPECT_THAT(colored, HasSubstr("\033[32m"));
  EXPECT_THAT(html, HasSubstr("&lt;"));
  EXPECT_THAT(html, Not(HasSubstr("<b>")));
}

TEST_F(DataCheckTest, ReportsNameEverything) {
  const DataCheck result = check(row({{"user", "What is it?"}, {"assistant", "arr"}}) + "{broken\n");
  const CheckContext context{"my <data>", "tiny", 4096, "<|end|> (7)", 3, "8 rows"};
  const std::string text = check_text(result, context), html = check_html(result, context, {});
  for (const std::string& page : {text, html}) {
    EXPECT_THAT(page, HasSubstr("train.jsonl:2"));
    EXPECT_THAT(page, HasSubstr("nothing is cut"));
  }
  EXPECT_THAT(text, HasSubstr("ERROR      1 conversation: not a conversation"));
  EXPECT_THAT(html, HasSubstr("my &lt;data&gt;"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(html, HasSubstr("width=device-width"));
  for (const char* outside : {"http://", "https://", "<script", "@import", "url("})
    EXPECT_THAT(html, Not(HasSubstr(outside)));
}

}  // namespace
}  // namespace attune
