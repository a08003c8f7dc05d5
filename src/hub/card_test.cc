// hub/: the model card says what the run says, nothing of this machine, and keeps the Hub's rules.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "hub/card_check.h"
#include "hub/push.h"

namespace attune {
namespace {

using Problems = std::vector<std::string>;

struct RunFolder {
  fs::path path = fs::temp_directory_path() / fmt::format("attune_card_test_{}", ::getpid());
  RunFolder() {
    fs::create_directories(path / "adapter");
    fs::create_directories(path / "cache/models--org--base/snapshots" / std::string(40, 'a'));
    base = path / "cache/models--org--base/snapshots" / std::string(40, 'a');
    write_file_atomic(base / "README.md", "---\nlicense: apache-2.0\n---\n# base\n");
    write_file_atomic(path / "recipe.yaml",
                      "model: " + base.string() + "\ndata: [\"/home/pete/chats\"]\noutput: runs/pete\nlora:\n  r: 8\n");
    const Json run = {{"status", "finished"},
                      {"model", base.string()},
                      {"data", {"/home/pete/chats"}},
                      {"data_sha256", std::string(64, 'd')},
                      {"conversations", {{"train", 100}, {"valid", 5}}},
                      {"parameters", {{"trained", 10}, {"all", 1000}}},
                      {"steps", 20},
                      {"versions", {{"attune", "0.1.0"}}}};
    write_file_atomic(path / "run.json", run.dump(2));
    write_file_atomic(path / "eval.json",
                      R"({"table":[["general text: loss","4.000","4.100",""],["of the person only","","","7"]],
                          "samples":[{"prompt":"a private question"}]})");
    write_file_atomic(
        path / "metrics.jsonl",
        "{\"step\":0,\"eval_loss\":3.0}\n{\"step\":10,\"loss\":2.5}\n"
        "{\"step\":10,\"eval_loss\":2.25,\"eval_forgetting\":-0.0125,\"eval_forgetting_kl\":0.0625}\n"
        "{\"step\":20,\"loss\":1.5}\n"
        "{\"step\":20,\"eval_loss\":1.75,\"eval_forgetting\":0.25,\"eval_forgetting_kl\":0.5}\n{\"step\":21,\"lo");
    config(base.string());
    write_file_atomic(path / "adapter/adapter_model.safetensors", std::string(32, '\0'));
  }
  void config(const std::string& base_name) const {
    const Json json = {{"peft_type", "LORA"}, {"base_model_name_or_path", base_name}, {"peft_version", "0.17.1"}};
    write_file_atomic(path / "adapter/adapter_config.json", json.dump(2));
  }
  ~RunFolder() { fs::remove_all(path); }
  fs::path base;
};

std::string text_in(const PreparedPush& push, const std::string& path) {
  for (const PushFile& file : push.files.files) {
    if (file.path == path) return text_of(file, 1 << 20);
  }
  return "missing";
}

TEST(Card, OfARunsAdapter) {
  const RunFolder run;
  const PreparedPush push = prepare_push(run.path / "adapter", {RepoType::kModel, "me/pete"}, {});
  const std::string card = text_in(push, "README.md");
  EXPECT_EQ(push.what, Pushed::kAdapter);
  EXPECT_EQ(check_card(card, false), Problems{});
  for (const char* const part :
       {"base_model: org/base\n", "base_model_relation: adapter\n", "library_name: peft\n",
        "pipeline_tag: text-generation\n", "license: apache-2.0\n", "value: 1.7500\n",
        "| held-out loss before | 3.0000 |", "| training loss | 1.5000 |",
        "| forgetting: rise of the loss on general words | +25.0% |",
        "| KL to the base on general text, nats a token | 0.5000 |", "| conversations trained on | 100 |",
        "| general text: loss | 4.000 | 4.100 |", "lora:\n  r: 8\n", "\"me/pete\""}) {
    EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
  }
  EXPECT_NE(card.find(std::string(64, 'd')), std::string::npos);
  EXPECT_NE(card.find("### Framework versions\n\n- PEFT 0.17.1\n- attune 0.1.0\n"), std::string::npos);
  EXPECT_TRUE(card.ends_with("- attune 0.1.0\n"));
  EXPECT_EQ(card.find("/home/pete"), std::string::npos);
  EXPECT_EQ(card.find("private question"), std::string::npos);
  EXPECT_EQ(card.find("of the person only"), std::string::npos);
  EXPECT_EQ(card.find(run.path.string()), std::string::npos);
  const std::string config = text_in(push, "adapter_config.json");
  EXPECT_NE(config.find("\"base_model_name_or_path\": \"org/base\""), std::string::npos);
}

TEST(Card, OfACheckpointKnowsItsStepOnly) {
  const RunFolder run;
  const fs::path checkpoint = run.path / "checkpoints/step-000010";
  fs::create_directories(checkpoint);
  fs::copy(run.path / "adapter", checkpoint, fs::copy_options::recursive);
  write_file_atomic(checkpoint / "state.json", "{\"step\": 10}");
  const std::string card = text_in(prepare_push(checkpoint, {RepoType::kModel, "me/pete"}, {}), "README.md");
  EXPECT_NE(card.find("| step | 10 |"), std::string::npos);
  EXPECT_NE(card.find("value: 2.2500\n"), std::string::npos);
  EXPECT_EQ(card.find("1.75"), std::string::npos);
  EXPECT_NE(card.find("| forgetting: rise of the loss on general words | -1.2% |"), std::string::npos) << card;
  EXPECT_NE(card.find("| KL to the base on general text, nats a token | 0.0625 |"), std::string::npos);
  EXPECT_EQ(card.find("general text: loss"), std::string::npos);
}

TEST(Card, OfAMergedModelElsewhereTellsOfTheRunThatIsNamed) {
  const RunFolder run;
  const fs::path merged = run.path / "somewhere/else/merged";
  fs::create_directories(merged);
  write_file_atomic(merged / "config.json", "{}");
  CardOptions options;
  EXPECT_EQ(text_in(prepare_push(merged, {RepoType::kModel, "me/pete"}, options), "README.md").find("held-out"),
            std::string::npos);
  options.run = run.path;
  const std::string card = text_in(prepare_push(merged, {RepoType::kModel, "me/pete"}, options), "README.md");
  EXPECT_EQ(check_card(card, false), Problems{});
  for (const char* const part : {"base_model: org/base\n", "base_model_relation: finetune\n", "license: apache-2.0\n",
                                 "| held-out loss after | 1.7500 |", "| general text: loss | 4.000 | 4.100 |"}) {
    EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
  }
  options.run = merged;
  EXPECT_THROW(prepare_push(merged, {RepoType::kModel, "me/pete"}, options), UserError);
}

TEST(Card, ALocalBaseIsNamedByItsLastPartOnly) {
  const RunFolder run;
  run.config("/home/pete/models/secret-project/base-7b/");
  write_file_atomic(run.path / "run.json", "{}");
  const PreparedPush push = prepare_push(run.path / "adapter", {RepoType::kModel, "me/pete"}, {});
  EXPECT_NE(text_in(push, "adapter_config.json").find("\"base-7b\""), std::string::npos);
  EXPECT_EQ(text_in(push, "adapter_config.json").find("secret-project"), std::string::npos);
  EXPECT_EQ(text_in(push, "README.md").find("base_model"), std::string::npos);
  EXPECT_EQ(push.notes.size(), 2u);
  CardOptions options;
  options.base_model = "org/base-7b";
  options.license = "mit";
  const PreparedPush named = prepare_push(run.path / "adapter", {RepoType::kModel, "me/pete"}, options);
  EXPECT_TRUE(named.notes.empty());
  EXPECT_NE(text_in(named, "README.md").find("license: mit\n"), std::string::npos);
}

TEST(Card, TheFoldersOwnIsKeptAndChecked) {
  const RunFolder run;
  write_file_atomic(run.path / "adapter/README.md", "# mine\n");
  EXPECT_EQ(text_in(prepare_push(run.path / "adapter", {RepoType::kModel, "me/pete"}, {}), "README.md"), "# mine\n");
  write_file_atomic(run.path / "adapter/README.md", "---\nlicense: apache\n---\n# mine\n");
  EXPECT_THROW(prepare_push(run.path / "adapter", {RepoType::kModel, "me/pete"}, {}), UserError);
}

TEST(Card, AWholeRunIsNotPushed) {
  const RunFolder run;
  EXPECT_THROW(prepare_push(run.path, {RepoType::kModel, "me/pete"}, {}), UserError);
}

TEST(CardCheck, Rules) {
  const auto check = [](const std::string& yaml) { return check_card("---\n" + yaml + "---\ntext", false); };
  EXPECT_EQ(check("license: mit\nbase_model: [a/b, c/d]\nlanguage: hu\ntags: [x]\n"), Problems{});
  EXPECT_EQ(check("license: apache\n"), Problems{"license: expected an identifier of the Hub such as apache-2.0"});
  EXPECT_EQ(check("license: other\n"), Problems{"license: other needs license_name and license_link"});
  EXPECT_EQ(check("base_model: ./local\n").size(), 1u);
  EXPECT_EQ(check("base_model: a/b\nbase_model_relation: child\n"),
            Problems{"base_model_relation: \"child\" is not known"});
  EXPECT_EQ(check("base_model_relation: adapter\n"), Problems{"base_model_relation needs base_model"});
  EXPECT_EQ(check("pipeline_tag: [a]\n"), Problems{"pipeline_tag: expected a text"});
  EXPECT_EQ(check("model-index: [{name: x, results: [{metrics: []}]}]\n").size(), 1u);
  EXPECT_EQ(check("- a\n- b\n"), Problems{"the YAML at its head is no table of keys"});
  EXPECT_EQ(check("a: [\n").size(), 1u);
  EXPECT_EQ(check_card("# no yaml\n", false), Problems{});
  EXPECT_EQ(front_matter("---\r\na: 1\r\n---\r\nx"), "a: 1\r\n");
  EXPECT_EQ(front_matter("---\na: 1\n"), std::nullopt);
}

}  // namespace
}  // namespace attune
