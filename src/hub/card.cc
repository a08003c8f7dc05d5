#include "hub/card.h"

#include <yaml-cpp/yaml.h>

#include <cmath>

#include "base/error.h"

namespace attune {
namespace {

const char* kind_of(Pushed what) {
  switch (what) {
    case Pushed::kAdapter:
      return "adapter";
    case Pushed::kModel:
      return "model";
    case Pushed::kGguf:
      return "model in GGUF";
    case Pushed::kDataset:
      return "data set";
  }
  return "";
}

// How it descends from its base, in the Hub's words.
const char* relation_of(const CardFacts& facts) {
  if (facts.what == Pushed::kAdapter) return "adapter";
  return facts.what == Pushed::kGguf ? "quantized" : "finetune";
}

void write_model_index(YAML::Emitter& out, const CardFacts& facts) {
  if (!facts.eval_after || !std::isfinite(*facts.eval_after)) return;
  const auto metric = [&](const char* type, const char* name, double value) {
    out << YAML::BeginMap << YAML::Key << "type" << YAML::Value << type << YAML::Key << "value" << YAML::Value
        << fmt::format("{:.4f}", value) << YAML::Key << "name" << YAML::Value << name << YAML::EndMap;
  };
  out << YAML::Key << "model-index" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << facts.name;
  out << YAML::Key << "results" << YAML::Value << YAML::BeginSeq << YAML::BeginMap;
  out << YAML::Key << "task" << YAML::Value << YAML::BeginMap << YAML::Key << "type" << YAML::Value << "text-generation"
      << YAML::EndMap;
  out << YAML::Key << "dataset" << YAML::Value << YAML::BeginMap << YAML::Key << "name" << YAML::Value
      << "held-out conversations" << YAML::Key << "type" << YAML::Value << "private" << YAML::EndMap;
  out << YAML::Key << "metrics" << YAML::Value << YAML::BeginSeq;
  metric("loss", "held-out loss", *facts.eval_after);
  metric("perplexity", "held-out perplexity", std::exp(*facts.eval_after));
  out << YAML::EndSeq << YAML::EndMap << YAML::EndSeq << YAML::EndMap << YAML::EndSeq;
}

std::string front_matter_of(const CardFacts& facts) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  const auto entry = [&](const char* key, const std::string& value) {
    if (!value.empty()) out << YAML::Key << key << YAML::Value << value;
  };
  const bool dataset = facts.what == Pushed::kDataset;
  if (!dataset && !facts.base_model.empty()) {
    entry("base_model", facts.base_model);
    entry("base_model_relation", relation_of(facts));
  }
  if (!dataset) {
    entry("library_name", facts.what == Pushed::kAdapter ? "peft"
                          : facts.what == Pushed::kGguf  ? "gguf"
                                                         : "transformers");
    entry("pipeline_tag", "text-generation");
  }
  entry("license", facts.license);
  if (facts.license == "other") {
    entry("license_name", facts.license_name);
    entry("license_link", facts.license_link);
  }
  if (!facts.languages.empty()) out << YAML::Key << "language" << YAML::Value << facts.languages;
  if (dataset) out << YAML::Key << "task_categories" << YAML::Value << std::vector<std::string>{"text-generation"};
  std::vector<std::string> tags = {"attune"};
  if (facts.what == Pushed::kAdapter) tags.insert(tags.end(), {"lora", "peft"});
  if (facts.what == Pushed::kGguf) tags.push_back("gguf");
  out << YAML::Key << "tags" << YAML::Value << tags;
  if (!dataset) write_model_index(out, facts);
  out << YAML::EndMap;
  return std::string("---\n") + out.c_str() + "\n---\n";
}

// A table of two columns; rows without a value are left out.
class Table {
 public:
  void row(const std::string& name, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("| {} | {} |\n", name, value);
  }
  void row(const std::string& name, std::optional<std::int64_t> value) {
    if (value) row(name, std::to_string(*value));
  }
  void row(const std::string& name, std::optional<double> value) {
    if (value && std::isfinite(*value)) row(name, fmt::format("{:.4f}", *value));
  }
  std::string text() const { return text_.empty() ? "" : "| | |\n|---|---|\n" + text_ + "\n"; }

 private:
  std::string text_;
};

std::string intended_use(const CardFacts& facts) {
  if (facts.what == Pushed::kDataset) {
    return "Conversations to fine-tune a language model on, one JSON object per line: `{\"messages\": [{\"role\", "
           "\"content\"}, ...]}`. "
           "Whoever wrote them should agree to what is done with them.\n\n";
  }
  std::string text =
      "It answers in the manner of the conversations it was trained on. It may repeat parts of them, may state what is "
      "not "
      "true, and keeps the limits of its base model. It is not meant to pass for a person who has not agreed to "
      "it.\n\n";
  if (facts.what == Pushed::kAdapter && !facts.base_model.empty()) {
    text += fmt::format(
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        "base = AutoModelForCausalLM.from_pretrained(\"{}\")\nmodel = PeftModel.from_pretrained(base, "
        "\"THIS_REPOSITORY\")\n```\n\n",
        facts.base_model);
  }
  return text;
}

}  // namespace

std::string write_card(const CardFacts& facts) {
  std::string card = front_matter_of(facts) + fmt::format("\n# {}\n\n", facts.name);
  card += facts.what == Pushed::kDataset
              ? "A data set made with attune.\n\n"
              : fmt::format("A{} {} made with attune{}.\n\n", facts.what == Pushed::kAdapter ? "n" : "",
                            kind_of(facts.what), facts.base_model.empty() ? "" : " from " + facts.base_model);
  card += "## Intended use\n\n" + intended_use(facts);

  Table training;
  training.row("base model", facts.base_model);
  training.row("data, SHA-256", facts.data_sha256.empty() ? "" : "`" + facts.data_sha256 + "`");
  training.row("conversations trained on", facts.train_conversations);
  training.row("conversations held out", facts.valid_conversations);
  training.row("tokens in an epoch", facts.tokens_per_epoch);
  training.row("trained parameters", facts.trained_parameters);
  training.row("all parameters", facts.all_parameters);
  training.row("step", facts.step);
  training.row("steps", facts.steps);
  if (const std::string table = training.text(); !table.empty()) card += "## Training\n\n" + table;
  if (!facts.recipe.empty()) card += "### Recipe\n\n```yaml\n" + facts.recipe + "```\n\n";

  Table metrics;
  metrics.row("training loss", facts.train_loss);
  metrics.row("held-out loss before", facts.eval_before);
  metrics.row("held-out loss after", facts.eval_after);
  if (facts.forgetting && std::isfinite(*facts.forgetting))
    metrics.row("forgetting: rise of the loss on general words", fmt::format("{:+.1f}%", 100 * *facts.forgetting));
  metrics.row("KL to the base on general text, nats a token", facts.forgetting_kl);
  if (const std::string table = metrics.text(); !table.empty()) card += "## Results\n\n" + table;
  if (!facts.evaluation.empty()) {
    card += "### Evaluation\n\nBy `attune eval`, on held-out conversations and on general text.\n\n";
    if (!facts.verdict.empty()) card += facts.verdict + "\n\n";
    card += "| | base | tuned | the person |\n|---|---|---|---|\n";
    for (const auto& [name, base, tuned, person] : facts.evaluation) {
      card += fmt::format("| {} | {} | {} | {} |\n", name, base, tuned, person);
    }
    card += "\n";
  }

  if (facts.what != Pushed::kDataset) {
    card += "### Framework versions\n\n";
    if (!facts.peft_version.empty()) card += fmt::format("- PEFT {}\n", facts.peft_version);
    for (const auto& [name, version] : facts.versions) card += fmt::format("- {} {}\n", name, version);
    if (facts.versions.empty()) card += "- attune " ATTUNE_VERSION "\n";
  }
  return card;
}

}  // namespace attune
