// `attune synth`: documents in, a folder of conversations about them out, written by a language model and checked.
//   OUT/train.jsonl  conversations (conversation.h), each with its "source": document, chunk, model, prompts, score
//   OUT/valid.jsonl  those of the last chunks, held out; absent when there are none
//   OUT/ledger.json  the account of everything
//   OUT/journal      every reply of the model (journal.h): the same command again asks only for what is not there
// What is kept is a function of the documents, the options and the replies: killed and started again, the files are the
// same. They appear when the work is done, each whole or not at all.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "synth/budget.h"
#include "synth/chunk.h"
#include "synth/journal.h"
#include "synth/language_model.h"
#include "synth/prompts.h"

namespace attune {

struct SynthOptions {
  std::vector<fs::path> documents;
  fs::path output;
  bool skip_unreadable = false;  // go on without documents that cannot be read
  ChunkOptions chunks;
  std::int64_t limit = 0;  // chunks asked about, from the first; 0: all
  Prompts prompts;
  std::int64_t pairs = 3;  // questions about a chunk
  std::int64_t turns = 1;  // exchanges in a conversation; above 1: one conversation about each chunk, `pairs` ignored
  std::optional<double> temperature;
  std::int64_t max_tokens = 2048;  // of a reply
  bool grounding = true;           // drop what is not in the chunk (grounding.h)
  double judge_threshold = 0;      // drop what the judge scores lower, 0 to 10; 0: no judge
  std::int64_t concurrency = 4;    // calls at once
  Prices prices;
  std::optional<double> max_cost;  // of all runs into this folder together
  double valid_share = 0.05;       // of the chunks, [0, 0.5]
};

enum class Unfit : std::uint8_t { kUngrounded, kLowScore, kSameQuestion, kNearlySame };
inline constexpr std::size_t kUnfitReasons = 4;

struct SynthSource {
  std::uint64_t documents = 0;
  std::vector<std::string> ignored, unreadable;  // files of unknown types in folders; messages, with skip_unreadable
  std::uint64_t all_chunks = 0;                  // before the limit
  std::vector<Chunk> chunks;
};

struct SynthLedger {
  std::uint64_t documents = 0, ignored = 0, unreadable = 0;
  std::uint64_t chunks = 0;  // = answered + no_json + failed + not_asked
  std::uint64_t answered = 0, no_json = 0, failed = 0, not_asked = 0;
  std::uint64_t conversations = 0;  // written by the model = train + valid + sum of unfit
  std::array<std::uint64_t, kUnfitReasons> unfit{};
  std::uint64_t train = 0, valid = 0;
  JournalTotals totals;  // of all runs into this folder
  double cost = 0;
  std::string model, judge, prompts, train_digest;
  std::string last_failure;  // of `failed`
};

struct SynthProgress {
  std::uint64_t chunks = 0, all_chunks = 0, kept = 0, unfit = 0;  // before duplicates are known
  double cost = 0;
};

struct SynthEstimate {
  std::int64_t calls = 0, prompt_tokens = 0, reply_tokens = 0;
  double cost = 0;
};

// UserError for options out of range and for an output folder that is not ours to go on with. Touches nothing.
void check_synth_options(const SynthOptions& options);

// Reads and cuts the documents. UserError or BadFile.
SynthSource read_source(const SynthOptions& options);

// What it would take, roughly: four bytes a token.
SynthEstimate estimate(const SynthOptions& options, const SynthSource& source);

// Does it. `on_progress` comes from several threads, one at a time. Throws Interrupted, after which the same call goes
// on; UserError when no call succeeds any more or when nothing was kept.
SynthLedger make_conversations(const SynthOptions& options, const SynthSource& source, LanguageModel& writer,
                               LanguageModel& judge, const std::function<void(const SynthProgress&)>& on_progress);

Json to_json(const SynthLedger& ledger);
std::string to_text(const SynthLedger& ledger);  // for people, lines ending in '\n'

}  // namespace attune
