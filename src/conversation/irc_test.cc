#include "conversation/irc.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"
#include "conversation/irc_line.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Irc = ExportFixture;

std::int64_t at(int year, int month, int day, int hour, int minute, int second = 0) {
  return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

TEST_F(Irc, Irssi) {
  const ChatLog log = log_in(write("#chan.log",
                                   "--- Log opened Mon Jan 15 23:58:00 2024\n"
                                   "23:58 -!- anna [~anna@host] has joined #chan\n"
                                   "23:58 <@anna> hello: there\n"
                                   "23:59  * bob waves\n"
                                   "--- Day changed Tue Jan 16 2024\n"
                                   "00:01 < bob> \x02"
                                   "bold\x02 and \x03"
                                   "04,12colour\x0f\n"
                                   "00:02 -!- bob is now known as bobby\n"
                                   "--- Log closed Tue Jan 16 00:03:00 2024\n"));
  EXPECT_THAT(said(log), ElementsAre("anna: hello: there", "bob: *waves*", "bob: bold and colour"));
  EXPECT_EQ(log.messages[0].time, at(2024, 1, 15, 23, 58));
  EXPECT_EQ(log.messages[2].time, at(2024, 1, 16, 0, 1));
  EXPECT_EQ(count(log, Drop::kSystem), 5u);  // two notices and three lines of the log's own
  EXPECT_EQ(log.lines, 8u);
  EXPECT_EQ(log.entries, log.lines);
}

TEST_F(Irc, Weechat) {
  const ChatLog log = log_in(write("irc.libera.#chan.weechatlog",
                                   "2024-01-15 10:30:00\t-->\tanna (~a@host) has joined #chan\n"
                                   "2024-01-15 10:30:05\t@anna\thello\n"
                                   "2024-01-15 10:30:06\tbob\tanna: hi\n"
                                   "2024-01-15 10:30:07\t *\tbob waves\n"
                                   "2024-01-15 10:30:08\t--\tMode #chan [+o anna]\n"
                                   "2024-01-15 10:30:09\t<--\tbob has quit\n"));
  EXPECT_THAT(said(log), ElementsAre("anna: hello", "bob: anna: hi", "bob: *waves*"));
  EXPECT_EQ(log.messages[0].time, at(2024, 1, 15, 10, 30, 5));
}

TEST_F(Irc, ZncDaysAreOneChannel) {
  write("znc/#chan/2024-01-15.log",
        "[10:30:00] <anna> hello\n[10:31:00] *** Joins: bob (b@host)\n[10:32:00] * bob waves\n");
  write("znc/#chan/2024-01-16.log", "[09:00:00] <bob> morning\n");
  const ChatLog log = log_in(folder_ / "znc");
  EXPECT_THAT(said(log), ElementsAre("anna: hello", "bob: *waves*", "bob: morning"));
  EXPECT_EQ(log.messages[2].time, at(2024, 1, 16, 9, 0));
}

TEST_F(Irc, UbuntuPassesMidnightAndHasLatin1) {
  const ChatLog log = log_in(
      write("2005-06-27.raw.txt",
            "[23:50] <anna> h\xE1t\n=== bob [~b@host] has joined #ubuntu\n[23:55] <bob> ok\n[00:05] <anna> late\n"));
  EXPECT_THAT(said(log), ElementsAre("anna: hát", "bob: ok", "anna: late"));
  EXPECT_EQ(log.messages[2].time, at(2005, 6, 28, 0, 5));
  EXPECT_EQ(log.format, "IRC (1 lines were Windows-1252)");
}

TEST_F(Irc, HexchatAndMirc) {
  const ChatLog hexchat =
      log_in(write("chan.log",
                   "**** BEGIN LOGGING AT Mon Jan 15 12:34:56 2024\n\nJan 15 12:34:57 *\tNow talking on #chan\n"
                   "Jan 15 12:35:00 <anna>\thello\nJan 15 12:35:01 *\tbob waves\n"));
  EXPECT_EQ(said(hexchat).front(), "anna: hello");
  EXPECT_EQ(hexchat.messages[0].time, at(2024, 1, 15, 12, 35));
  const ChatLog mirc = log_in(
      write("mirc.log",
            "Session Start: Mon Jan 15 12:34:56 2024\n[12:35] <anna> hello\n[12:35] * bob (b@host) has joined #chan\n"
            "[12:36] * bob waves\n"));
  EXPECT_THAT(said(mirc), ElementsAre("anna: hello", "bob: *waves*"));
}

TEST_F(Irc, EveryLineIsAnEntry) {
  std::string text = "[10:30] <anna> a\n\n[10:31] <bob>\nnot of a log\n[25:77] *** Joins: bob (b@host)\n";
  for (int i = 0; i < 20; ++i) text += "[10:32] <bob> b\n";
  const ChatLog log = log_in(write("a.log", text));
  EXPECT_EQ(log.messages.size(), 21u);
  EXPECT_EQ(count(log, Drop::kEmpty), 2u);
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
  EXPECT_EQ(log.entries, log.lines);
}

TEST(IrcLine, DaysInNames) {
  EXPECT_EQ(day_in_name("2024-01-15.log"), days_from_civil(2024, 1, 15));
  EXPECT_EQ(day_in_name("#chan_20240115.log"), days_from_civil(2024, 1, 15));
  EXPECT_EQ(day_in_name("2005-06-27_12.raw.txt"), days_from_civil(2005, 6, 27));
  EXPECT_EQ(day_in_name("chan.log"), std::nullopt);
  EXPECT_EQ(day_in_name("2024-13-15.log"), std::nullopt);
}

TEST_F(Irc, TimesThatDoNotExist) {
  const auto message = [](const char* time) {
    return fmt::format("[DIR/a.log:2] the time \"{}\" does not exist or is written as no IRC program does; correct it",
                       time);
  };
  const auto error_with = [&](const std::string& line) {
    std::string text = "10:30 <anna> a\n" + line + "\n";
    for (int i = 0; i < 20; ++i) text += "10:31 <bob> b\n";
    return error_of(write("a.log", text));
  };
  EXPECT_EQ(error_with("[25:77] <anna> words"), message("[25:77]"));
  EXPECT_EQ(error_with("10:77 <@anna> words"), message("10:77"));
  EXPECT_EQ(error_with("[24:30:00] * anna waves"), message("[24:30:00]"));
  EXPECT_EQ(error_with("Jan 15 25:30:00 <anna> words"), message("Jan 15 25:30:00"));
  EXPECT_EQ(error_with("2024-02-31 10:30:00\t@anna\twords"), message("2024-02-31 10:30:00"));
  EXPECT_EQ(error_with("--- Day changed Sat Feb 31 2024"), message("Sat Feb 31 2024"));
}

TEST_F(Irc, BadFiles) {
  EXPECT_EQ(error_of(write("long.log", "[10:30:00] <anna> a\n[10:31:00] <anna> " + std::string(2'000'000, 'x') + "\n")),
            "[DIR/long.log:2] a line of 2000018 bytes; IRC has none longer than 512");
}

TEST(IrcSamples, SharedUbuntuLogs) {
  const fs::path folder = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/dialog_en/ubuntu_irc/dev";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  std::uint64_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().ends_with(".raw.txt")) continue;
    const auto logs = read_export(entry.path(), "", {}).logs;
    ASSERT_EQ(logs.size(), 1u);
    EXPECT_GT(logs[0].messages.size() * 2, logs[0].lines) << entry.path();
    if (++files == 5) break;
  }
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace attune
