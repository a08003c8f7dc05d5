#include "serve/metrics.h"

#include <fmt/format.h>

#include "base/memory_use.h"

namespace attune {
namespace {

template <typename Value>
void write_value(std::string& text, const char* name, const char* type, const char* help, const Value& value) {
  text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

}  // namespace

void DurationHistogram::observe(double seconds) {
  const std::lock_guard lock(mutex_);
  ++count_;
  sum_ += seconds;
  for (std::size_t i = 0; i < kLimits.size(); ++i) {
    if (seconds > kLimits[i]) continue;
    ++counts_[i];
    break;
  }
}

void DurationHistogram::write(std::string& text, const char* name, const char* help) const {
  const std::lock_guard lock(mutex_);
  text += fmt::format("# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kLimits.size(); ++i) {
    below += counts_[i];
    text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kLimits[i], below);
  }
  text += fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_, sum_);
}

void Metrics::count_request(const std::string& endpoint, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{endpoint, status}];
}

void Metrics::count_step(const PassReport& report, double seconds) {
  const std::lock_guard lock(mutex_);
  ++passes_;
  busy_seconds_ += seconds;
  prompt_tokens_ += static_cast<std::uint64_t>(report.prompt_tokens);
  answer_tokens_ += static_cast<std::uint64_t>(report.answer_tokens);
  guessed_ += static_cast<std::uint64_t>(report.guessed);
  accepted_ += static_cast<std::uint64_t>(report.accepted);
  batch_sum_ += static_cast<std::uint64_t>(report.answers);
  last_batch_ = report.answers;
}

void Metrics::set_load(const EngineLoad& load, std::int64_t queued) {
  const std::lock_guard lock(mutex_);
  load_ = load;
  queued_ = queued;
}

std::string Metrics::text() const {
  std::string text =
      "# HELP attune_requests_total Requests answered, by endpoint and HTTP status\n"
      "# TYPE attune_requests_total counter\n";
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : requests_) {
      text += fmt::format("attune_requests_total{{endpoint=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
    }
    const auto counter = [&](const char* name, const char* help, auto value) {
      write_value(text, name, "counter", help, value);
    };
    const auto gauge = [&](const char* name, const char* help, auto value) {
      write_value(text, name, "gauge", help, value);
    };
    counter("attune_prompt_tokens_total", "Tokens of prompts that were computed", prompt_tokens_);
    counter("attune_prompt_tokens_known_total", "Tokens of prompts that an earlier prompt had in common",
            known_tokens_.load());
    counter("attune_completion_tokens_total", "Tokens of answers", answer_tokens_);
    counter("attune_lookup_guessed_total", "Tokens guessed by prompt lookup", guessed_);
    counter("attune_lookup_accepted_total", "Guessed tokens that the model would have chosen too", accepted_);
    counter("attune_passes_total", "Forward passes", passes_);
    counter("attune_pass_seconds_total", "Time spent in forward passes", busy_seconds_);
    counter("attune_batch_answers_total", "Answers in the batch, summed over the passes", batch_sum_);
    gauge("attune_batch_answers", "Answers in the batch of the last pass", last_batch_);
    gauge("attune_queue_length", "Requests that wait for their first pass", queued_);
    gauge("attune_answers_under_way", "Answers that have pages of the cache", load_.under_way);
    gauge("attune_cache_pages", "Pages of the key/value cache", load_.pages);
    gauge("attune_cache_pages_used", "Pages in use by answers under way", load_.pages_used);
    gauge("attune_cache_pages_known", "Pages that later prompts may share", load_.pages_known);
    gauge("process_resident_memory_bytes", "Resident memory of the process", resident_bytes());
  }
  first_token.write(text, "attune_time_to_first_token_seconds", "From the request to the first token of its answer");
  request.write(text, "attune_request_seconds", "From the request to the end of its answer");
  return text;
}

}  // namespace attune
