#include "conversation/import.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "conversation/import.h"
#include "conversation/table.h"

namespace attune {
namespace {

struct ImportArguments {
  ImportOptions options;
  std::string gap = "6";
  bool no_redact = false, no_filter = false, no_dedup = false;
  std::string exchanges = "4-6";
  std::string date_order;
  std::vector<std::string> aliases;
  std::string columns;
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

// "auto", or hours.
void parse_gap(const std::string& text, ImportOptions& options) {
  if (text == "auto") {
    options.learn_gap = true;
    return;
  }
  double hours = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hours);
  const double seconds = hours * 3600;
  if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 1 && seconds < 1e12)) {
    throw UserError("[--gap] expected auto or hours above 0, got \"{}\"", text);
  }
  options.windows.session_gap = static_cast<std::int64_t>(seconds);
}

DateOrder parse_date_order(const std::string& text) {
  if (text.empty()) return DateOrder::kInfer;
  if (text == "dmy") return DateOrder::kDayMonthYear;
  if (text == "mdy") return DateOrder::kMonthDayYear;
  if (text == "ymd") return DateOrder::kYearMonthDay;
  throw UserError("[--date-order] expected dmy, mdy or ymd, got \"{}\"", text);
}

void run_import(ImportArguments& arguments) {
  ImportOptions& options = arguments.options;
  parse_exchanges(arguments.exchanges, options.windows);
  options.date_order = parse_date_order(arguments.date_order);
  if (!arguments.columns.empty()) options.columns = parse_columns(arguments.columns);
  for (const std::string& alias : arguments.aliases) options.aliases.push_back(parse_alias(alias));
  parse_gap(arguments.gap, options);
  options.windows.only_words = !arguments.no_filter;
  options.drop_duplicates = !arguments.no_dedup;
  options.privacy.redact = !arguments.no_redact;
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
  const auto arguments = std::make_shared<ImportArguments>();
  ImportOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand("import", "Chat exports -> conversations to train on");
  command->add_option("PATH", options.paths, "Exports: files, zip archives or folders; see below")->required();
  command->add_option("--me", options.me, "Who the model learns to be, as named in the chat (several: repeat it)")
      ->take_all()
      ->expected(1);
  command
      ->add_option("--alias", arguments->aliases,
                   "\"Old name=Name\": two names of one person, in one chat or several (repeat it)")
      ->take_all()
      ->expected(1);
  command->add_option("-o,--output", options.output, "Folder to write; must not exist")->required();
  command->add_option("--from", options.from, "Type of the export instead of detecting it; the types are below");
  command->add_option("--columns", arguments->columns,
                      "Columns of a table: time=NAME,sender=NAME,text=NAME,chat=NAME (those that are not found)");
  command->add_option("--date-order", arguments->date_order, "dmy, mdy or ymd instead of inferring it from the file");
  command
      ->add_option("--gap,--session-gap", arguments->gap,
                   "Hours of silence that begin a new session; auto: learnt from the chat's own pauses")
      ->capture_default_str();
  command->add_option("--exchanges", arguments->exchanges, "Exchanges (question and answer) in a conversation, MIN-MAX")
      ->capture_default_str();
  command->add_option("--overlap", options.windows.overlap, "Exchanges that a conversation shares with the one before")
      ->capture_default_str();
  command->add_option("--system", options.windows.system, "System prompt that begins every conversation");
  command->add_flag("--no-filter", arguments->no_filter,
                    "Keep exchanges that are only links, or answered by a single emoji");
  command->add_flag("--no-dedup", arguments->no_dedup, "Keep conversations that repeat another one");
  command->add_option("--valid-share", options.valid_share, "Share of the sessions held out, the last in time; 0: none")
      ->capture_default_str();
  command->add_flag("--no-redact", arguments->no_redact,
                    "Leave private values (phone numbers, accounts, ...) as they are");
  command
      ->add_option("--keep", options.privacy.keep,
                   "Exception, repeated: a kind (url, token, private-key, email, iban, card, phone, coordinates, "
                   "address, name) or a value")
      ->take_all()
      ->expected(1);
  command->add_flag("--redact-names", options.privacy.redact_names, "Pseudonyms for everybody who writes in the chats");
  command
      ->add_option("--redact-name", options.privacy.names,
                   "A pseudonym for this person too, only mentioned (repeat it)")
      ->take_all()
      ->expected(1);
  command->add_flag("--json", arguments->json, "Print the ledger as JSON");
  std::string types;
  for (const Importer& importer : importers()) types += fmt::format("  {:<15}{}\n", importer.name, importer.files);
  command->footer(
      "Types, each also in a folder or a zip archive:\n" + types +
      "Conversations need no --me. Several paths become one time line.\n"
      "\n"
      "Example:\n"
      "  attune import \"WhatsApp Chat with Anna.txt\" --me \"Pete\" -o pete-data\n"
      "\n"
      "Writes pete-data/train.jsonl, valid.jsonl and ledger.json. Notices, media and deleted messages are left out "
      "and\n"
      "counted, and conversations that repeat an earlier one, exactly or nearly. In a group, what the others say is "
      "one\n"
      "user turn with their names before it. Phone numbers, e-mail addresses, links with secrets, bank accounts, "
      "cards,\n"
      "coordinates and street addresses are replaced, each always by the same words; what they were stays in\n"
      "pete-data/.redactions.json, which only you can read.");
  command->callback([arguments] { run_import(*arguments); });
}

}  // namespace attune
