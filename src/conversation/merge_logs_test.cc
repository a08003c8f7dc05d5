#include "conversation/merge_logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/error_of.h"

namespace attune {
namespace {

using testing::ElementsAre;
using testing::Pair;

ChatLog chat_of(const std::vector<ChatMessage>& messages, const std::string& format = "WhatsApp (Android)",
                const std::string& chat = "") {
  ChatLog log;
  log.format = format;
  log.chat = chat;
  for (const ChatMessage& message : messages) log.add(message.time, message.sender, message.text);
  return log;
}

std::vector<ChatLog> logs_of(ChatLog a, ChatLog b) {
  std::vector<ChatLog> logs;
  logs.push_back(std::move(a));
  logs.push_back(std::move(b));
  return logs;
}

std::vector<std::string> said(const ChatLog& log) {
  std::vector<std::string> lines;
  for (const ChatMessage message : log.messages) {
    lines.push_back(fmt::format("{} {}: {}", message.time, message.sender, message.text));
  }
  return lines;
}

std::uint64_t duplicates(const ChatLog& log) { return log.dropped[static_cast<std::size_t>(Drop::kDuplicate)]; }

TEST(MessageList, SortsErasesAndRenames) {
  MessageList list(std::vector<ChatMessage>{{5, "b", "late"}, {1, "a", "first"}, {1, "b", "second"}});
  list.sort_by_time();
  EXPECT_EQ(list[0].text, "first");
  EXPECT_EQ(list[1].text, "second");
  list.set_text(1, "a longer text");
  EXPECT_EQ(list[1], (ChatMessage{1, "b", "a longer text"}));
  list.rename_senders([](std::string_view) { return "one"; });
  EXPECT_THAT(list.senders(), ElementsAre(Pair("one", 3u)));
  EXPECT_EQ(list.erase_if([](const ChatMessage& message) { return message.time == 1; }), 2u);
  EXPECT_EQ(list.front().text, "late");
  list.push_back({9, "x", "more"});
  list.reverse();
  EXPECT_EQ(list.front().text, "more");
}

TEST(MergeLogs, ExportsOfOneChatBecomeOneTimeLine) {
  const auto logs =
      merge_logs(logs_of(chat_of({{10, "Anna", "c"}, {20, "Bob", "d"}, {20, "Bob", "d"}}),
                         chat_of({{1, "Anna", "a"}, {2, "Bob", "b"}, {10, "Anna", "c"}, {20, "Bob", "d"}})),
                 {});
  EXPECT_THAT(said(logs[0]), ElementsAre("1 Anna: a", "2 Bob: b", "10 Anna: c", "20 Bob: d", "20 Bob: d"));
  EXPECT_TRUE(logs[1].messages.empty());
  EXPECT_EQ(duplicates(logs[1]), 2u);
  EXPECT_EQ(logs[1].entries, 4u);
}

TEST(MergeLogs, OtherPeopleChatsAndProgramsStayApart) {
  const std::vector<ChatMessage> both = {{1, "Anna", "a"}, {2, "Bob", "b"}};
  for (const auto& other : {chat_of({{1, "Anna", "a"}, {2, "Kata", "b"}}), chat_of(both, "Telegram"),
                            chat_of(both, "WhatsApp (Android)", "work")}) {
    ChatLog copy;
    copy.format = other.format, copy.chat = other.chat;
    for (const ChatMessage message : other.messages) copy.add(message.time, message.sender, message.text);
    const auto logs = merge_logs(logs_of(chat_of(both), std::move(copy)), {});
    EXPECT_EQ(logs[0].messages.size(), 2u);
    EXPECT_EQ(logs[1].messages.size(), 2u);
  }
}

TEST(MergeLogs, AliasesMakeOnePersonOfTwoNames) {
  auto logs = merge_logs(logs_of(chat_of({{1, "Anna", "a"}, {2, "Bob", "b"}}),
                                 chat_of({{1, "Anna K.", "a"}, {2, "Bob", "b"}, {3, "Anna K.", "new"}})),
                         {{"anna k.", "Anna"}});
  EXPECT_THAT(said(logs[0]), ElementsAre("1 Anna: a", "2 Bob: b", "3 Anna: new"));
  EXPECT_THAT(count_senders(logs), ElementsAre(Pair("Anna", 2u), Pair("Bob", 1u)));
  EXPECT_THAT(with_aliases({"ANNA K.", "Bob"}, {{"anna k.", "Anna"}}), ElementsAre("Anna", "Bob"));
}

TEST(MergeLogs, BadAliases) {
  EXPECT_EQ(error_of([] { parse_alias("Anna"); }), "[--alias] expected \"Old name=Name\", got \"Anna\"");
  EXPECT_EQ(error_of([] { parse_alias("=Anna"); }), "[--alias] expected \"Old name=Name\", got \"=Anna\"");
  EXPECT_EQ(parse_alias("A=B=C").name, "B=C");
  EXPECT_EQ(error_of([] {
              merge_logs(logs_of(chat_of({{1, "Anna", "a"}}), chat_of({{2, "Bob", "b"}})), {{"Ana", "X"}});
            }),
            "[--alias] nobody is called \"Ana\" in the chats; did you mean Anna?");
}

}  // namespace
}  // namespace attune
