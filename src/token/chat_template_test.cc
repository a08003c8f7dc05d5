#include "token/chat_template.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "token/template_fixtures.h"
#include "token/template_parts.h"
#include "token/turns.h"

namespace attune {
namespace {

class ChatTemplateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("attune_chat_template_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, std::string_view text) { write_file_atomic(folder_ / name, text); }
  std::string error() const {
    try {
      load_chat_template(folder_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
  fs::path folder_;
};

const std::vector<Message> kHello = {{"user", "hi"}};

TEST_F(ChatTemplateTest, ComesFromTheConfig) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "bos_token": {"content": "<s>"}, "eos_token": "</s>"})");
  EXPECT_EQ(load_chat_template(folder_).render(kHello, false), "<s>hi</s>");
}

TEST_F(ChatTemplateTest, ComesFromTheListEntryNamedDefault) {
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]})");
  EXPECT_EQ(load_chat_template(folder_).render(kHello, false), "D");
}

TEST_F(ChatTemplateTest, ComesFromItsOwnFileFirst) {
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  write("chat_template.jinja", "file\n");
  EXPECT_EQ(load_chat_template(folder_).render(kHello, false), "file");
  EXPECT_EQ(load_chat_template(folder_).source(), "file\n");
}

TEST_F(ChatTemplateTest, TokensThatTheModelLacksAreUndefined) {
  write("chat_template.jinja", "{{ bos_token is defined }}{{ tools is none }}{{ documents is none }}");
  EXPECT_EQ(load_chat_template(folder_).render(kHello, false), "FalseTrueTrue");
}

TEST_F(ChatTemplateTest, MissingAndBrokenTemplates) {
  const std::string missing = "[" + folder_.string() +
                              "] expected a chat template, found neither chat_template.jinja nor \"chat_template\" in "
                              "tokenizer_config.json; put the template of the model's instruct version there";
  EXPECT_EQ(error(), missing);
  write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_EQ(error(), missing);
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_NE(error().find("chat_template"), std::string::npos);
  write("chat_template.jinja", "line one\n{% for %}");
  EXPECT_EQ(error(), "[chat template, line 2] Expected an expression, got 'end of statement block'");
}

TEST_F(ChatTemplateTest, TheTemplatesOwnRefusalIsTheUsersError) {
  const ChatTemplate gemma(read_file(fs::path(ATTUNE_SOURCE_DIR) / "tests/interop/templates/gemma.jinja"), "<bos>",
                           "<eos>");
  try {
    gemma.render({{"system", "s"}, {"user", "u"}}, false);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[chat template, line 1] System role not supported");
  }
}

TEST_F(ChatTemplateTest, TheClockCanBeFixed) {
  const auto clock = [] {
    std::tm time{};
    time.tm_year = 124, time.tm_mon = 6, time.tm_mday = 26;
    return time;
  };
  EXPECT_EQ(ChatTemplate("{{ strftime_now('%d %b %Y') }}", "", "", clock).render(kHello, false), "26 Jul 2024");
}

TEST_F(ChatTemplateTest, LearnsHowTurnsEnd) {
  const auto end = [](const char* source) { return ChatTemplate(source, "<s>", "</s>").habits().end_of_turn; };
  EXPECT_EQ(end("{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>\n{% endfor %}{{ eos_token }}"), "<|end|>");
  EXPECT_EQ(end("{% for m in messages %}{{ m.content }} </s>{% endfor %}"), " </s>");
  EXPECT_EQ(end("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}."), "\n");
  EXPECT_EQ(end("{% for m in messages %}{{ m.content }}[/A]</s>\n{% endfor %}"), "[/A]</s>");
  EXPECT_EQ(end("{{ raise_exception('no') }}"), "");
}

TEST_F(ChatTemplateTest, FindsContentsByMarksThatChangeNothing) {
  const std::vector<Message> messages = {{"user", " hi \n"}, {"assistant", "\U000F0000 yo"}, {"user", ""}};
  const ChatTemplate chat_template("{% for m in messages %}[{{ m.content|trim }}]{% endfor %}", "", "");
  const std::string text = chat_template.render(messages, false);
  const auto places =
      locate_messages(messages, text, [&](const auto& copies) { return chat_template.render(copies, false); });
  ASSERT_TRUE(places.has_value());
  EXPECT_EQ(text.substr(*(*places)[0].begin, *(*places)[0].end - *(*places)[0].begin), "hi");
  EXPECT_EQ(text.substr(*(*places)[1].begin, *(*places)[1].end - *(*places)[1].begin), "\U000F0000 yo");
  EXPECT_FALSE((*places)[2].begin.has_value());
}

TEST(TemplateParts, StandAroundTheWords) {
  const ChatTemplate chatml(
      "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '</>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}",
      "", "");
  const auto parts = parts_around(chatml, {{"user", "Alpha"}, {"assistant", "Bravo"}, {"user", "Charlie"}});
  EXPECT_EQ(parts, (std::vector<std::string>{"<user>", "</><assistant>", "</><user>", "</><assistant>"}));
  EXPECT_EQ(common_end((*parts)[0], (*parts)[2]), "<user>");
  EXPECT_EQ(common_end("abc", "c"), "c");
  EXPECT_EQ(common_end("abc", ""), "");
  const ChatTemplate drops("{{ messages[0]['content'] }}", "", ""), refuses("{{ raise_exception('no') }}", "", "");
  EXPECT_EQ(parts_around(drops, {{"user", "Alpha"}, {"assistant", "Bravo"}}), std::nullopt);
  EXPECT_EQ(parts_around(refuses, {{"user", "Alpha"}}), std::nullopt);
}

}  // namespace
}  // namespace attune
