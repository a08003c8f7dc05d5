#include "synth/synth.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "conversation/dataset.h"
#include "synth/duplicates.h"
#include "synth/grounding.h"
#include "synth/model_text.h"

namespace attune {
namespace {

constexpr int kAttempts = 2;                      // to get JSON for a chunk
constexpr std::uint64_t kMostFailures = 10;       // in a row, after which nothing more is asked
constexpr std::int64_t kReplyTokensGuessed = 90;  // of one exchange, for estimates

struct Candidate {
  Conversation conversation;
  std::optional<double> score;
};

// What became of one chunk.
struct Item {
  enum class State : std::uint8_t { kNotAsked, kAnswered, kNoJson, kFailed };
  State state = State::kNotAsked;
  std::uint64_t written = 0;  // conversations
  std::array<std::uint64_t, kUnfitReasons> unfit{};
  std::vector<Candidate> fit;
};

std::size_t index(Unfit reason) { return static_cast<std::size_t>(reason); }

struct Stopped {};  // no further call is to be made; the chunk counts as not asked

ModelCall asking_call(const SynthOptions& options, const Chunk& chunk) {
  const bool alone = options.turns == 1;
  const std::string count = std::to_string(alone ? options.pairs : options.turns);
  const std::string text =
      fill_prompt(alone ? options.prompts.pairs : options.prompts.conversation,
                  {{"document", chunk.document}, {"heading", chunk.heading}, {"chunk", chunk.text}, {"count", count}});
  return {{{"user", text}}, options.temperature, options.max_tokens, 0};
}

std::string shown(const Conversation& conversation) {
  std::string text;
  for (const Message& message : conversation.messages) {
    text += fmt::format("{}: {}\n\n", message.role == "user" ? "Question" : "Answer", message.content);
  }
  return text;
}

ModelCall judging_call(const SynthOptions& options, const Chunk& chunk, const Conversation& conversation) {
  const std::string text = fill_prompt(options.prompts.judge, {{"document", chunk.document},
                                                               {"heading", chunk.heading},
                                                               {"chunk", chunk.text},
                                                               {"conversation", shown(conversation)}});
  // The most likely judgement, where the endpoint lets a temperature be named at all.
  return {{{"user", text}}, options.temperature ? std::optional<double>(0) : std::nullopt, options.max_tokens, 0};
}

std::vector<Conversation> conversations_from(const std::vector<Exchange>& exchanges, const SynthOptions& options) {
  std::vector<Conversation> conversations;
  for (const Exchange& exchange : exchanges) {
    const bool begins = conversations.empty() || options.turns == 1;
    if (begins) conversations.emplace_back();
    conversations.back().messages.push_back({"user", exchange.question});
    conversations.back().messages.push_back({"assistant", exchange.answer});
  }
  return conversations;
}

std::string words_of_role(const Conversation& conversation, std::string_view role) {
  std::string text;
  for (const Message& message : conversation.messages) {
    if (message.role == role) text += message.content + '\n';
  }
  return text;
}

// All that is asked, by several threads.
class Work {
 public:
  Work(const SynthOptions& options, const SynthSource& source, Journal& journal, LanguageModel& writer,
       LanguageModel& judge, const std::function<void(const SynthProgress&)>& on_progress)
      : options_(options),
        source_(source),
        journal_(journal),
        writer_(writer),
        judge_(judge),
        on_progress_(on_progress),
        budget_(options.max_cost, options.prices.cost(journal.totals().prompt_tokens, journal.totals().reply_tokens)),
        any_reply_(journal.totals().calls > 0),
        items_(source.chunks.size()) {}

  std::vector<Item> run() {
    std::vector<std::thread> threads;
    const auto count = std::min<std::size_t>(static_cast<std::size_t>(options_.concurrency), items_.size());
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (fatal_) std::rethrow_exception(fatal_);
    return std::move(items_);
  }

  const std::string& last_failure() const { return last_failure_; }

 private:
  void work() {
    while (!stop_) {
      const std::size_t i = next_++;
      if (i >= items_.size()) return;
      try {
        report(i, process(source_.chunks[i]));
      } catch (const Stopped&) {
        stop_ = true;
      } catch (const CallFailed& failure) {
        note_failure(i, failure);
      } catch (...) {
        end(std::current_exception());
      }
    }
  }

  void end(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = std::move(why);
    stop_ = true;
  }

  void note_failure(std::size_t i, const CallFailed& failure) {
    {
      const std::lock_guard lock(mutex_);
      last_failure_ = failure.what();
      if (!any_reply_ || ++failures_in_a_row_ >= kMostFailures) {
        const UserError why("{}; the same command again goes on from here", failure.what());
        if (!fatal_) fatal_ = std::make_exception_ptr(why);
        stop_ = true;
        return;
      }
    }
    Item item;
    item.state = Item::State::kFailed;
    report(i, std::move(item));
  }

  void report(std::size_t i, Item item) {
    const std::lock_guard lock(mutex_);
    ++progress_.chunks;
    progress_.all_chunks = items_.size();
    progress_.kept += item.fit.size();
    progress_.unfit += item.written - item.fit.size();
    progress_.cost = budget_.spent();
    if (item.state != Item::State::kFailed) failures_in_a_row_ = 0;
    items_[i] = std::move(item);
    if (on_progress_) on_progress_(progress_);
  }

  // From the journal, or asked now.
  ModelReply reply(LanguageModel& model, ModelCall call, int attempt) {
    const std::string key = call_key(model.name(), call, attempt);
    if (auto known = journal_.find(key)) return *std::move(known);
    if (interrupt_requested()) throw Interrupted("[synth] stopped");
    if (stop_) throw Stopped();
    call.seed = std::stoull(key.substr(0, 15), nullptr, 16);
    const double most = options_.prices.cost(most_tokens(call.messages), call.max_tokens);
    if (!budget_.reserve(most)) throw Stopped();
    ModelReply reply;
    try {
      reply = model.reply(call);
      journal_.add(key, reply);
    } catch (...) {
      budget_.settle(most, 0);
      throw;
    }
    budget_.settle(most, options_.prices.cost(reply.prompt_tokens, reply.reply_tokens));
    any_reply_ = true;
    return reply;
  }

  Item process(const Chunk& chunk) {
    Item item;
    const ModelCall call = asking_call(options_, chunk);
    std::vector<Exchange> exchanges;
    for (int attempt = 0; attempt < kAttempts && exchanges.empty(); ++attempt) {
      exchanges = parse_exchanges(reply(writer_, call, attempt).text);
    }
    item.state = exchanges.empty() ? Item::State::kNoJson : Item::State::kAnswered;
    const Source source(chunk.document + "\n" + chunk.heading + "\n" + chunk.text);
    for (Conversation& conversation : conversations_from(exchanges, options_)) {
      ++item.written;
      if (options_.grounding && source.missing(words_of_role(conversation, "assistant"))) {
        ++item.unfit[index(Unfit::kUngrounded)];
        continue;
      }
      std::optional<double> score;
      if (options_.judge_threshold > 0) {
        score = parse_score(reply(judge_, judging_call(options_, chunk, conversation), 0).text);
        if (!score || *score < options_.judge_threshold) {
          ++item.unfit[index(Unfit::kLowScore)];
          continue;
        }
      }
      item.fit.push_back({std::move(conversation), score});
    }
    return item;
  }

  const SynthOptions& options_;
  const SynthSource& source_;
  Journal& journal_;
  LanguageModel& writer_;
  LanguageModel& judge_;
  const std::function<void(const SynthProgress&)>& on_progress_;
  Budget budget_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> any_reply_;  // ever: when the first call of all fails, the options are to blame and it ends
  std::mutex mutex_;             // of what follows
  std::vector<Item> items_;
  std::exception_ptr fatal_;
  std::string last_failure_;
  std::uint64_t failures_in_a_row_ = 0;
  SynthProgress progress_;
};

struct Row {
  std::size_t chunk;
  Candidate candidate;
};

// Counts what became of the chunks and leaves out what was said before, in the order of the chunks.
std::vector<Row> settle(std::vector<Item> items, SynthLedger& ledger) {
  std::vector<Row> rows;
  Duplicates duplicates;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Item& item = items[i];
    ledger.answered += item.state == Item::State::kAnswered;
    ledger.no_json += item.state == Item::State::kNoJson;
    ledger.failed += item.state == Item::State::kFailed;
    ledger.not_asked += item.state == Item::State::kNotAsked;
    ledger.conversations += item.written;
    for (std::size_t k = 0; k < kUnfitReasons; ++k) ledger.unfit[k] += item.unfit[k];
    for (Candidate& candidate : item.fit) {
      const Repeats repeats = duplicates.add(words_of_role(candidate.conversation, "user"),
                                             words_of_role(candidate.conversation, "assistant"));
      if (repeats == Repeats::kNothing) {
        rows.push_back({i, std::move(candidate)});
      } else {
        ++ledger.unfit[index(repeats == Repeats::kQuestion ? Unfit::kSameQuestion : Unfit::kNearlySame)];
      }
    }
  }
  return rows;
}

// How many rows are to train: those of the last chunks are held out, a chunk never on both sides.
std::size_t training_rows(const std::vector<Row>& rows, double valid_share) {
  std::vector<std::size_t> begins;  // of each chunk's rows
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].chunk != rows[i - 1].chunk) begins.push_back(i);
  }
  std::size_t held_out = static_cast<std::size_t>(static_cast<double>(begins.size()) * valid_share + 0.5);
  if (valid_share > 0 && held_out == 0) held_out = 1;
  return held_out == 0 || held_out >= begins.size() ? rows.size() : begins[begins.size() - held_out];
}

std::string line_of(const Row& row, const Chunk& chunk, const SynthLedger& ledger) {
  Json source{{"document", chunk.document}, {"chunk", chunk.number}};
  if (!chunk.heading.empty()) source["heading"] = chunk.heading;
  source["model"] = ledger.model;
  source["prompts"] = ledger.prompts;
  if (row.candidate.score) source["score"] = *row.candidate.score;
  Json line = to_json(row.candidate.conversation);
  line["source"] = std::move(source);
  return to_json_line(line) + "\n";
}

void write(const SynthOptions& options, const SynthSource& source, const std::vector<Row>& rows, SynthLedger& ledger) {
  const std::size_t train = training_rows(rows, options.valid_share);
  std::vector<Conversation> trained;
  std::string train_lines, valid_lines;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    (i < train ? train_lines : valid_lines) += line_of(rows[i], source.chunks[rows[i].chunk], ledger);
    if (i < train) trained.push_back(rows[i].candidate.conversation);
  }
  ledger.train = train;
  ledger.valid = rows.size() - train;
  ledger.train_digest = dataset_digest(trained);
  const fs::path valid = options.output / "valid.jsonl";
  std::error_code ignored;
  if (valid_lines.empty()) {
    fs::remove(valid, ignored);  // of an earlier run
  } else {
    write_file_atomic(valid, valid_lines);
  }
  write_file_atomic(options.output / "ledger.json", to_json(ledger).dump(2) + "\n");
  write_file_atomic(options.output / "train.jsonl", train_lines);
}

void check_range(const char* option, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most) throw UserError("[{}] expected {} to {}, got {}", option, least, most, value);
}

void check_number(const char* option, double value, double least, double most) {
  if (!(value >= least && value <= most)) throw UserError("[{}] expected {} to {}, got {}", option, least, most, value);
}

}  // namespace

void check_synth_options(const SynthOptions& options) {
  check_chunk_options(options.chunks);
  check_range("--limit", options.limit, 0, 1'000'000'000);
  check_range("--pairs", options.pairs, 1, 50);
  check_range("--turns", options.turns, 1, 50);
  check_range("--max-tokens", options.max_tokens, 16, 1'000'000);
  check_range("--concurrency", options.concurrency, 1, 256);
  if (options.temperature) check_number("--temperature", *options.temperature, 0, 5);
  check_number("--judge-threshold", options.judge_threshold, 0, 10);
  check_number("--valid-share", options.valid_share, 0, 0.5);
  check_number("--price-in", options.prices.in, 0, 1e9);
  check_number("--price-out", options.prices.out, 0, 1e9);
  if (options.max_cost) {
    check_number("--max-cost", *options.max_cost, 0, 1e9);
    if (options.prices.in + options.prices.out == 0) {
      throw UserError("[--max-cost] needs --price-in and --price-out, the prices of a million tokens");
    }
  }
  if (fs::exists(fs::symlink_status(options.output)) && !fs::is_regular_file(options.output / "journal")) {
    throw UserError("[{}] already exists and holds no attune synth to go on with; choose another name or remove it",
                    options.output.string());
  }
}

SynthSource read_source(const SynthOptions& options) {
  SynthSource source;
  const DocumentFiles found = find_documents(options.documents);
  for (const fs::path& path : found.ignored) source.ignored.push_back(path.string());
  for (const fs::path& path : found.files) {
    try {
      std::vector<Chunk> chunks = chunks_of(read_document(path), options.chunks);
      std::move(chunks.begin(), chunks.end(), std::back_inserter(source.chunks));
      ++source.documents;
    } catch (const BadFile& error) {
      if (!options.skip_unreadable) throw;
      source.unreadable.push_back(error.what());
    }
  }
  if (source.chunks.empty())
    throw UserError("[{}] there is nothing but headings to ask about", options.documents.front().string());
  source.all_chunks = source.chunks.size();
  if (options.limit > 0 && source.all_chunks > static_cast<std::uint64_t>(options.limit)) {
    source.chunks.resize(static_cast<std::size_t>(options.limit));
  }
  return source;
}

SynthEstimate estimate(const SynthOptions& options, const SynthSource& source) {
  SynthEstimate estimate;
  const std::int64_t exchanges = options.turns == 1 ? options.pairs : options.turns;
  const std::int64_t conversations = options.turns == 1 ? options.pairs : 1;
  for (const Chunk& chunk : source.chunks) {
    ++estimate.calls;
    estimate.prompt_tokens += estimated_tokens(asking_call(options, chunk).messages);
    estimate.reply_tokens += exchanges * kReplyTokensGuessed;
    if (options.judge_threshold == 0) continue;
    estimate.calls += conversations;
    estimate.prompt_tokens +=
        conversations * estimated_tokens(judging_call(options, chunk, {}).messages) + exchanges * kReplyTokensGuessed;
    estimate.reply_tokens += conversations * kReplyTokensGuessed;
  }
  estimate.cost = options.prices.cost(estimate.prompt_tokens, estimate.reply_tokens);
  return estimate;
}

SynthLedger make_conversations(const SynthOptions& options, const SynthSource& source, LanguageModel& writer,
                               LanguageModel& judge, const std::function<void(const SynthProgress&)>& on_progress) {
  Journal journal(options.output / "journal");
  SynthLedger ledger;
  ledger.documents = source.documents;
  ledger.ignored = source.ignored.size();
  ledger.unreadable = source.unreadable.size();
  ledger.chunks = source.chunks.size();
  ledger.model = writer.name();
  if (options.judge_threshold > 0) ledger.judge = judge.name();
  ledger.prompts = options.prompts.version;

  Work work(options, source, journal, writer, judge, on_progress);
  const std::vector<Row> rows = settle(work.run(), ledger);
  ledger.last_failure = work.last_failure();
  ledger.totals = journal.totals();
  ledger.cost = options.prices.cost(ledger.totals.prompt_tokens, ledger.totals.reply_tokens);
  if (rows.empty()) {
    if (ledger.not_asked == ledger.chunks) {
      throw UserError("[--max-cost] {} does not cover another call; {} are spent", *options.max_cost, ledger.cost);
    }
    throw UserError(
        "[{}] no conversation was kept: of {} chunks {} were answered with {} conversations, {} of them "
        "ungrounded, {} scored too low; see {}",
        options.output.string(), ledger.chunks, ledger.answered, ledger.conversations,
        ledger.unfit[index(Unfit::kUngrounded)], ledger.unfit[index(Unfit::kLowScore)],
        (options.output / "journal").string());
  }
  write(options, source, rows, ledger);
  return ledger;
}

}  // namespace attune
