#include "conversation/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "base/error.h"
#include "conversation/dataset.h"
#include "conversation/session_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kHour = 3600;

ChatLog log_of(const std::vector<ChatMessage>& messages) {
  ChatLog log;
  log.messages = MessageList(messages);
  log.entries = messages.size();
  return log;
}

std::uint64_t dropped(const DropCounts& counts, Drop reason) { return counts[static_cast<std::size_t>(reason)]; }

// `exchanges` questions and answers, a minute apart, from `time` on.
void add_exchanges(std::vector<ChatMessage>& messages, std::int64_t time, int exchanges) {
  static std::deque<std::string> texts;  // a message views its text
  for (int i = 0; i < exchanges; ++i) {
    messages.push_back({time + 120 * i, "Anna", texts.emplace_back(fmt::format("q{}", i))});
    messages.push_back({time + 120 * i + 60, "Bob", texts.emplace_back(fmt::format("a{}", i))});
  }
}

TEST(Windows, BurstsSessionsAndEnds) {
  const auto sessions = all_sessions(log_of({{0, "Bob", "opening"},
                                             {1, "Anna", "one"},
                                             {2, "Anna", "two"},
                                             {3, "Bob", "three"},
                                             {4, "Bob", "four"},
                                             {5, "Anna", "nobody answers"},
                                             {5 + 6 * kHour, "Anna", "hi"},
                                             {6 + 6 * kHour, "Bob", "ho"}}),
                                     {"Bob"}, {});
  ASSERT_EQ(sessions.list.size(), 2u);
  ASSERT_EQ(sessions.list[0].windows.size(), 1u);
  EXPECT_THAT(sessions.list[0].windows[0].messages,
              ElementsAre(Message{"user", "one\ntwo"}, Message{"assistant", "three\nfour"}));
  EXPECT_THAT(sessions.list[1].windows[0].messages, ElementsAre(Message{"user", "hi"}, Message{"assistant", "ho"}));
  EXPECT_EQ(dropped(sessions.dropped, Drop::kUnprompted), 1u);
  EXPECT_EQ(dropped(sessions.dropped, Drop::kUnanswered), 1u);
  EXPECT_EQ(sessions.used, 6u);
}

TEST(Windows, SizesAreEvenAndWithinTheRange) {
  for (int exchanges = 1; exchanges <= 60; ++exchanges) {
    SCOPED_TRACE(exchanges);
    std::vector<ChatMessage> messages;
    add_exchanges(messages, 0, exchanges);
    const auto sessions = all_sessions(log_of(messages), {"Bob"}, {});
    ASSERT_EQ(sessions.list.size(), 1u);
    EXPECT_EQ(sessions.used, messages.size());
    int next = 0;  // the first exchange that no window has had yet
    for (const Conversation& window : sessions.list[0].windows) {
      const int size = static_cast<int>(window.messages.size()) / 2;
      EXPECT_LE(size, 6);
      EXPECT_GE(size, std::min(exchanges, 4));
      EXPECT_EQ(window.messages.front().role, "user");
      EXPECT_EQ(window.messages.back().role, "assistant");
      const int begin = std::stoi(window.messages.front().content.substr(1));
      EXPECT_EQ(begin, exchanges == 7 && next > 0 ? next - 1 : next);  // only 7 cannot be divided into 4-6
      next = begin + size;
      EXPECT_EQ(window.messages.back().content, fmt::format("a{}", next - 1));
    }
    EXPECT_EQ(next, exchanges);
  }
}

TEST(Windows, GroupTurnsNameTheSpeakers) {
  const auto sessions = all_sessions(log_of({{0, "Anna", "a"},
                                             {1, "Kata", "b"},
                                             {2, "Kata", "c"},
                                             {3, "Anna", "d"},
                                             {4, "Bob", "e"},
                                             {5, "Kata", "f"},
                                             {6, "Bob", "g"}}),
                                     {"Bob"}, {});
  EXPECT_THAT(sessions.list[0].windows[0].messages,
              ElementsAre(Message{"user", "Anna: a\nKata: b\nc\nAnna: d"}, Message{"assistant", "e"},
                          Message{"user", "Kata: f"}, Message{"assistant", "g"}));
}

TEST(Windows, AStrayNameMakesNoGroup) {
  std::vector<ChatMessage> messages;
  add_exchanges(messages, 0, 200);
  messages.push_back({120 * 200, "Anna's old phone", "q"});
  messages.push_back({120 * 200 + 1, "Bob", "a"});
  const auto sessions = all_sessions(log_of(messages), {"Bob"}, {});
  EXPECT_EQ(sessions.list[0].windows[0].messages[0].content, "q0");
  EXPECT_EQ(sessions.used, messages.size());
}

TEST(Windows, ClockSetBackIsAGapToo) {
  const auto sessions = all_sessions(
      log_of({{9 * kHour, "Anna", "a"}, {9 * kHour, "Bob", "b"}, {0, "Anna", "c"}, {0, "Bob", "d"}}), {"Bob"}, {});
  EXPECT_EQ(sessions.list.size(), 2u);
}

TEST(Windows, ChatWithoutMe) {
  const auto sessions = all_sessions(log_of({{0, "Anna", "a"}, {1, "Kata", "b"}}), {"Bob"}, {});
  EXPECT_TRUE(sessions.list.empty());
  EXPECT_EQ(dropped(sessions.dropped, Drop::kWithoutMe), 2u);
}

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("import-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view text) {
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }
  // A chat of `days` sessions of 5 exchanges.
  std::string chat(int days, const char* other = "Anna") {
    std::string text = "01/01/24, 07:59 - Messages and calls are end-to-end encrypted.\n";
    for (int d = 0; d < days; ++d) {
      for (int i = 0; i < 5; ++i) {
        text += fmt::format("{:02}/{:02}/24, 08:{:02} - {}: q{}-{}\n", d % 28 + 1, d / 28 + 1, 2 * i, other, d, i);
        text += fmt::format("{:02}/{:02}/24, 08:{:02} - Gergő: a{}-{}\n", d % 28 + 1, d / 28 + 1, 2 * i + 1, d, i);
      }
    }
    return text;
  }
  ImportOptions options(std::vector<fs::path> paths) {
    ImportOptions options;
    options.paths = std::move(paths);
    options.me = {"Gergő"};
    options.output = folder_ / "out";
    return options;
  }
  std::string error_of(const ImportOptions& options) {
    std::string message = "no error";
    try {
      import_chats(options);
    } catch (const UserError& error) {
      message = error.what();
      for (std::size_t at; (at = message.find(folder_.string())) != std::string::npos;) {
        message.replace(at, folder_.string().size(), "DIR");
      }
      // Nothing half-written: no output, no temporary folder.
      for (const auto& entry : fs::directory_iterator(folder_)) {
        const std::string name = entry.path().filename().string();
        EXPECT_FALSE(name.starts_with(".out") || name == "out") << name;
      }
    }
    return message;
  }
  fs::path folder_;
};

TEST_F(ImportTest, WritesTrainValidAndLedger) {
  const ImportLedger ledger = import_chats(options({write("chat.txt", chat(40))}));
  const Dataset dataset = read_dataset(folder_ / "out");
  EXPECT_EQ(dataset.train.size(), 38u);
  EXPECT_EQ(dataset.valid.size(), 2u);  // 5% of 40 sessions
  EXPECT_EQ(dataset.train[0].messages[0].content, "q0-0");
  EXPECT_EQ(dataset.valid[1].messages.back().content, "a39-4");
  EXPECT_EQ(ledger.train, 38u);
  EXPECT_EQ(ledger.valid, 2u);
  EXPECT_EQ(ledger.train_digest, dataset_digest(dataset.train));
  EXPECT_EQ(ledger.lines, 401u);
  EXPECT_EQ(ledger.used + std::accumulate(ledger.dropped.begin(), ledger.dropped.end(), std::uint64_t{0}),
            ledger.entries);
  const Json json = parse_json(read_file(folder_ / "out" / "ledger.json"), "ledger.json");
  EXPECT_EQ(json, to_json(ledger));
  EXPECT_EQ(json["dropped"], Json({{"system", 1}}));
  EXPECT_EQ(json["senders"], Json({{"Anna", 200}, {"Gergő", 200}}));
  const std::string text = to_text(ledger);
  EXPECT_THAT(text, HasSubstr("  - system              1  notices of the program\n"));
  EXPECT_THAT(text, HasSubstr("  conversations        40  38 to train, 2 held out\n"));
  EXPECT_THAT(text, HasSubstr("        200  Gergő  (the assistant)\n"));
  EXPECT_THAT(text, HasSubstr("  dates  day-month-year: "));
}

TEST_F(ImportTest, ValidShareZeroAndOneSession) {
  ImportOptions all = options({write("chat.txt", chat(40))});
  all.valid_share = 0;
  EXPECT_EQ(import_chats(all).valid, 0u);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "valid.jsonl"));
  fs::remove_all(folder_ / "out");
  const ImportLedger one = import_chats(options({write("one.txt", chat(1))}));
  EXPECT_EQ(one.train, 1u);
  EXPECT_EQ(one.valid, 0u);
  fs::remove_all(folder_ / "out");
  EXPECT_EQ(import_chats(options({write("two.txt", chat(2))})).valid,
            1u);  // a share above 0 holds something out
}

TEST_F(ImportTest, SeveralFilesAreOrderedByTimeAndOverlapsReadOnce) {
  const fs::path early = write("1.txt", chat(10)), both = write("2.txt", chat(12)),
                 kata = write("3.txt", chat(3, "Kata"));
  ImportOptions three = options({both, early, kata});
  three.drop_duplicates = false;  // Kata hears the same words as Anna
  const ImportLedger ledger = import_chats(three);
  EXPECT_EQ(dropped(ledger.dropped, Drop::kDuplicate), 100u);
  EXPECT_EQ(ledger.used, 120u + 30u);
  const Dataset dataset = read_dataset(folder_ / "out");
  EXPECT_EQ(dataset.train[1].messages[0].content, "q0-0");  // Kata's first day is as old as Anna's
  EXPECT_EQ(dataset.valid.back().messages[0].content, "q11-0");
}

TEST_F(ImportTest, MeIsFoundByAnyWayOfWritingIt) {
  const fs::path path = write("chat.txt",
                              "31/12/23, 21:41 - Anna: a\n31/12/23, 21:42 - ~\u00A0Gergő\u200E: b\n"
                              "31/12/23, 21:43 - Anna: c\n31/12/23, 21:44 - +36 30 123 4567: d\n");
  for (const char* name : {"gergő", "GERGO\u030B", "~ Gergő"}) {
    ImportOptions by_name = options({path});
    by_name.me = {name};
    EXPECT_THAT(import_chats(by_name).me, ElementsAre("Gergő")) << name;
    fs::remove_all(folder_ / "out");
  }
  ImportOptions two = options({path});
  two.me = {"Gergő", "+36301234567"};
  const ImportLedger ledger = import_chats(two);
  EXPECT_THAT(ledger.me, ElementsAre("Gergő", "+36 30 123 4567"));
  EXPECT_EQ(ledger.used, 4u);
  const Dataset dataset = read_dataset(folder_ / "out");  // one other person: no names in the turns
  EXPECT_EQ(dataset.train[0].messages[0].content, "a");
}

TEST_F(ImportTest, BadInput) {
  const fs::path path = write("chat.txt", chat(2));
  ImportOptions bad = options({path});
  bad.me = {"Gergely"};
  EXPECT_EQ(error_of(bad),
            "[--me] expected the name of a sender, got \"Gergely\"; the senders are Anna (10), Gergő (10)");
  bad.me = {"Gergö"};
  EXPECT_EQ(error_of(bad),
            "[--me] expected the name of a sender, got \"Gergö\"; did you mean \"Gergő\"?; the senders "
            "are Anna (10), Gergő (10)");
  bad.me = {};
  EXPECT_EQ(error_of(bad), "[--me] expected the name of the person that the model learns to be");
  EXPECT_EQ(error_of(options({folder_ / "missing.txt"})), "[DIR/missing.txt] no such file; check the path");
  EXPECT_EQ(error_of(options({write("empty.txt", "")})), "[DIR/empty.txt] the file is empty; expected a chat export");
  EXPECT_THAT(error_of(options({write("essay.txt", "Once upon a time.\n")})),
              testing::AllOf(testing::StartsWith("[DIR/essay.txt] not a chat export that attune knows ("),
                             testing::EndsWith("); if it is one, name its type with --from")));
  ImportOptions forced = options({folder_ / "essay.txt"});
  forced.from = "whatsapp";
  EXPECT_EQ(error_of(forced),
            "[DIR/essay.txt] not a WhatsApp export: no line begins with a date and a time, as in \"12/31/23, "
            "21:41 - "
            "Name: text\"");
  forced.from = "watsapp";
  EXPECT_THAT(error_of(forced), testing::EndsWith(", got \"watsapp\"; did you mean whatsapp?"));
  EXPECT_EQ(error_of(options({write("notices.txt", "31/12/23, 21:41 - Anna: <Media omitted>\n")})),
            "[DIR/notices.txt] the export holds no message: 1 entries, all of them notices, media or deleted");
  EXPECT_EQ(error_of(options({write("alone.txt", "31/12/23, 21:41 - Gergő: hi\n31/12/23, 21:42 - Anna: ho\n")})),
            "[DIR/alone.txt] no conversation: Gergő never answers anybody within 6 hours");
  ImportOptions range = options({path});
  range.windows.min_exchanges = 7;
  EXPECT_EQ(error_of(range), "[--exchanges] expected MIN-MAX with 1 <= MIN <= MAX, got 7-6");
  range = options({path});
  range.valid_share = 0.9;
  EXPECT_EQ(error_of(range), "[--valid-share] expected 0 to 0.5, got 0.9");
  range.valid_share = 0;
  range.date_order = DateOrder::kYearMonthDay;
  EXPECT_EQ(error_of(range), "no error");  // 01/01/24 reads as 2001-01-24: obeyed
}

TEST_F(ImportTest, OutputFolder) {
  const fs::path path = write("chat.txt", chat(2));
  fs::create_directories(folder_ / "existing");
  ImportOptions bad = options({path});
  bad.output = folder_ / "existing";
  EXPECT_EQ(error_of(bad), "[DIR/existing] already exists; choose another name or remove it");
  bad.output = path / "below-a-file";
  EXPECT_EQ(error_of(bad), "[DIR/chat.txt] the folder cannot be created: Not a directory");
  bad.output = "/proc/attune-out";  // a file system that nobody can write to
  EXPECT_THAT(error_of(bad), testing::StartsWith("[/proc/"));
}

}  // namespace
}  // namespace attune
