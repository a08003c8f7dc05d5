// attune chat: a conversation in the terminal, or line by line through a pipe.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/train_display.h"

namespace attune {
namespace {

struct Options {
  SpeakOptions speak;
  std::string system;
};

constexpr const char* kHelp =
    "/adapter on|off  speak with or without the adapter\n"
    "/system TEXT     set the instructions and begin anew; without TEXT: none\n"
    "/reset           forget what was said\n"
    "/help            this list\n"
    "/quit            leave (or Ctrl-D); Ctrl-C stops an answer\n";

enum class Line { kRead, kInterrupted, kEnd };

Line read_line(std::string& line) {
  if (std::getline(std::cin, line)) {
    if (line.ends_with('\r')) line.pop_back();
    return Line::kRead;
  }
  if (!interrupt_requested()) return Line::kEnd;
  // The signal broke the read off; the stream can go on.
  clear_interrupt();
  std::clearerr(stdin);
  std::cin.clear();
  return Line::kInterrupted;
}

// One chat on one input. On a terminal notes and prompts surround the text; in a pipe every line is a turn and every
// answer one line, and notes go to standard error.
class Chat {
 public:
  Chat(ChatSession& session, bool terminal) : session_(session), terminal_(terminal) {}

  void operator()() {
    std::string line;
    while (true) {
      if (terminal_) {
        fmt::print("\033[1m>\033[0m ");
        std::fflush(stdout);
      }
      const Line read = read_line(line);
      if (read == Line::kEnd) break;
      if (read == Line::kInterrupted) {
        if (!terminal_) throw Interrupted("[chat] stopped");
        fmt::print("\n");
        note("Ctrl-D or /quit leaves");
        continue;
      }
      if (line == "/quit" || line == "/exit") return;
      if (line.starts_with('/')) {
        recover([&] { command(line); });
      } else if (line.find_first_not_of(" \t") != std::string::npos) {
        recover([&] { answer(line); });
      }
    }
    if (terminal_) fmt::print("\n");
  }

 private:
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
    } else if (name == "/adapter" && (value == "on" || value == "off")) {
      session_.use_adapter(value == "on");
      note("the adapter is " + value);
    } else if (name == "/adapter" && value.empty()) {
      note(session_.adapter_on() ? "the adapter is on" : "the adapter is off");
    } else {
      throw UserError("[{}] is no command; /help lists them", line);
    }
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
    note(fmt::format("{} tokens, {:.1f} tokens/s, context {} of {}{}", generated.tokens.size(),
                     turn.answer.tokens_per_second(), session_.context_used(), session_.context(), end));
  }

  ChatSession& session_;
  bool terminal_;
};

void run(Options& options) {
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
  Chat(session, terminal)();
}

}  // namespace

void add_chat_command(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand("chat", "Talk to a model, with or without its adapter");
  add_speak_options(*command, options->speak);
  command->add_option("--system", options->system, "Instructions before the conversation");
  command->footer(
      std::string("Example: attune chat models/base --adapter runs/pete/adapter\n\nIn the chat:\n") + kHelp +
      "\nWhen a conversation outgrows the context, its oldest exchanges are forgotten, with a note. Without a "
      "terminal\nevery line of standard input is a turn and every answer is one line (its line breaks become "
      "spaces).");
  command->callback([options] { run(*options); });
}

}  // namespace attune
