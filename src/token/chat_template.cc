#include "token/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "token/gguf_vocabulary.h"
#include "token/jinja/template.h"
#include "token/jinja/text.h"
#include "token/tokenizer_config.h"
#include "token/turns.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxTemplateBytes = 16 << 20;

std::string_view without_trailing_space(std::string_view text) {
  const std::string_view stripped = jinja::strip(text, jinja::kRight);
  return stripped.empty() ? text : stripped;  // white space alone may be all that ends a turn
}

std::string_view common_prefix(std::string_view a, std::string_view b) {
  const auto end =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())), b.begin()).first;
  return a.substr(0, static_cast<std::size_t>(end - a.begin()));
}

// What ends a turn, from what follows the last answer of a conversation and (empty if unknown) an earlier one.
// eos_token ends it where it belongs to every turn; a template may put one more at the end of everything.
std::string end_of_turn(std::string_view last, std::string_view earlier, std::string_view eos) {
  const std::string_view shared = earlier.empty() ? last : common_prefix(last, earlier);
  const std::size_t eos_at = eos.empty() ? last.npos : last.find(eos);
  if (eos_at == last.npos) return std::string(without_trailing_space(shared));
  const std::size_t eos_end = eos_at + eos.size();
  if (eos_end <= shared.size()) return std::string(shared.substr(0, eos_end));
  return std::string(without_trailing_space(shared.substr(0, std::min(eos_at, shared.size()))));
}

struct Examples {
  std::vector<Message> messages;
  std::vector<std::size_t> answers;  // their indices
};

// Conversations that between them every template takes.
std::vector<Examples> examples() {
  const Message system{"system", "alpha1"}, user{"user", "bravo2"}, user2{"user", "delta4"},
      answer{"assistant", "charlie3"}, answer2{"assistant", "echo5"};
  return {{{user, answer, user2, answer2}, {1, 3}},
          {{system, user, answer, user2, answer2}, {2, 4}},
          {{user, answer}, {1}},
          {{system, user, answer}, {2}}};
}

std::optional<ChatTemplate> find_gguf_template(const GgufFile& file) {
  auto source = file.get<std::string>("tokenizer.chat_template");
  if (!source) return std::nullopt;
  const GgufVocabulary vocabulary = read_gguf_vocabulary(file);
  const auto token = [&](const std::optional<TokenId>& id) {
    return id ? vocabulary.tokens[static_cast<std::size_t>(*id)] : std::string();
  };
  return ChatTemplate(*std::move(source), token(vocabulary.bos), token(vocabulary.eos));
}

}  // namespace

struct ChatTemplate::Compiled {
  Compiled(std::string text, std::string bos_token, std::string eos_token, std::function<std::tm()> time)
      : source(std::move(text)),
        bos(std::move(bos_token)),
        eos(std::move(eos_token)),
        clock(std::move(time)),
        compiled(source) {}

  std::string render(const std::vector<Message>& messages, bool add_generation_prompt) const {
    using jinja::Value;
    const jinja::Limits limits;
    jinja::Heap heap(limits.memory);
    try {
      const Value role = heap.string("role"), content = heap.string("content");
      std::vector<Value> list;
      list.reserve(messages.size());
      for (const Message& message : messages) {
        auto* entry = heap.make<jinja::Dict>();
        entry->set(role, heap.string(to_valid_utf8(message.role)));
        entry->set(content, heap.string(to_valid_utf8(message.content)));
        list.emplace_back(jinja::Type::kDict, entry);
      }
      jinja::Variables variables = {{"messages", heap.list(std::move(list))},
                                    {"add_generation_prompt", Value::of(add_generation_prompt)},
                                    {"tools", Value::none()},
                                    {"documents", Value::none()}};
      if (!bos.empty()) variables.emplace_back("bos_token", heap.string(bos));
      if (!eos.empty()) variables.emplace_back("eos_token", heap.string(eos));
      return compiled.render(heap, variables, limits, clock);
    } catch (const jinja::TemplateError& error) {
      throw UserError("[chat template] {}", error.what());
    }
  }

  std::string source, bos, eos;
  std::function<std::tm()> clock;
  jinja::Template compiled;
  Habits habits;

  // False when the template refuses the example.
  bool learn_habits(const Examples& example) {
    try {
      const std::string text = render(example.messages, false);
      const auto places = locate_messages(example.messages, text, [&](const std::vector<Message>& copies) {
                            return render(copies, false);
                          }).value_or(search_messages(example.messages, text));
      const auto after = [&](std::size_t answer) { return std::string_view(text).substr(places[answer].end.value()); };
      const std::string_view earlier = example.answers.size() > 1 ? after(example.answers[0]) : std::string_view();
      habits.end_of_turn = end_of_turn(after(example.answers.back()), earlier, eos);
      learn_prompt(example, text, places);
      return true;
    } catch (const UserError&) {
      return false;
    } catch (const std::bad_optional_access&) {
      return false;  // the template drops contents
    }
  }

  void learn_prompt(const Examples& example, const std::string& text, const std::vector<MarkedMessage>& places) {
    std::optional<std::string> between;
    bool has_prompt = false, steady = true;
    for (const std::size_t answer : example.answers) {
      const std::vector<Message> before(example.messages.begin(),
                                        example.messages.begin() + static_cast<std::ptrdiff_t>(answer));
      const std::string prompt = render(before, true);
      has_prompt = has_prompt || prompt != render(before, false);
      const std::size_t begin = places[answer].begin.value();
      if (!text.starts_with(prompt) || begin < prompt.size()) {
        steady = false;
        continue;
      }
      std::string found = text.substr(prompt.size(), begin - prompt.size());
      steady = steady && found == between.value_or(found);
      between = std::move(found);
    }
    habits.steady = steady;
    if (!steady) return;
    const bool is_header = !has_prompt && !jinja::strip(*between, jinja::kBoth).empty();
    (is_header ? habits.header : habits.lead) = *between;
  }
};

ChatTemplate::ChatTemplate(std::string source, std::string bos_token, std::string eos_token,
                           std::function<std::tm()> clock) {
  auto compiled =
      std::make_unique<Compiled>(std::move(source), std::move(bos_token), std::move(eos_token), std::move(clock));
  for (const Examples& example : examples()) {
    if (compiled->learn_habits(example)) break;
    compiled->habits = {};
  }
  compiled_ = std::move(compiled);
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const std::vector<Message>& messages, bool add_generation_prompt) const {
  return compiled_->render(messages, add_generation_prompt);
}

const std::string& ChatTemplate::source() const { return compiled_->source; }
const std::string& ChatTemplate::eos_token() const { return compiled_->eos; }
const ChatTemplate::Habits& ChatTemplate::habits() const { return compiled_->habits; }

std::optional<ChatTemplate> find_chat_template(const fs::path& model_folder) {
  if (is_gguf_path(model_folder)) return find_gguf_template(GgufFile(model_folder));
  const TokenizerConfig tokens = read_tokenizer_config(model_folder);
  const auto make = [&](std::string source) {
    return ChatTemplate(std::move(source), tokens.bos.value_or(""), tokens.eos.value_or(""));
  };
  if (const fs::path path = model_folder / "chat_template.jinja"; fs::exists(path)) {
    return make(read_file(path, kMaxTemplateBytes));
  }
  if (const fs::path path = model_folder / "tokenizer_config.json"; fs::exists(path)) {
    const std::string where = path.string();
    const Json config = parse_json(read_file(path, kMaxTemplateBytes), where);
    const auto value = config.find("chat_template");
    if (value != config.end() && value->is_array()) {
      for (const Json& entry : *value) {
        if (!entry.is_object() || json_get<std::string>(entry, "name", where) != "default") continue;
        return make(json_require<std::string>(entry, "template", where + ".chat_template"));
      }
    } else if (auto source = json_get<std::string>(config, "chat_template", where)) {
      return make(*std::move(source));
    }
  }
  return std::nullopt;
}

ChatTemplate load_chat_template(const fs::path& model_folder) {
  if (auto found = find_chat_template(model_folder)) return *std::move(found);
  if (is_gguf_path(model_folder)) {
    throw UserError(
        "[{}] expected a chat template, found no key tokenizer.chat_template; take the model's instruct version",
        model_folder.string());
  }
  throw UserError(
      "[{}] expected a chat template, found neither chat_template.jinja nor \"chat_template\" in "
      "tokenizer_config.json; put the template of the model's instruct version there",
      model_folder.string());
}

}  // namespace attune
