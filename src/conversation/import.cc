#include "conversation/import.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "conversation/split.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr std::size_t kMaxListedSenders = 12;
constexpr std::size_t kMaxListedChats = 12;
constexpr const char* kRedactionMap = ".redactions.json";  // no data file: its name begins with a dot

void check_options(const ImportOptions& options) {
  if (options.paths.empty()) throw UserError("[import] expected at least one export to read");
  if (options.output.empty()) throw UserError("[-o] expected the name of the folder to write");
  if (options.windows.min_exchanges < 1 || options.windows.max_exchanges < options.windows.min_exchanges) {
    throw UserError("[--exchanges] expected MIN-MAX with 1 <= MIN <= MAX, got {}-{}", options.windows.min_exchanges,
                    options.windows.max_exchanges);
  }
  if (options.windows.overlap < 0 || options.windows.overlap >= options.windows.max_exchanges) {
    throw UserError("[--overlap] expected 0 to {}, less than a window has exchanges, got {}",
                    options.windows.max_exchanges - 1, options.windows.overlap);
  }
  if (!is_valid_utf8(options.windows.system)) throw UserError("[--system] expected UTF-8");
  if (options.windows.session_gap < 1) throw UserError("[--session-gap] expected a time above 0");
  if (!(options.valid_share >= 0 && options.valid_share <= 0.5)) {
    throw UserError("[--valid-share] expected 0 to 0.5, got {}", options.valid_share);
  }
  if (fs::exists(fs::symlink_status(options.output))) {
    throw UserError("[{}] already exists; choose another name or remove it", options.output.string());
  }
}

Imported read_all(const ImportOptions& options) {
  Imported all;
  for (const fs::path& path : options.paths) {
    Imported more = read_export(path, options.from, {options.date_order, options.me, options.columns});
    std::move(more.logs.begin(), more.logs.end(), std::back_inserter(all.logs));
    std::move(more.rows.begin(), more.rows.end(), std::back_inserter(all.rows));
  }
  return all;
}

using Senders = std::vector<std::pair<std::string, std::uint64_t>>;

std::string only_digits(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') digits += c;
  }
  return digits;
}

// A phone number may be typed without its spaces and dashes.
bool same_person(const std::string& sender, const std::string& wanted) {
  if (fold_name(sender) == fold_name(wanted)) return true;
  const bool phone = sender.find_first_not_of("+0123456789 -()") == std::string::npos;
  return phone && only_digits(sender).size() >= 7 && only_digits(sender) == only_digits(wanted);
}

// The names in the chats that `me` means. UserError with the senders found when one of them is nobody.
std::vector<std::string> find_me(const std::vector<std::string>& me, const Senders& senders) {
  std::vector<std::string> found;
  for (const std::string& wanted : me) {
    const std::size_t before = found.size();
    for (const auto& [sender, count] : senders) {
      if (same_person(sender, wanted)) found.push_back(sender);
    }
    if (found.size() > before) continue;
    std::vector<std::string> names, folded;
    for (const auto& [sender, count] : senders) names.push_back(sender), folded.push_back(fold_name(sender));
    std::string list;
    for (std::size_t i = 0; i < std::min(senders.size(), kMaxListedSenders); ++i) {
      list += fmt::format("{}{} ({})", i == 0 ? "" : ", ", senders[i].first, senders[i].second);
    }
    if (senders.size() > kMaxListedSenders) list += fmt::format(" and {} more", senders.size() - kMaxListedSenders);
    const auto near = nearest_name(fold_name(wanted), folded);
    const auto at = near ? std::find(folded.begin(), folded.end(), *near) - folded.begin() : -1;
    throw UserError("[--me] expected the name of a sender, got \"{}\"{}; the senders are {}", wanted,
                    at < 0 ? "" : fmt::format("; did you mean \"{}\"?", names[static_cast<std::size_t>(at)]), list);
  }
  return found;
}

void count_rows(const std::vector<ConversationRows>& files, ImportLedger& ledger) {
  for (const ConversationRows& file : files) {
    ledger.chats.push_back({file.source, file.format, "", "", 0, file.list.size(), 0, 0});
    ledger.records += file.list.size();
    ledger.rows += file.list.size();
  }
}

// Conversations that were some before: each is a session of its own, in the order of the files. They hold no
// messages of a log, so none of the ledger's messages are theirs: no exchanges.
void add_rows(std::vector<ConversationRows> files, Redactor* redactor, SessionPool& pool) {
  std::int64_t number = 0;
  for (ConversationRows& file : files) {
    for (Conversation& row : file.list) {
      MessageSession session{number++, {}, {}};
      Window& window = session.windows.emplace_back();
      window.messages = std::move(row.messages);
      for (Message& message : window.messages) {
        if (redactor != nullptr) redactor->redact(message.content);
      }
      pool.add(session);
    }
  }
}

void write_lines(const fs::path& path, const ConversationStore& store, const std::vector<std::uint32_t>& numbers) {
  AtomicFile file(path);
  for (const std::uint32_t number : numbers) file.write(store.line(number));
  file.commit();
}

}  // namespace

ImportLedger import_chats(const ImportOptions& options) {
  check_options(options);
  Imported imported = read_all(options);
  if (options.me.empty() && !imported.logs.empty()) {
    throw UserError("[--me] expected the name of the person that the model learns to be");
  }
  std::vector<ChatLog> logs = merge_logs(std::move(imported.logs), options.aliases);

  ImportLedger ledger;
  for (const ChatLog& log : logs) {
    // Of a log that was merged into another one these are the messages that it contributed.
    const std::uint64_t own = log.entries - std::accumulate(log.dropped.begin(), log.dropped.end(), std::uint64_t{0});
    ledger.chats.push_back({log.source, log.format, log.dates, log.clock, log.lines, log.records, log.entries, own});
    ledger.lines += log.lines;
    ledger.records += log.records;
    ledger.entries += log.entries;
    ledger.messages += log.messages.size();
    ledger.edited += log.edited;
    for (std::size_t i = 0; i < kDropReasons; ++i) ledger.dropped[i] += log.dropped[i];
  }
  ledger.senders = count_senders(logs);
  count_rows(imported.rows, ledger);
  if (ledger.messages == 0 && ledger.rows == 0) {
    throw UserError("[{}] the export holds no message: {} entries, all of them notices, media or deleted",
                    options.paths.front().string(), ledger.entries);
  }
  if (ledger.messages > 0) ledger.me = find_me(with_aliases(options.me, options.aliases), ledger.senders);

  std::optional<Redactor> redactor;
  if (options.privacy.redact) {
    std::vector<std::string> names;
    for (const auto& [name, count] : ledger.senders) names.push_back(name);
    redactor = make_redactor(options.privacy, names);
    redact_logs(logs, ledger.me, options.privacy, *redactor);
    for (std::size_t i = 0; i < logs.size(); ++i) ledger.chats[i].source = logs[i].source;
    for (std::size_t i = logs.size(); i < ledger.chats.size(); ++i) redactor->redact(ledger.chats[i].source);
    ledger.senders = count_senders(logs);
    ledger.redacted = true;
  }
  SessionPool pool;
  add_rows(std::move(imported.rows), redactor ? &*redactor : nullptr, pool);
  if (redactor) ledger.redactions = redactor->counts();

  WindowOptions windows = options.windows;
  ledger.gap.seconds = windows.session_gap;
  if (options.learn_gap) {
    ledger.gap = learn_session_gap(logs, windows.session_gap);
    windows.session_gap = ledger.gap.seconds;
  }
  for (const ChatLog& log : logs) {
    const SessionCounts made =
        make_sessions(log, ledger.me, windows, [&](const MessageSession& session) { pool.add(session); });
    ledger.used += made.used;
    for (std::size_t i = 0; i < kDropReasons; ++i) ledger.dropped[i] += made.dropped[i];
  }
  if (pool.sessions().empty()) {
    throw UserError("[{}] no conversation: {} never answers anybody within {} hours", options.paths.front().string(),
                    ledger.me.front(), static_cast<double>(windows.session_gap) / 3600);
  }
  const DatasetSplit split = split_sessions(pool, {options.valid_share, options.drop_duplicates});
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    ledger.dropped[i] += split.dropped[i];
    ledger.used -= split.dropped[i];
  }
  ledger.sessions = split.sessions;
  ledger.repeated = split.repeated;
  ledger.near_repeated = split.near_repeated;
  ledger.train = split.train.size();
  ledger.valid = split.valid.size();
  Sha256 train, all;
  for (const std::uint32_t number : split.train) {
    train.update(pool.conversations().line(number));
    all.update(pool.conversations().line(number));
  }
  for (const std::uint32_t number : split.valid) all.update(pool.conversations().line(number));
  ledger.train_digest = train.hex();
  ledger.digest = all.hex();

  AtomicFolder folder(options.output);
  write_lines(folder.temporary() / "train.jsonl", pool.conversations(), split.train);
  if (!split.valid.empty()) write_lines(folder.temporary() / "valid.jsonl", pool.conversations(), split.valid);
  if (redactor && !redactor->empty()) {
    write_private_file_atomic(folder.temporary() / kRedactionMap, redactor->to_json().dump(2) + "\n");
  }
  write_file_atomic(folder.temporary() / "ledger.json", to_json(ledger).dump(2) + "\n");
  folder.commit();
  return ledger;
}

Json to_json(const ImportLedger& ledger) {
  Json chats = Json::array();
  for (const auto& chat : ledger.chats) {
    chats.push_back(Json{{"source", to_valid_utf8(chat.source)},
                         {"format", chat.format},
                         {"dates", chat.dates},
                         {"clock", chat.clock},
                         {"lines", chat.lines},
                         {"records", chat.records},
                         {"entries", chat.entries},
                         {"messages", chat.messages}});
  }
  Json dropped = Json::object(), senders = Json::object();
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    if (ledger.dropped[i] > 0) dropped[std::string(drop_name(static_cast<Drop>(i)))] = ledger.dropped[i];
  }
  for (const auto& [name, count] : ledger.senders) senders[name] = count;
  Json redacted = Json::object();
  for (std::size_t i = 0; i < kPrivateKinds; ++i) {
    const RedactionCount& count = ledger.redactions[i];
    if (count.replaced == 0) continue;
    redacted[std::string(private_kind_name(static_cast<PrivateKind>(i)))] =
        Json{{"replaced", count.replaced}, {"values", count.values}};
  }
  return Json{{"lines", ledger.lines},
              {"records", ledger.records},
              {"rows", ledger.rows},
              {"entries", ledger.entries},
              {"messages", ledger.messages},
              {"used", ledger.used},
              {"dropped", std::move(dropped)},
              {"edited", ledger.edited},
              {"sessions", ledger.sessions},
              {"conversations", Json{{"train", ledger.train},
                                     {"valid", ledger.valid},
                                     {"repeated", ledger.repeated},
                                     {"near_repeated", ledger.near_repeated}}},
              {"session_gap",
               Json{{"seconds", ledger.gap.seconds}, {"learnt", ledger.gap.valley}, {"pauses", ledger.gap.pauses}}},
              {"redacted", ledger.redacted ? std::move(redacted) : Json(false)},
              {"me", ledger.me},
              {"senders", std::move(senders)},
              {"sha256", ledger.digest},
              {"train_sha256", ledger.train_digest},
              {"chats", std::move(chats)}};
}

namespace {

std::string private_text(const ImportLedger& ledger) {
  if (!ledger.redacted) return "Private values\n  were left as they are (--no-redact)\n";
  std::string text = "Private values\n";
  bool any = false;
  for (std::size_t i = 0; i < kPrivateKinds; ++i) {
    const RedactionCount& count = ledger.redactions[i];
    if (count.replaced == 0) continue;
    text += fmt::format("  {:<14}{:>9}  replaced, {} different\n", private_kind_name(static_cast<PrivateKind>(i)),
                        count.replaced, count.values);
    any = true;
  }
  text += any ? fmt::format("  what they were is in {}, for your eyes only\n", kRedactionMap)
              : "  none found: no phone, e-mail, account, card, key, secret link, place or address\n";
  return text;
}

}  // namespace

std::string to_text(const ImportLedger& ledger) {
  std::string text;
  std::vector<const ImportLedger::Chat*> chats;
  for (const auto& chat : ledger.chats) chats.push_back(&chat);
  if (chats.size() > kMaxListedChats) {
    std::stable_sort(chats.begin(), chats.end(), [](auto a, auto b) { return a->messages > b->messages; });
  }
  for (std::size_t i = 0; i < std::min(chats.size(), kMaxListedChats); ++i) {
    const ImportLedger::Chat& chat = *chats[i];
    text += fmt::format("{}\n  {}; {}{}\n", chat.source, chat.format,
                        chat.lines > 0 ? counted(chat.lines, "line") : counted(chat.records, "record"),
                        chat.entries > 0 ? ", " + counted(chat.messages, "message") : "");
    if (!chat.dates.empty()) text += fmt::format("  dates  {}\n", chat.dates);
    if (!chat.clock.empty()) text += fmt::format("  clock  {}\n", chat.clock);
  }
  if (chats.size() > kMaxListedChats) {
    text += fmt::format("and {} with fewer messages; ledger.json names all\n",
                        counted(chats.size() - kMaxListedChats, "chat"));
  }
  const auto row = [&](std::string_view name, std::uint64_t count, std::string_view note) {
    text += fmt::format("  {:<14}{:>9}{}{}\n", name, count, note.empty() ? "" : "  ", note);
  };
  text += "Ledger\n";
  if (ledger.lines > 0) row("lines read", ledger.lines, "");
  if (ledger.records > 0) row("records read", ledger.records, "");
  if (ledger.entries > 0) row("dated entries", ledger.entries, "");
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    if (ledger.dropped[i] > 0)
      row(fmt::format("- {}", drop_name(static_cast<Drop>(i))), ledger.dropped[i],
          drop_explanation(static_cast<Drop>(i)));
  }
  if (ledger.rows > 0) row("rows", ledger.rows, "conversations already, each a session");
  if (ledger.entries > 0) row("= used", ledger.used, "messages in " + counted(ledger.sessions, "session"));
  row("conversations", ledger.train + ledger.valid,
      fmt::format("{} to train, {} held out", ledger.train, ledger.valid));
  if (ledger.gap.pauses > 0) {
    text += fmt::format("  {:<14}{:>9}  {}\n", "session gap", format_duration(static_cast<double>(ledger.gap.seconds)),
                        ledger.gap.valley ? fmt::format("learnt from {} pauses", ledger.gap.pauses)
                                          : "the pauses show no valley to learn it from");
  }
  text += fmt::format("  {:<14}{:>9}  names these conversations (SHA-256)\n", "data set", ledger.digest.substr(0, 8));
  text += private_text(ledger);
  if (!ledger.senders.empty()) text += "Senders\n";
  for (std::size_t i = 0; i < ledger.senders.size(); ++i) {
    const auto& [name, count] = ledger.senders[i];
    const bool me = std::find(ledger.me.begin(), ledger.me.end(), name) != ledger.me.end();
    if (i >= kMaxListedSenders && !me) continue;
    text += fmt::format("  {:>9}  {}{}\n", count, name, me ? "  (the assistant)" : "");
  }
  if (ledger.senders.size() > kMaxListedSenders) text += fmt::format("  {} senders in all\n", ledger.senders.size());
  return text;
}

}  // namespace attune
