// eval/: the answers before and after that a run keeps for its report.
#include "eval/run_samples.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/json.h"

namespace attune {
namespace {

TEST(RunSamples, AnswersBeforeStayBesideThoseOfLaterSteps) {
  const fs::path file = fs::temp_directory_path() / fmt::format("attune_samples_test_{}.json", ::getpid());
  write_run_samples(file, 0, {{"How are you?", "Fine.", "arr"}, {"And now?", "bad \xFF byte", "aye"}});
  EXPECT_EQ(parse_json(read_file(file), "samples"),
            parse_json(R"({"step":0,"samples":[{"prompt":"How are you?","base":"Fine.","person":"arr"},
                           {"prompt":"And now?","base":"bad � byte","person":"aye"}]})",
                       "expected"));
  for (const std::int64_t step : {5, 10})  // a run that is resumed goes on with the file it finds
    write_run_samples(file, step, {{"How are you?", fmt::format("arr {}", step), "arr"}, {"Another?", "yes", "no"}});
  EXPECT_EQ(
      parse_json(read_file(file), "samples"),
      parse_json(R"({"step":10,"samples":[{"prompt":"How are you?","base":"Fine.","tuned":"arr 10","person":"arr"},
                           {"prompt":"Another?","tuned":"yes","person":"no"}]})",
                 "expected"));
  write_file_atomic(file, "[]");
  write_run_samples(file, 15, {{"How are you?", "arr", "arr"}});
  EXPECT_FALSE(parse_json(read_file(file), "samples")["samples"][0].contains("base"));
  fs::remove(file);
}

TEST(RunSamples, TheLastQuestionOfAPrompt) {
  const ChatTemplate chatml(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
      "", "<|im_end|>");
  const ChatTemplate llama(
      "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
      "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
      "<s>", "</s>");
  const ChatTemplate refuses("{{ raise_exception('no') }}", "", "");
  const std::vector<Message> one = {{"user", "How are you?"}};
  const std::vector<Message> more = {{"user", "Hi"}, {"assistant", "Fine"}, {"user", "How\nare you?"}};
  for (const ChatTemplate* const chat_template : {&chatml, &llama}) {
    EXPECT_EQ(last_question(chat_template->render(one, true), *chat_template), "How are you?");
    EXPECT_EQ(last_question(chat_template->render(more, true), *chat_template), "How\nare you?");
    EXPECT_EQ(last_question("something else", *chat_template), "something else");
  }
  EXPECT_EQ(last_question("a prompt", refuses), "a prompt");
}

}  // namespace
}  // namespace attune
