#include "conversation/signal.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Signal = ExportFixture;

ReadOptions bob() {
  ReadOptions options;
  options.me = {"Bob"};
  return options;
}

TEST_F(Signal, CliJson) {
  const auto logs = logs_in(
      write(
          "signal.jsonl",
          R"({"envelope":{"source":"+361","sourceNumber":"+361","sourceName":"Anna","timestamp":1700000000000,"dataMessage":{"timestamp":1700000000000,"message":"szia 😀","attachments":[]}},"account":"+362"}
{"envelope":{"source":"+361","sourceName":"Anna","timestamp":1700000001000,"typingMessage":{"action":"STARTED"}},"account":"+362"}
{"envelope":{"source":"+362","sourceName":"Bob B","timestamp":1700000002000,"syncMessage":{"sentMessage":{"destination":"Anna","timestamp":1700000002000,"message":"hello"}}},"account":"+362"}
{"envelope":{"source":"+361","sourceName":"Anna","timestamp":1700000003000,"dataMessage":{"timestamp":1700000003000,"message":null,"reaction":{"emoji":"👍"}}},"account":"+362"}
{"envelope":{"source":"+361","sourceName":"Anna","timestamp":1700000004000,"dataMessage":{"timestamp":1700000004000,"message":"","attachments":[{"id":"x"}]}},"account":"+362"}
{"envelope":{"source":"+363","sourceName":"Kata","timestamp":1700000005000,"dataMessage":{"timestamp":1700000005000,"message":"in a group","groupInfo":{"groupId":"G="}}},"account":"+362"}
)"),
      bob());
  ASSERT_EQ(logs.size(), 2u);
  const ChatLog& anna = logs[0].chat == "Anna" ? logs[0] : logs[1];
  EXPECT_THAT(said(anna), ElementsAre("Anna: szia 😀", "Bob: hello"));
  for (const Drop reason : {Drop::kSystem, Drop::kReaction, Drop::kMedia})
    EXPECT_EQ(count(anna, reason), 1u) << drop_name(reason);
}

TEST_F(Signal, CliText) {
  const ChatLog log = log_in(
      write(
          "received.txt",
          "Envelope from: “Anna” +36301234567 (device: 1) to +3620\nTimestamp: 1700000000000 "
          "(2023-11-14T22:13:20.000Z)\n"
          "Server timestamps: received: 1700000000100\nSent by unidentified/sealed sender\nMessage timestamp: "
          "1700000000000\n"
          "Body: szia\nkétsoros\nWith profile key\n\n"
          "Envelope from: “Bob” +3620 (device: 2) to +3620\nTimestamp: 1700000060000 (x)\nReceived sync sent message\n "
          " To: +36301234567\n"
          "  Message timestamp: 1700000060000\n  Body: hello\n\n"
          "Envelope from: “Anna” +36301234567 (device: 1)\nTimestamp: 1700000070000 (x)\nReceived a receipt message\n"),
      bob());
  EXPECT_THAT(said(log), ElementsAre("Anna: szia\nkétsoros", "Bob: hello"));
  EXPECT_EQ(log.messages[0].time, 1700000000);
  EXPECT_EQ(count(log, Drop::kSystem), 1u);
}

TEST_F(Signal, ExportToolPrefersItsJson) {
  write(
      "out/Anna/data.json",
      R"({"date":"2022-05-01 12:00:00","sender":"Anna","body":"szia","quote":"","sticker":"","reactions":[],"attachments":[]})"
      "\n"
      R"({"date":"2022-05-01 12:01:00","sender":"Me","body":"hello","quote":"> szia","sticker":"","reactions":[["Anna","👍"]],"attachments":[]})"
      "\n");
  write("out/Anna/chat.md", "[2022-05-01 12:00:00] Anna: szia\n");
  write("out/Kata/chat.md",
        "[2019-05-29, 15:04] Me: How is everyone?\nsecond line\n> a quotation\n"
        "[2019-05-29, 15:10] Kata: ![photo](media/a.jpg)\n(- Me: 👍 -)\n[2019-05-29, 15:11] Kata: Fine\n");
  const auto logs = logs_in(folder_ / "out", bob());
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_THAT(said(logs[0]), ElementsAre("Anna: szia", "Bob: hello"));
  EXPECT_THAT(said(logs[1]), ElementsAre("Bob: How is everyone?\nsecond line", "Kata: Fine"));
  EXPECT_EQ(logs[1].messages[0].time, days_from_civil(2019, 5, 29) * 86400 + 15 * 3600 + 4 * 60);
  EXPECT_EQ(count(logs[1], Drop::kMedia), 1u);
}

TEST_F(Signal, DesktopDatabaseAsJson) {
  const ChatLog log = log_in(
      write(
          "messages.json",
          R"([{"id":"1","conversationId":"c1","type":"incoming","body":"szia","sent_at":1700000000000,"source":"+361","attachments":[]},
 {"id":"2","conversationId":"c1","type":"outgoing","body":"hello","sent_at":1700000001000},
 {"id":"3","conversationId":"c1","type":"group-v2-change","sent_at":1700000002000},
 {"id":"4","conversationId":"c1","type":"call-history","sent_at":1700000003000}])"),
      bob());
  EXPECT_THAT(said(log), ElementsAre("+361: szia", "Bob: hello"));
  EXPECT_EQ(count(log, Drop::kSystem), 1u);
  EXPECT_EQ(count(log, Drop::kCall), 1u);
}

TEST_F(Signal, BadFiles) {
  EXPECT_EQ(error_of(write(
                "a.jsonl",
                "{\"envelope\":{\"sourceName\":\"A\",\"timestamp\":1700000000000}}\n"
                "{\"envelope\":{\"sourceName\":\"A\",\"timestamp\":\"x\",\"dataMessage\":{\"message\":\"b\"}}}\n")),
            "[DIR/a.jsonl:2, record 2] the message has no valid time");
  EXPECT_EQ(error_of(write("a.jsonl",
                           "{\"envelope\":{\"sourceName\":\"A\",\"timestamp\":1700000000000}}\n{\"envelope\":{\"sour")),
            "[DIR/a.jsonl:2, record 2] the file ends in the middle of a string; it is cut off");
  EXPECT_EQ(error_of(write("r.txt", "Envelope from: “A” +1 (device: 1)\nTimestamp: 17 (x)\nBody: a\n")),
            "[DIR/r.txt:2] expected milliseconds since 1970, got \"Timestamp: 17 (x)\"");
}

}  // namespace
}  // namespace attune
