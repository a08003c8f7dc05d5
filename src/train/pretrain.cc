#include "train/pretrain.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

#include "base/error.h"
#include "conversation/dataset.h"
#include "token/train_tokenizer.h"
#include "train/key_table.h"
#include "train/recipe_keys.h"
#include "train/run_folder.h"

namespace attune {
namespace {

constexpr double kMostCount = 1e9;

// What a chat with the model looks like to it. No space follows a marker, so that the first word of a turn is
// tokenized as the first word of a paragraph is.
constexpr const char* kChatTemplate =
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

std::vector<Key> keys_of(PretrainRecipe& r) {
  std::vector<Key> keys = {
      {"data", &r.data,
       "Text files (*.txt, documents separated by a form feed) and conversations (*.jsonl). Required."},
      {"output", &r.output, "Folder of the run. Absent: `runs/` and the name of the recipe file."},
      {"model.vocab_size", &r.vocab_size, "Pieces of the tokenizer.", {300, 1000000}},
      {"model.hidden_size", &r.hidden_size, "Width.", {8, 65536}},
      {"model.intermediate_size", &r.intermediate_size, "Inner width of the MLP.", {8, 262144}},
      {"model.num_hidden_layers", &r.num_hidden_layers, "Blocks.", {1, 1000}},
      {"model.num_attention_heads", &r.num_attention_heads, "Query heads; divides hidden_size.", {1, 1024}},
      {"model.num_key_value_heads", &r.num_key_value_heads, "Key/value heads; divides num_attention_heads.", {1, 1024}},
      {"model.rope_theta", &r.rope_theta, "Base of the rotary embedding.", {1, 1e9}},
  };
  for (Key& key : train_keys(r.train)) keys.push_back(std::move(key));
  keys.push_back({"eval.eval_share", &r.eval_share, "Share of the rows held out.", {0, 0.9}});
  keys.push_back(
      {"eval.eval_steps", &r.eval_steps, "Updates between two measurements of the held-out loss.", {0, kMostCount}});
  for (Key& key : save_keys(r.save)) keys.push_back(std::move(key));
  return keys;
}

PretrainRecipe with_pretraining_defaults() {
  PretrainRecipe recipe;
  recipe.train.num_train_epochs = 1;
  recipe.train.learning_rate = 1e-3;
  recipe.train.per_device_train_batch_size = 8;
  recipe.train.gradient_accumulation_steps = 1;
  recipe.train.weight_decay = 0.1;
  recipe.train.adam_beta2 = 0.95;
  recipe.train.max_length = 512;
  recipe.train.assistant_only_loss = false;
  return recipe;
}

bool is_text(const std::string& path) { return fs::path(path).extension() == ".txt"; }

std::vector<std::string> documents_of(const std::string& path) {
  const std::string text = read_file(path);
  std::vector<std::string> documents;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find("\n\f\n", begin), text.size());
    if (end > begin) documents.push_back(text.substr(begin, end - begin));
    begin = end + 3;
  }
  return documents;
}

// Everything the tokenizer learns its pieces from.
std::vector<std::string> texts_of(const PretrainRecipe& recipe) {
  std::vector<std::string> texts;
  for (const std::string& path : recipe.data) {
    if (is_text(path)) {
      for (std::string& document : documents_of(path)) texts.push_back(std::move(document));
    } else {
      for (const Conversation& conversation : read_conversations(path)) {
        for (const Message& message : conversation.messages) texts.push_back(message.content);
      }
    }
  }
  return texts;
}

// A document as rows of max_length tokens, each beginning with BOS; every token is a target.
void append_document(TokenizedDataset& data, const std::string& document, const Tokenizer& tokenizer,
                     std::int64_t max_length) {
  const std::vector<TokenId> tokens = tokenizer.encode(document);
  const auto piece = static_cast<std::size_t>(max_length - 1);
  for (std::size_t begin = 0; begin < tokens.size(); begin += piece) {
    EncodedConversation row;
    if (tokenizer.bos) row.tokens.push_back(*tokenizer.bos);
    std::ranges::copy(std::span(tokens).subspan(begin, std::min(piece, tokens.size() - begin)),
                      std::back_inserter(row.tokens));
    row.mask.assign(row.tokens.size(), 1);
    append_row(data, row, max_length);
  }
}

struct Rows {
  TokenizedDataset train = make_tokenized_dataset(), valid = make_tokenized_dataset();
};

// Every 1/share-th row is held out.
void deal(Rows& rows, const TokenizedDataset& all, double share) {
  for (std::int64_t i = 0; i < all.rows(); ++i) {
    const bool held = std::floor(static_cast<double>(i + 1) * share) > std::floor(static_cast<double>(i) * share);
    const auto begin = all.starts[static_cast<std::size_t>(i)], end = all.starts[static_cast<std::size_t>(i) + 1];
    EncodedConversation row;
    row.tokens.assign(all.tokens.begin() + begin, all.tokens.begin() + end);
    row.mask.assign(all.mask.begin() + begin, all.mask.begin() + end);
    append_row(held ? rows.valid : rows.train, row, end - begin);
  }
}

Rows tokenize_all(const PretrainRecipe& recipe, const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  Rows rows;
  std::vector<std::string> seen;
  for (const std::string& path : recipe.data) {
    TokenizedDataset all = make_tokenized_dataset();
    if (is_text(path)) {
      for (const std::string& document : documents_of(path))
        append_document(all, document, tokenizer, recipe.train.max_length);
    } else {
      const auto conversations = read_conversations(path);
      all = tokenize(conversations, chat_template, tokenizer, recipe.train.max_length, recipe.train.assistant_only_loss,
                     path);
    }
    // A file that is named again is trained on again, but the same rows stay held out.
    const bool again = std::find(seen.begin(), seen.end(), path) != seen.end();
    Rows part;
    deal(part, all, recipe.eval_share);
    const auto add = [&](TokenizedDataset& to, const TokenizedDataset& from) {
      const std::int64_t offset = to.starts.back();
      to.tokens.own().insert(to.tokens.own().end(), from.tokens.begin(), from.tokens.end());
      to.mask.own().insert(to.mask.own().end(), from.mask.begin(), from.mask.end());
      for (std::size_t i = 1; i < from.starts.size(); ++i) to.starts.push_back(from.starts[i] + offset);
    };
    add(rows.train, part.train);
    if (!again) add(rows.valid, part.valid);
    seen.push_back(path);
  }
  return rows;
}

ModelConfig shape_of(const PretrainRecipe& r, const Tokenizer& tokenizer) {
  return model_config_from_json({{"architectures", {"LlamaForCausalLM"}},
                                 {"model_type", "llama"},
                                 {"vocab_size", tokenizer.vocab_size()},
                                 {"hidden_size", r.hidden_size},
                                 {"intermediate_size", r.intermediate_size},
                                 {"num_hidden_layers", r.num_hidden_layers},
                                 {"num_attention_heads", r.num_attention_heads},
                                 {"num_key_value_heads", r.num_key_value_heads},
                                 {"max_position_embeddings", r.train.max_length},
                                 {"rms_norm_eps", 1e-5},
                                 {"rope_theta", r.rope_theta},
                                 {"hidden_act", "silu"},
                                 {"tie_word_embeddings", true},
                                 {"initializer_range", 0.02},
                                 {"torch_dtype", "bfloat16"},
                                 {"bos_token_id", tokenizer.bos.value_or(1)},
                                 {"eos_token_id", tokenizer.eos.value_or(2)}},
                                "pretraining recipe");
}

// The loop's view of the recipe.
Recipe as_full_training(const PretrainRecipe& r) {
  Recipe recipe;
  recipe.data = r.data;
  recipe.output = r.output;
  recipe.finetune = Finetune::kFull;
  recipe.quantization = Quantization::kNone;
  recipe.train = r.train;
  recipe.eval.eval_steps = r.eval_steps;
  recipe.save = r.save;
  return recipe;
}

}  // namespace

PretrainRecipe load_pretrain_recipe(const fs::path& path, std::span<const std::string> overrides) {
  PretrainRecipe recipe = with_pretraining_defaults();
  const std::string where = path.string();
  KeysRead read;
  const std::vector<Key> keys = keys_of(recipe);
  read_keys(keys, {}, parse_yaml(read_file(path, std::uint64_t{1} << 20), where), where, read);
  for (const std::string& assignment : overrides) read_override(keys, {}, assignment, read);
  if (recipe.data.empty()) read.problems.push_back({fmt::format("[{}] data: expected text files, got nothing", where)});
  raise_problems(read.problems);
  if (recipe.output.empty()) recipe.output = (fs::path("runs") / path.stem()).string();
  return recipe;
}

RunSummary pretrain(const PretrainRecipe& recipe, bool resume, const LoopCallbacks& callbacks) {
  const fs::path folder = recipe.output, tokenizer_folder = folder / "tokenizer";
  if (!resume) {
    if (fs::exists(folder)) {
      throw UserError("[{}] the run exists already; add --resume, or choose another `output`", folder.string());
    }
    AtomicFolder made(folder);
    PretrainRecipe copy = recipe;
    write_file_atomic(made.temporary() / "recipe.yaml", write_keys(keys_of(copy)));
    create_folder(made.temporary() / "tokenizer");
    TokenizerRecipe tokenizer;
    tokenizer.vocab_size = recipe.vocab_size;
    tokenizer.special_tokens = {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
    tokenizer.chat_template = kChatTemplate;
    tokenizer.eos_token = "<|end|>";
    train_tokenizer(tokenizer, texts_of(recipe), made.temporary() / "tokenizer");
    made.commit();
  }
  const auto tokenizer = load_tokenizer(tokenizer_folder);
  const ChatTemplate chat_template = load_chat_template(tokenizer_folder);
  const Rows rows = tokenize_all(recipe, *tokenizer, chat_template);
  Model model = make_trainable_model(shape_of(recipe, *tokenizer), static_cast<std::uint64_t>(recipe.train.seed));
  const Recipe training = as_full_training(recipe);
  const RunSummary summary =
      run_training({model, nullptr, rows.train, rows.valid, training, folder, resume}, callbacks);

  AtomicFolder result(folder / "model");
  save_model(result.temporary(), model, DType::kBF16);
  for (const fs::directory_entry& file : fs::directory_iterator(tokenizer_folder)) {
    write_file_atomic(result.temporary() / file.path().filename(), read_file(file.path()));
  }
  result.commit();
  return summary;
}

}  // namespace attune
