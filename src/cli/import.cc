#include "cli/commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>

#include "conversation/import.h"

namespace attune {
namespace {

struct Arguments {
  ImportOptions options;
  double session_gap_hours = 6;
  std::string exchanges = "4-6";
  std::string date_order;
  bool json = false;
};

// "4-6", or "5" for both ends.
void parse_exchanges(const std::string& text, WindowOptions& windows) {
  const std::size_t dash = text.find('-');
  const auto number = [&](const std::string& part) {
    if (part.empty() || part.size() > 4 || part.find_first_not_of("0123456789") != std::string::npos) {
      throw UserError("[--exchanges] expected MIN-MAX such as 4-6, got \"{}\"", text);
    }
    return std::stoi(part);
  };
  windows.min_exchanges = number(text.substr(0, dash));
  windows.max_exchanges = dash == std::string::npos ? windows.min_exchanges : number(text.substr(dash + 1));
}

DateOrder parse_date_order(const std::string& text) {
  if (text.empty()) return DateOrder::kInfer;
  if (text == "dmy") return DateOrder::kDayMonthYear;
  if (text == "mdy") return DateOrder::kMonthDayYear;
  if (text == "ymd") return DateOrder::kYearMonthDay;
  throw UserError("[--date-order] expected dmy, mdy or ymd, got \"{}\"", text);
}

void run(Arguments& arguments) {
  ImportOptions& options = arguments.options;
  parse_exchanges(arguments.exchanges, options.windows);
  options.date_order = parse_date_order(arguments.date_order);
  const double seconds = arguments.session_gap_hours * 3600;
  if (!(seconds >= 1 && seconds < 1e12)) {
    throw UserError("[--session-gap] expected hours above 0, got {}", arguments.session_gap_hours);
  }
  options.windows.session_gap = static_cast<std::int64_t>(seconds);
  const ImportLedger ledger = import_chats(options);
  if (arguments.json) {
    fmt::print("{}\n", to_json(ledger).dump(2));
    return;
  }
  fmt::print("{}\nWrote {}; name it as `data:` in a recipe for `attune train`.\n", to_text(ledger),
             options.output.string());
}

}  // namespace

void add_import_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  ImportOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand("import", "Chat exports -> conversations to train on");
  command->add_option("PATH", options.paths, "WhatsApp .txt or .zip, or a folder of them")->required();
  command->add_option("--me", options.me, "Who the model learns to be, as named in the chat (several: repeat it)")
      ->required()
      ->take_all()
      ->expected(1);
  command->add_option("-o,--output", options.output, "Folder to write; must not exist")->required();
  command->add_option("--from", options.from, "Type of the export instead of detecting it (whatsapp)");
  command->add_option("--date-order", arguments->date_order, "dmy, mdy or ymd instead of inferring it from the file");
  command->add_option("--session-gap", arguments->session_gap_hours, "Hours of silence that begin a new session")
      ->capture_default_str();
  command->add_option("--exchanges", arguments->exchanges, "Exchanges (question and answer) in a conversation, MIN-MAX")
      ->capture_default_str();
  command->add_option("--valid-share", options.valid_share, "Share of the sessions held out, the last in time; 0: none")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Print the ledger as JSON");
  command->footer(
      "Example:\n"
      "  attune import \"WhatsApp Chat with Anna.txt\" --me \"Pete\" -o pete-data\n"
      "\n"
      "Writes pete-data/train.jsonl, valid.jsonl and ledger.json. Notices, media and deleted messages are "
      "left\n"
      "out and counted. In a group, what the others say is one user turn with their names before it.");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace attune
