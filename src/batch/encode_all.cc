#include "batch/encode_all.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace attune {
namespace {

constexpr std::size_t kChunk = 32;  // conversations that a thread takes at once

}  // namespace

std::vector<EncodedRow> encode_all(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                                   const Tokenizer& tokenizer, unsigned threads) {
  std::vector<EncodedRow> rows(conversations.size());
  std::atomic<std::size_t> next{0};
  std::exception_ptr fault;
  std::mutex mutex;
  const auto work = [&] {
    try {
      for (std::size_t begin; (begin = next.fetch_add(kChunk)) < rows.size();) {
        for (std::size_t i = begin; i < std::min(begin + kChunk, rows.size()); ++i) {
          try {
            static_cast<EncodedConversation&>(rows[i]) =
                encode_conversation(conversations[i], chat_template, tokenizer);
          } catch (const UserError& error) {
            rows[i].refused = error.what();
          }
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!fault) fault = std::current_exception();
      next = rows.size();
    }
  };
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  threads = static_cast<unsigned>(std::min<std::size_t>(threads, (rows.size() + kChunk - 1) / kChunk));
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (fault) std::rethrow_exception(fault);
  return rows;
}

}  // namespace attune
