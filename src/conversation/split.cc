#include "conversation/split.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "conversation/near_duplicates.h"

namespace attune {
namespace {

using Found = NearDuplicates::Found;

// The windows of a session that are left out, and why.
using Fates = std::vector<Found>;

void count_dropped(const MessageSession& session, const Fates& fates, DatasetSplit& split) {
  for (std::size_t exchange = 0; exchange < session.exchanges.size(); ++exchange) {
    bool kept = false;
    Found reason = Found::kNothing;
    for (std::size_t w = 0; w < session.windows.size(); ++w) {
      if (exchange < session.windows[w].begin || exchange >= session.windows[w].end) continue;
      kept = kept || fates[w] == Found::kNothing;
      if (reason == Found::kNothing) reason = fates[w];
    }
    if (kept || reason == Found::kNothing) continue;
    const Drop drop = reason == Found::kSame ? Drop::kRepeated : Drop::kNearRepeated;
    split.dropped[static_cast<std::size_t>(drop)] += session.exchanges[exchange];
  }
  split.repeated += static_cast<std::uint64_t>(std::count(fates.begin(), fates.end(), Found::kSame));
  split.near_repeated += static_cast<std::uint64_t>(std::count(fates.begin(), fates.end(), Found::kNear));
}

std::size_t held_out(std::size_t sessions, double share) {
  auto count = static_cast<std::size_t>(static_cast<double>(sessions) * share + 0.5);
  if (share > 0 && count == 0) count = 1;
  return count < sessions ? count : 0;
}

}  // namespace

DatasetSplit split_sessions(std::vector<MessageSession> sessions, const SplitOptions& options) {
  std::stable_sort(sessions.begin(), sessions.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  NearDuplicates seen({options.near_duplicate, 1});
  std::vector<Fates> fates(sessions.size());
  const auto judge = [&](std::size_t s, bool drop, bool remember) {
    for (const Window& window : sessions[s].windows) {
      const auto print = seen.fingerprint(window);
      const Found found = drop ? seen.find(print, window, s) : Found::kNothing;
      fates[s].push_back(found);
      if (remember && found == Found::kNothing) seen.add(print, window, s);
    }
  };
  if (options.drop_duplicates) {
    for (std::size_t s = 0; s < sessions.size(); ++s) judge(s, true, true);
  }
  std::vector<std::size_t> left;
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    const bool any = !options.drop_duplicates || std::count(fates[s].begin(), fates[s].end(), Found::kNothing) > 0;
    if (any) left.push_back(s);
  }
  const std::size_t train = left.size() - held_out(left.size(), options.valid_share);
  if (!options.drop_duplicates) {
    for (std::size_t i = 0; i < left.size(); ++i) judge(left[i], i >= train, i < train);
  }

  DatasetSplit split;
  for (std::size_t s = 0; s < sessions.size(); ++s) count_dropped(sessions[s], fates[s], split);
  for (std::size_t i = 0; i < left.size(); ++i) {
    MessageSession& session = sessions[left[i]];
    auto& part = i < train ? split.train : split.valid;
    const std::size_t before = part.size();
    for (std::size_t w = 0; w < session.windows.size(); ++w) {
      if (fates[left[i]][w] == Found::kNothing) part.push_back(std::move(session.windows[w]));
    }
    split.sessions += part.size() > before;
  }
  return split;
}

}  // namespace attune
