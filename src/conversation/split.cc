#include "conversation/split.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace attune {
namespace {

using Found = NearDuplicates::Found;
using Session = SessionPool::Session;

// Why each conversation of the pool is left out, or kNothing.
using Fates = std::vector<Found>;

void count_dropped(const SessionPool& pool, const Session& session, const Fates& fates, DatasetSplit& split) {
  const std::uint32_t end = session.window + session.windows;
  for (std::size_t exchange = 0; exchange < session.exchanges; ++exchange) {
    bool kept = false;
    Found reason = Found::kNothing;
    for (std::uint32_t w = session.window; w < end; ++w) {
      if (exchange < pool.window(w).begin || exchange >= pool.window(w).end) continue;
      kept = kept || fates[w] == Found::kNothing;
      if (reason == Found::kNothing) reason = fates[w];
    }
    if (kept || reason == Found::kNothing) continue;
    const Drop drop = reason == Found::kSame ? Drop::kRepeated : Drop::kNearRepeated;
    split.dropped[static_cast<std::size_t>(drop)] += pool.messages(session, exchange);
  }
  for (std::uint32_t w = session.window; w < end; ++w) {
    split.repeated += fates[w] == Found::kSame;
    split.near_repeated += fates[w] == Found::kNear;
  }
}

std::size_t held_out(std::size_t sessions, double share) {
  auto count = static_cast<std::size_t>(static_cast<double>(sessions) * share + 0.5);
  if (share > 0 && count == 0) count = 1;
  return count < sessions ? count : 0;
}

}  // namespace

void SessionPool::add(const MessageSession& session) {
  sessions_.push_back({session.time, static_cast<std::uint32_t>(conversations_.size()),
                       static_cast<std::uint32_t>(session.windows.size()), messages_.size(), session.exchanges.size()});
  for (const attune::Window& window : session.windows) {
    conversations_.add(window);
    fingerprints_.push_back(fingerprint_of(window));
    windows_.push_back({static_cast<std::uint32_t>(window.begin), static_cast<std::uint32_t>(window.end)});
  }
  for (const std::uint64_t messages : session.exchanges) messages_.push_back(static_cast<std::uint32_t>(messages));
}

DatasetSplit split_sessions(const SessionPool& pool, const SplitOptions& options) {
  std::vector<std::uint32_t> order(pool.sessions().size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return pool.sessions()[a].time < pool.sessions()[b].time; });
  NearDuplicates seen(pool.conversations(), options.near_duplicate);
  seen.expect(pool.fingerprints());
  Fates fates(pool.conversations().size(), Found::kNothing);
  const auto judge = [&](std::uint32_t s, bool drop, bool remember) {
    const Session& session = pool.sessions()[s];
    for (std::uint32_t w = session.window; w < session.window + session.windows; ++w) {
      const Fingerprint& print = pool.fingerprints()[w];
      if (drop) fates[w] = seen.find(print, w, s);
      if (remember && fates[w] == Found::kNothing) seen.add(print, w, s);
    }
  };
  if (options.drop_duplicates) {
    for (const std::uint32_t s : order) judge(s, true, true);
  }
  const auto any_left = [&](std::uint32_t s) {
    const Session& session = pool.sessions()[s];
    const auto first = fates.begin() + session.window;
    return std::find(first, first + session.windows, Found::kNothing) != first + session.windows;
  };
  std::vector<std::uint32_t> left;
  std::copy_if(order.begin(), order.end(), std::back_inserter(left), any_left);
  const std::size_t train = left.size() - held_out(left.size(), options.valid_share);
  if (!options.drop_duplicates) {
    for (std::size_t i = 0; i < left.size(); ++i) judge(left[i], i >= train, i < train);
  }

  DatasetSplit split;
  for (const Session& session : pool.sessions()) count_dropped(pool, session, fates, split);
  for (std::size_t i = 0; i < left.size(); ++i) {
    const Session& session = pool.sessions()[left[i]];
    auto& part = i < train ? split.train : split.valid;
    const std::size_t before = part.size();
    for (std::uint32_t w = session.window; w < session.window + session.windows; ++w) {
      if (fates[w] == Found::kNothing) part.push_back(w);
    }
    split.sessions += part.size() > before;
  }
  return split;
}

}  // namespace attune
