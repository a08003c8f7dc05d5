#include "export/ollama.h"

#include "base/error.h"
#include "export/gguf_lora.h"
#include "model/config.h"
#include "token/encode.h"

namespace attune {
namespace {

constexpr std::int64_t kDefaultContext = 4096;

// Text as it stands in a Go template: braces that would begin an action are written by one.
std::string literal(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.compare(at, 2, "{{") == 0) {
      result += "{{ \"{{\" }}";
      ++at;
    } else {
      result += text[at];
    }
  }
  return result;
}

std::string without_bos(const std::string& text, const std::string& bos) {
  return !bos.empty() && text.starts_with(bos) ? text.substr(bos.size()) : text;
}

// What the user's turn begins with when it carries the system text.
std::string carried_system(const TurnPattern& pattern) {
  const std::string text = "{{ $.System }}" + literal(pattern.system.after);
  // The first user stands at index 1 behind a system message.
  if (pattern.place == SystemPlace::kFirstUser) return "{{ if and $.System (le $i 1) }}" + text + "{{ end }}";
  if (pattern.place == SystemPlace::kLastUser) {
    return "{{ if and $.System (eq (len (slice $.Messages $i)) 1) }}" + text + "{{ end }}";
  }
  return "";
}

std::string text_of(const Tokenizer& tokenizer, const std::optional<TokenId>& id) {
  return id ? tokenizer.decode({*id}, false) : "";
}

std::string quoted(const std::string& value) {
  if (value.find_first_of("\"\n\r") != std::string::npos) {
    throw Unsupported("[chat template] its stop text cannot be written in a Modelfile; export --to gguf");
  }
  return '"' + value + '"';
}

std::string modelfile(const OllamaExport& options, const TurnPattern& pattern, const std::string& bos,
                      const std::vector<std::string>& stops, std::int64_t context) {
  const std::string go = to_go_template(pattern, bos);
  if (go.find("\"\"\"") != std::string::npos) {
    throw Unsupported("[chat template] holds \"\"\", which a Modelfile cannot; export --to gguf");
  }
  std::string text = "FROM ./model.gguf\n";
  if (options.separate_adapter) text += "ADAPTER ./adapter.gguf\n";
  text += "TEMPLATE \"\"\"" + go + "\"\"\"\n";
  for (const std::string& stop : stops) text += "PARAMETER stop " + quoted(stop) + "\n";
  text += fmt::format("PARAMETER num_ctx {}\nPARAMETER temperature 0.7\nPARAMETER top_p 0.9\n", context);
  return text;
}

}  // namespace

std::string to_go_template(const TurnPattern& pattern, const std::string& bos) {
  std::string text;
  const std::string start = without_bos(pattern.start, bos), start_without = without_bos(pattern.start_without, bos);
  const std::string system_before =
      pattern.start.empty() ? without_bos(pattern.system.before, bos) : pattern.system.before;
  if (pattern.place == SystemPlace::kNone || start == start_without) {
    text += literal(start_without);
  } else {
    text += "{{ if .System }}" + literal(start) + "{{ else }}" + literal(start_without) + "{{ end }}";
  }
  const bool counts = pattern.place == SystemPlace::kFirstUser || pattern.place == SystemPlace::kLastUser;
  text += counts ? "{{ range $i, $_ := .Messages }}" : "{{ range .Messages }}";
  text += "{{ if eq .Role \"user\" }}" + literal(pattern.user.before) + carried_system(pattern) + "{{ .Content }}" +
          literal(pattern.user.after);
  text += "{{ else if eq .Role \"assistant\" }}" + literal(pattern.assistant.before) + "{{ .Content }}" +
          literal(pattern.assistant.after);
  if (pattern.place == SystemPlace::kOwnTurn) {
    text +=
        "{{ else if eq .Role \"system\" }}" + literal(system_before) + "{{ .Content }}" + literal(pattern.system.after);
  }
  return text + "{{ end }}{{ end }}" + literal(pattern.prompt);
}

GgufExported export_ollama(const OllamaExport& options,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  if (options.separate_adapter && !options.adapter) {
    throw UserError("[--separate-adapter] needs --adapter FOLDER");
  }
  const ModelConfig config = load_model_config(options.model);
  const ChatTemplate chat_template = load_chat_template(options.model);
  const TurnPattern pattern = find_turn_pattern(chat_template);
  const auto tokenizer = load_tokenizer(options.model);
  const std::string bos = text_of(*tokenizer, tokenizer->bos);
  // Ollama puts BOS before everything when the file says so: only where the template has it, and not twice.
  const bool writes_bos = !bos.empty() && pattern.render({{"user", "?"}}).starts_with(bos);
  std::vector<std::string> stops;
  for (const TokenId id : stop_tokens(chat_template, *tokenizer)) stops.push_back(text_of(*tokenizer, id));

  AtomicFolder folder(options.output);
  write_file_atomic(folder.temporary() / "Modelfile", modelfile(options, pattern, writes_bos ? bos : "", stops,
                                                                std::min(config.max_position, kDefaultContext)));
  if (options.separate_adapter) {
    export_gguf_lora({options.model, *options.adapter, GgufDType::kF16, folder.temporary() / "adapter.gguf"});
  }
  const GgufExported result = export_gguf({.model = options.model,
                                           .adapter = options.separate_adapter ? std::nullopt : options.adapter,
                                           .dtype = options.dtype,
                                           .output = folder.temporary() / "model.gguf",
                                           .add_bos = writes_bos},
                                          progress);
  folder.commit();
  return result;
}

}  // namespace attune
