// attune chat: a conversation in the terminal, or line by line through a pipe.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/chat_history.h"
#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/line_editor.h"

namespace attune {
namespace {

struct ChatArguments {
  SpeakOptions speak;
  std::string system;
  bool no_history = false;
};

constexpr const char* kHelp =
    "/adapter on|off  speak with or without the adapter\n"
    "/system TEXT     set the instructions and begin anew; without TEXT: none\n"
    "/reset           forget what was said\n"
    "/save FILE       write the conversation as a line of JSON, as training data have it\n"
    "/help            this list\n"
    "/quit            leave (or Ctrl-D); Ctrl-C stops an answer\n";

// One chat on one input. On a terminal notes and prompts surround the text; in a pipe every line is a turn and every
// answer one line, and notes go to standard error.
class Chat {
 public:
  // `history` may be null: nothing is kept.
  Chat(ChatSession& session, bool terminal, ChatHistory* history)
      : session_(session), terminal_(terminal), history_(history) {
    const char* const kind = std::getenv("TERM");
    editing_ = terminal && kind != nullptr && std::string_view(kind) != "dumb";
    if (history_ != nullptr) editor_.history = history_->entries();
  }

  void operator()() {
    std::string line;
    while (true) {
      const Input::Got got = terminal_ ? read_turn(line) : input_.line(line);
      if (got == Input::Got::kEnd) break;
      if (got == Input::Got::kInterrupted) {
        if (!terminal_ || termination_requested()) throw Interrupted("[chat] stopped");
        clear_interrupt();
        note("Ctrl-D or /quit leaves");
        continue;
      }
      if (line == "/quit" || line == "/exit") return;
      if (line.starts_with('/')) {
        recover([&] { command(line); });
      } else if (line.find_first_not_of(" \t\n") != std::string::npos) {
        recover([&] { answer(line); });
      }
    }
  }

 private:
  Input::Got read_line(const char* prompt, std::string& line) {
    if (editing_)
      return editor_.read(fmt::format("\033[1m{}\033[0m ", prompt), static_cast<int>(std::strlen(prompt)) + 1, line);
    fmt::print("{} ", prompt);
    std::fflush(stdout);
    const Input::Got got = input_.line(line);
    if (got != Input::Got::kByte) fmt::print("\n");
    return got;
  }

  // One turn: a line, with those that a backslash at its end joins to it, or all between two lines of """.
  Input::Got read_turn(std::string& turn) {
    Input::Got got = read_line(">", turn);
    if (got != Input::Got::kByte) return got;
    std::string line;
    if (const bool block = turn.starts_with(kBlock); block) {
      turn.erase(0, kBlock.size());
      while (!turn.ends_with(kBlock)) {
        if (got = read_line("...", line); got != Input::Got::kByte) return got;
        turn += (turn.empty() ? "" : "\n") + line;
      }
      turn.resize(turn.size() - kBlock.size());
      if (turn.ends_with('\n')) turn.pop_back();
    } else {
      while (turn.ends_with('\\')) {
        if (got = read_line("...", line); got != Input::Got::kByte) return got;
        turn.back() = '\n';
        turn += line;
      }
    }
    if (turn.find_first_not_of(" \t\n") != std::string::npos) remember(turn);
    return got;
  }

  void remember(const std::string& turn) {
    if (editor_.history.empty() || editor_.history.back() != turn) editor_.history.push_back(turn);
    if (history_ != nullptr) recover([&] { history_->add(turn); });
  }

  void note(const std::string& text) const {
    if (terminal_) {
      fmt::print("\033[2m{}\033[0m\n", text);
    } else {
      fmt::print(stderr, "{}\n", text);
    }
  }

  // At a terminal a mistake costs a line, not the conversation; a pipe's reader must learn of it by the exit status.
  template <typename Action>
  void recover(const Action& action) const {
    try {
      action();
    } catch (const UserError& error) {
      if (!terminal_) throw;
      note(error.what());
    }
  }

  void command(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/help") {
      fmt::print(terminal_ ? stdout : stderr, "{}", kHelp);
    } else if (name == "/reset") {
      session_.reset();
      note("forgotten");
    } else if (name == "/system") {
      session_.set_system(value);
      note(value.empty() ? "no instructions; begun anew" : "instructions set; begun anew");
    } else if (name == "/save") {
      save(value);
    } else if (name == "/adapter" && (value == "on" || value == "off")) {
      session_.use_adapter(value == "on");
      note("the adapter is " + value);
    } else if (name == "/adapter" && value.empty()) {
      note(session_.adapter_on() ? "the adapter is on" : "the adapter is off");
    } else if (name == "/adapter") {
      throw UserError("[/adapter] expected on or off, got {}; another adapter is for `attune chat --adapter`", value);
    } else {
      throw UserError("[{}] is no command; /help lists them", line);
    }
  }

  // Files of others are left alone; the one this chat wrote is replaced.
  void save(const std::string& name) {
    if (name.empty()) throw UserError("[/save] expected the name of a file");
    if (name != saved_ && fs::exists(name)) throw UserError("[{}] exists; choose another name", name);
    write_file_atomic(name, to_json_line(to_json(Conversation{session_.messages()})) + "\n");
    saved_ = name;
    note("saved to " + name);
  }

  void answer(const std::string& text) {
    const ChatSession::Turn turn = session_.say(text, [&](std::string_view piece) {
      std::string shown(piece);
      if (!terminal_) std::replace(shown.begin(), shown.end(), '\n', ' ');
      fmt::print("{}", shown);
      std::fflush(stdout);
    });
    fmt::print("\n");
    std::fflush(stdout);
    if (termination_requested()) throw Interrupted("[chat] stopped");
    clear_interrupt();
    const Generated& generated = turn.answer.generated;
    if (turn.forgotten > 0) {
      note(fmt::format("the context of {} tokens is full: the oldest {} exchanges are forgotten", session_.context(),
                       turn.forgotten));
    }
    if (!terminal_) {
      if (generated.reason == FinishReason::kInterrupted) throw Interrupted("[chat] stopped");
      return;
    }
    const char* const end = generated.reason == FinishReason::kStop          ? ""
                            : generated.reason == FinishReason::kInterrupted ? ", stopped by you"
                                                                             : ", cut at the limit";
    const double rate = turn.answer.tokens_per_second();
    note(fmt::format("{} token{}, {}context {} of {}{}", generated.tokens.size(),
                     generated.tokens.size() == 1 ? "" : "s", rate > 0 ? fmt::format("{:.1f} tokens/s, ", rate) : "",
                     session_.context_used(), session_.context(), end));
  }

  static constexpr std::string_view kBlock = "\"\"\"";

  ChatSession& session_;
  bool terminal_, editing_ = false;
  ChatHistory* history_;
  Input input_{STDIN_FILENO};
  LineEditor editor_{input_};
  std::string saved_;  // the file of the last /save
};

void run_chat(ChatArguments& options) {
  settle(options.speak);
  const ModelConfig config = load_model_config(options.speak.model);
  context_of(options.speak, config);
  require_chat_template(options.speak.model, "continue a text with attune generate --raw");
  const Quantization quantization = quantization_of(options.speak, config);
  ChatModel model(options.speak.model, quantization, adapter_of(options.speak));
  ChatSession session(model, options.speak, options.system);
  const bool terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
  if (terminal) {
    fmt::print("{}: {} parameters{}{}. /help lists the commands, Ctrl-D leaves.\n", options.speak.model,
               with_commas(parameter_count(config)),
               quantization == Quantization::kNF4    ? ", nf4"
               : quantization == Quantization::kInt8 ? ", int8"
                                                     : "",
               model.adapter ? ", adapter " + options.speak.adapter : "");
  }
  watch_interrupts();
  ::umask(077);  // what a conversation leaves behind, its history and /save, is its owner's alone
  std::optional<ChatHistory> history;
  if (const auto path = chat_history_path(); path && terminal && !options.no_history) history.emplace(*path);
  Chat(session, terminal, history ? &*history : nullptr)();
}

}  // namespace

void add_chat_command(CLI::App& app) {
  const auto options = std::make_shared<ChatArguments>();
  CLI::App* const command = app.add_subcommand("chat", "Talk to a model, with or without its adapter");
  add_speak_options(*command, options->speak);
  command->add_option("--system", options->system, "Instructions before the conversation");
  command->add_flag("--no-history", options->no_history,
                    "Keep no history of what is typed (else in ~/.local/state/attune/chat_history, for you alone)");
  command->footer(
      std::string("Example: attune chat models/base --adapter runs/pete/adapter\n\nIn the chat:\n") + kHelp +
      "\nA line may go on after a backslash at its end, or between two lines of \"\"\"; Up and Down walk through the "
      "history.\n"
      "When a conversation outgrows the context, its oldest exchanges are forgotten, with a note. Without a "
      "terminal\nevery line of standard input is a turn and every answer is one line (its line breaks become "
      "spaces).");
  command->callback([options] { run_chat(*options); });
}

}  // namespace attune
