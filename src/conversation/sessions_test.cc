// From messages to conversations: the learnt gap, overlapping windows, what has no words, duplicates, and a split between
// which nothing leaks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"
#include "conversation/near_duplicates.h"
#include "conversation/session_fixture.h"
#include "conversation/session_gap.h"
#include "conversation/split.h"
#include "conversation/substance.h"
#include "conversation/windows.h"

namespace attune {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kMinute = 60, kHour = 3600;

ChatLog log_of(const std::vector<ChatMessage>& messages) {
  ChatLog log;
  log.messages = MessageList(messages);
  return log;
}

std::vector<ChatLog> only(ChatLog log) {
  std::vector<ChatLog> logs;
  logs.push_back(std::move(log));
  return logs;
}

// Bursts of `size` messages some minutes apart, `pause` between them, both varied by a factor of up to 2.
ChatLog bursts(int count, int size, std::int64_t within, std::int64_t pause) {
  Rng rng{3, 0, 0};
  std::vector<ChatMessage> messages;
  std::int64_t time = 1'700'000'000;
  for (int b = 0; b < count; ++b) {
    for (int i = 0; i < size; ++i) {
      messages.push_back({time, i % 2 == 0 ? "Anna" : "Bob", "word"});
      time += static_cast<std::int64_t>(static_cast<double>(within) * (1 + rng.uniform()));
    }
    time += static_cast<std::int64_t>(static_cast<double>(pause) * (1 + rng.uniform()));
  }
  return log_of(messages);
}

TEST(SessionGap, LiesBetweenTheTwoHills) {
  const std::vector<ChatLog> nightly = only(bursts(60, 20, 2 * kMinute, 10 * kHour));
  const SessionGap gap = learn_session_gap(nightly, 6 * kHour);
  EXPECT_TRUE(gap.valley);
  EXPECT_EQ(gap.pauses, 60u * 20 - 1);
  EXPECT_GT(gap.seconds, 4 * kMinute);
  EXPECT_LT(gap.seconds, 10 * kHour);
  // The same people, slower: they answer within the hour and fall silent for days.
  const std::vector<ChatLog> slow = only(bursts(60, 20, 30 * kMinute, 60 * kHour));
  EXPECT_GT(learn_session_gap(slow, 6 * kHour).seconds, kHour);
}

TEST(SessionGap, NoValleyAndTooFewPausesGiveTheFallback) {
  const std::vector<ChatLog> even = only(bursts(1, 500, 3 * kMinute, kHour));
  EXPECT_FALSE(learn_session_gap(even, 6 * kHour).valley);
  EXPECT_EQ(learn_session_gap(even, 6 * kHour).seconds, 6 * kHour);
  const std::vector<ChatLog> few = only(bursts(5, 10, 2 * kMinute, 10 * kHour));
  EXPECT_EQ(learn_session_gap(few, 5 * kHour).seconds, 5 * kHour);
  EXPECT_EQ(learn_session_gap({}, 5 * kHour).seconds, 5 * kHour);
}

TEST(Substance, WordsLinksAndSigns) {
  const auto of = [](std::initializer_list<const char*> texts) {
    Substance substance;
    for (const char* text : texts) substance.add(text);
    return substance;
  };
  EXPECT_TRUE(of({"https://example.com/a?b=c", "www.example.com"}).only_links());
  EXPECT_FALSE(of({"look https://example.com"}).only_links());
  EXPECT_FALSE(of({"https://example.com", "ok"}).only_links());
  for (const char* sign : {"😂", "❤️", "❤️❤️ ❤️", "👨‍👩‍👧", "👍🏽", "?", "…"})
    EXPECT_TRUE(of({sign}).only_one_sign()) << sign;
  for (const char* said : {"ok", "😂👍", "?!", "igen", "はい", "5", "😂 ja"})
    EXPECT_FALSE(of({said}).only_one_sign()) << said;
}

ChatLog exchanges(int count) {
  ChatLog log;
  for (int i = 0; i < count; ++i) {
    log.add(2 * i, "Anna", "q" + std::to_string(i));
    log.add(2 * i + 1, "Bob", "a" + std::to_string(i));
  }
  return log;
}

TEST(Windows, OverlapIsKeptAndEverythingIsCovered) {
  for (int overlap = 0; overlap < 6; ++overlap) {
    for (int count = 1; count < 40; ++count) {
      WindowOptions options;
      options.overlap = overlap;
      const MadeSessions sessions = all_sessions(exchanges(count), {"Bob"}, options);
      ASSERT_EQ(sessions.list.size(), 1u);
      const auto& windows = sessions.list[0].windows;
      EXPECT_EQ(windows.front().begin, 0u);
      EXPECT_EQ(windows.back().end, static_cast<std::size_t>(count));
      for (std::size_t w = 0; w < windows.size(); ++w) {
        EXPECT_EQ(windows[w].messages.size(), 2 * (windows[w].end - windows[w].begin));
        EXPECT_LE(windows[w].end - windows[w].begin, 6u);
        if (w > 0) {
          EXPECT_GE(windows[w - 1].end, windows[w].begin + static_cast<std::size_t>(overlap))
              << overlap << " " << count;
          EXPECT_GT(windows[w].end, windows[w - 1].end);
        }
      }
    }
  }
}

TEST(Windows, SystemPromptAndExchangesWithoutWords) {
  WindowOptions options;
  options.system = "You are Bob.";
  const ChatLog log = log_of({{0, "Anna", "hi"},
                              {1, "Bob", "ho"},
                              {2, "Anna", "https://example.com"},
                              {3, "Bob", "nice"},
                              {4, "Anna", "😂"},
                              {5, "Bob", "what?"},
                              {6, "Anna", "you"},
                              {7, "Bob", "😂"},
                              {8, "Bob", "😂"}});
  const MadeSessions sessions = all_sessions(log, {"Bob"}, options);
  EXPECT_THAT(sessions.list[0].windows[0].messages,
              ElementsAre(Message{"system", "You are Bob."}, Message{"user", "hi"}, Message{"assistant", "ho"},
                          Message{"user", "😂"}, Message{"assistant", "what?"}));
  EXPECT_EQ(sessions.dropped[static_cast<std::size_t>(Drop::kOnlyLinks)], 2u);
  EXPECT_EQ(sessions.dropped[static_cast<std::size_t>(Drop::kOnlySigns)], 3u);
  EXPECT_EQ(sessions.used, 4u);
  options.only_words = false;
  EXPECT_EQ(all_sessions(log, {"Bob"}, options).used, 9u);
}

Conversation talk(const std::string& question, const std::string& answer) {
  return {{{"user", question}, {"assistant", answer}}};
}

const std::string kStory =
    "Yesterday we walked along the river until the old mill, had two beers there and talked about the summer house.";

TEST(NearDuplicates, ExactNearAndDifferent) {
  ConversationStore store;
  NearDuplicates seen(store);
  const Conversation first = talk("What did you do?", kStory);
  seen.add(fingerprint_of(first), store.add(first), 1);
  using Found = NearDuplicates::Found;
  const auto find = [&](const Conversation& c, std::uint32_t group) { return seen.find(fingerprint_of(c), c, group); };
  EXPECT_EQ(find(first, 2), Found::kSame);
  EXPECT_EQ(find(first, 1), Found::kNothing);  // of the same session
  EXPECT_EQ(find(talk("what did  you do", kStory + "!"), 2), Found::kNear);
  EXPECT_EQ(find(talk("What did you do?", kStory.substr(0, 40)), 2), Found::kNothing);
  EXPECT_EQ(find(talk("Something else", "entirely"), 2), Found::kNothing);
  Conversation with_system = first;
  with_system.messages.insert(with_system.messages.begin(), {"system", "You are Bob."});
  EXPECT_EQ(find(with_system, 2), Found::kNear);
}

// Of pairs whose similarity is at least 0.9, hashing misses hardly any; of those below the threshold none is called near.
TEST(NearDuplicates, AgreesWithTheFullComparison) {
  Rng rng{11, 0, 0};
  const auto random_text = [&](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + rng.below(26));
    return text;
  };
  int alike = 0, missed = 0;
  for (int pair = 0; pair < 400; ++pair) {
    const Conversation a = talk("q", random_text(200 + rng.below(200)));
    Conversation b = a;
    std::string& text = b.messages[1].content;
    for (std::uint64_t change = rng.below(8); change > 0; --change) text[rng.below(text.size())] = '#';
    ConversationStore store;
    NearDuplicates seen(store);
    const std::uint64_t seed = rng.next_u64();
    seen.add(fingerprint_of(a, seed), store.add(a), 1);
    const bool found = seen.find(fingerprint_of(b, seed), b, 2) != NearDuplicates::Found::kNothing;
    const double similarity = shingle_similarity(a, b);
    if (similarity < 0.8) {
      EXPECT_FALSE(found) << similarity;
    }
    if (similarity >= 0.9) ++alike, missed += !found;
  }
  EXPECT_GT(alike, 80);
  EXPECT_LE(missed, 1);
}

MessageSession session(std::int64_t time, std::vector<Conversation> conversations) {
  MessageSession made{time, {}, {}};
  for (Conversation& conversation : conversations) {
    Window window;
    window.messages = std::move(conversation.messages);
    window.begin = made.exchanges.size();
    made.exchanges.push_back(2);
    window.end = made.exchanges.size();
    made.windows.push_back(std::move(window));
  }
  return made;
}

std::vector<Conversation> conversations_of(const SessionPool& pool, const std::vector<std::uint32_t>& numbers) {
  std::vector<Conversation> list;
  for (const std::uint32_t number : numbers) list.push_back(pool.conversations()[number]);
  return list;
}

TEST(Split, DropsRepetitionsAndHoldsOutTheLastSessions) {
  SessionPool pool;
  for (int s = 0; s < 20; ++s) {
    const std::string subject = "subject number " + std::to_string(s * 7919);
    pool.add(session(100 - s, {talk("What about " + subject + "?", "I like it: " + subject + subject)}));
  }
  pool.add(session(200, {talk("What did you do?", kStory), talk("fresh", "words of the last session")}));
  pool.add(session(0, {talk("what did you do", kStory)}));
  pool.add(session(300, {talk("fresh", "words of the last session")}));
  const DatasetSplit split = split_sessions(pool, {0.1, true});
  EXPECT_EQ(split.near_repeated, 1u);
  EXPECT_EQ(split.repeated, 1u);
  EXPECT_EQ(split.dropped[static_cast<std::size_t>(Drop::kRepeated)], 2u);
  EXPECT_EQ(split.sessions, 22u);
  EXPECT_EQ(split.train.size(), 20u);
  ASSERT_EQ(split.valid.size(), 2u);
  EXPECT_EQ(conversations_of(pool, split.valid)[1].messages[1].content, "words of the last session");
  EXPECT_EQ(conversations_of(pool, split.train)[0].messages[1].content, kStory);
}

TEST(Split, NothingLeaksEvenWithDuplicatesKept) {
  SessionPool pool;
  for (int s = 0; s < 10; ++s) pool.add(session(s, {talk("What did you do?", kStory)}));
  pool.add(session(20, {talk("and", "something new at the end")}));
  const DatasetSplit split = split_sessions(pool, {0.3, false});
  EXPECT_EQ(split.train.size(), 8u);
  ASSERT_EQ(split.valid.size(), 1u);
  EXPECT_EQ(conversations_of(pool, split.valid)[0].messages[0].content, "and");
  EXPECT_EQ(split.repeated, 2u);
}

TEST(Split, AMessageInAKeptWindowIsNotDropped) {
  MessageSession overlapping{5, {2, 2, 2}, {}};
  for (std::size_t w = 0; w < 2; ++w) {
    Window window;
    window.messages = talk("question " + std::to_string(w), w == 0 ? kStory : "quite another answer").messages;
    window.begin = w;
    window.end = w + 2;
    overlapping.windows.push_back(window);
  }
  SessionPool pool;
  pool.add(session(0, {talk("question 0", kStory)}));
  pool.add(overlapping);
  const DatasetSplit split = split_sessions(pool, {0, true});
  EXPECT_EQ(split.repeated, 1u);
  EXPECT_EQ(split.dropped[static_cast<std::size_t>(Drop::kRepeated)], 2u);  // only the first of its two exchanges
  EXPECT_EQ(split.train.size(), 2u);
}

}  // namespace
}  // namespace attune
