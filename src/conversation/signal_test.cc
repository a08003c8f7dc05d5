#include "conversation/signal.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

ReadOptions bob() {
  ReadOptions options;
  options.me = {"Bob"};
  return options;
}

// The log of the chat whose source ends in ":name".
const ChatLog& chat_with(const std::vector<ChatLog>& logs, const std::string& name) {
  for (const ChatLog& log : logs) {
    if (log.source.ends_with(":" + name)) return log;
  }
  ADD_FAILURE() << "no chat with " << name;
  static const ChatLog kNone;
  return kNone;
}

// Fields as signal-cli's JsonMessageEnvelope, JsonDataMessage, JsonSyncDataMessage and JsonGroupInfo name them.
constexpr const char* kAnna =
    R"("source":"+3611","sourceNumber":"+3611","sourceUuid":"a-1","sourceName":"Anna","sourceDevice":1)";
constexpr const char* kKata =
    R"("source":"k-1","sourceNumber":null,"sourceUuid":"k-1","sourceName":"Kata","sourceDevice":2)";
constexpr const char* kBob =
    R"("source":"+3622","sourceNumber":"+3622","sourceUuid":"b-1","sourceName":"Bob B","sourceDevice":1)";

std::string envelope(const char* source, int second, const std::string& rest) {
  return fmt::format(R"("envelope":{{{},"timestamp":{},"serverReceivedTimestamp":1,"serverDeliveredTimestamp":1,{}}})",
                     source, 1700000000000 + second * 1000, rest);
}

std::string said_by(const char* source, int second, const std::string& words, const std::string& more = "") {
  return envelope(
      source, second,
      fmt::format(R"("dataMessage":{{"timestamp":{},"message":{},"expiresInSeconds":0,"viewOnce":false{}}})",
                  1700000000000 + second * 1000, words, more));
}

std::string sent_to(const std::string& destination, int second, const std::string& words,
                    const std::string& more = "") {
  return envelope(
      kBob, second,
      fmt::format(R"("syncMessage":{{"sentMessage":{{{},"timestamp":{},"message":{},"expiresInSeconds":0{}}}}})",
                  destination, 1700000000000 + second * 1000, words, more));
}

constexpr const char* kToAnna = R"("destination":"+3611","destinationNumber":"+3611","destinationUuid":"a-1")";
constexpr const char* kToKata = R"("destination":"k-1","destinationNumber":null,"destinationUuid":"k-1")";
constexpr const char* kToNobody = R"("destination":null,"destinationNumber":null,"destinationUuid":null)";
constexpr const char* kInGroup = R"(,"groupInfo":{"groupId":"G=","groupName":"Hike","revision":1,"type":"DELIVER"})";

// A conversation with two people and a group, each record between `before` and `behind`.
std::string cli_json(const std::string& before, const std::string& behind) {
  std::string text;
  for (const std::string& record :
       {sent_to(kToKata, 0, R"("hey Kata")"), said_by(kAnna, 1, R"("szia 😀")"),
        envelope(kAnna, 2, R"("typingMessage":{"action":"STARTED","timestamp":1})"), sent_to(kToAnna, 3, R"("hello")"),
        said_by(kAnna, 4, "null", R"(,"reaction":{"emoji":"👍","targetAuthor":"+3622","isRemove":false})"),
        said_by(kAnna, 5, "null", R"(,"attachments":[{"contentType":"image/png","id":"x","size":1}])"),
        said_by(kKata, 6, R"("hi Bob")"), said_by(kKata, 7, R"("who comes?")", kInGroup),
        sent_to(kToNobody, 8, R"("me")", kInGroup), said_by(kAnna, 9, R"("me too")", kInGroup),
        envelope(kBob, 10,
                 fmt::format(R"("syncMessage":{{"sentMessage":{{{},"editMessage":{{"targetSentTimestamp":1,)"
                             R"("dataMessage":{{"timestamp":1,"message":"hello!"}}}}}}}})",
                             kToAnna))}) {
    text += before + record + behind + "\n";
  }
  return text;
}

class Signal : public ExportFixture {
 protected:
  static void check_two_partners_and_a_group(const std::vector<ChatLog>& logs) {
    ASSERT_EQ(logs.size(), 3u);
    EXPECT_THAT(said(chat_with(logs, "Anna")), ElementsAre("Anna: szia 😀", "Bob: hello", "Bob: hello!"));
    EXPECT_THAT(said(chat_with(logs, "Kata")), ElementsAre("Bob: hey Kata", "Kata: hi Bob"));
    EXPECT_THAT(said(chat_with(logs, "Hike")), ElementsAre("Kata: who comes?", "Bob: me", "Anna: me too"));
  }
};

TEST_F(Signal, CliJson) {
  const auto logs = logs_in(write("signal.jsonl", cli_json("{", R"(,"account":"+3622"})")), bob());
  check_two_partners_and_a_group(logs);
  for (const Drop reason : {Drop::kSystem, Drop::kReaction, Drop::kMedia})
    EXPECT_EQ(count(chat_with(logs, "Anna"), reason), 1u) << drop_name(reason);
}

TEST_F(Signal, DaemonJson) {
  check_two_partners_and_a_group(logs_in(
      write("daemon.jsonl", cli_json(R"({"jsonrpc":"2.0","method":"receive","params":{)", R"(,"account":"+3622"}})")),
      bob()));
  check_two_partners_and_a_group(logs_in(
      write("subscribed.jsonl", cli_json(R"({"jsonrpc":"2.0","method":"receive","params":{"subscription":0,"result":{)",
                                         R"(,"account":"+3622"}}})")),
      bob()));
}

TEST_F(Signal, APersonOfWhomAnOldMessageHasOnlyTheNumber) {
  const ChatLog log = log_in(
      write("signal.jsonl",
            "{" + said_by(R"("source":"+3611","sourceNumber":null,"sourceUuid":null,"sourceName":null)", 0, R"("a")") +
                "}\n{" +
                sent_to(R"("destination":"+3611","destinationNumber":null,"destinationUuid":null)", 1, R"("b")") +
                "}\n{" + said_by(kAnna, 2, R"("c")") + "}\n"),
      bob());
  EXPECT_THAT(said(log), ElementsAre("Anna: a", "Bob: b", "Anna: c"));
}

TEST_F(Signal, CliText) {
  const auto logs = logs_in(
      write("received.txt",
            "Envelope from: “Anna” +36301234567 (device: 1) to +3620\nTimestamp: 1700000000000 "
            "(2023-11-14T22:13:20.000Z)\nServer timestamps: received: 1700000000100 (x) delivered: 1700000000200 (x)\n"
            "Sent by unidentified/sealed sender\nMessage timestamp: 1700000000000 (x)\n"
            "Body: szia\nTo: kétsoros\nWith profile key\n\n"
            "Envelope from: “Bob” +3620 (device: 2) to +3620\nTimestamp: 1700000060000 (x)\nReceived a sync message\n"
            "Received sync sent message\n  To: +36301234567\n  Timestamp: 1700000060000 (x)\n"
            "  Message timestamp: 1700000060000 (x)\n  Body: hello\n\n"
            "Envelope from: “Bob” +3620 (device: 2) to +3620\nTimestamp: 1700000061000 (x)\nReceived a sync message\n"
            "Received sync sent message\n  To: “Kata” k-1\n  Timestamp: 1700000061000 (x)\n"
            "  Message timestamp: 1700000061000 (x)\n  Body: hey\n\n"
            "Envelope from: unknown source (device: 1)\nTimestamp: 1700000062000 (x)\nSender: “Kata” k-1 (device: 1)\n"
            "Body: hi\n\n"
            "Envelope from: “Kata” k-1 (device: 1) to +3620\nTimestamp: 1700000063000 (x)\n"
            "Message timestamp: 1700000063000 (x)\nBody: who comes?\nGroup info:\n  Id: G=\n  Name: Hike\n"
            "  Revision: 1\n  Type: DELIVER\nQuote:\nId: 1\nAuthor: “Anna” +36301234567\nText: x\n\n"
            "Envelope from: “Bob” +3620 (device: 2) to +3620\nTimestamp: 1700000064000 (x)\nReceived a sync message\n"
            "Received sync sent message\n  To: <unknown>\n  Timestamp: 1700000064000 (x)\n  Body: me\n"
            "  Group info:\n    Id: G=\n    Name: Hike\n\n"
            "Envelope from: “Anna” +36301234567 (device: 1) to +3620\nTimestamp: 1700000070000 (x)\n"
            "Received a receipt message\n"),
      bob());
  ASSERT_EQ(logs.size(), 3u);
  EXPECT_THAT(said(chat_with(logs, "Anna")), ElementsAre("Anna: szia\nTo: kétsoros", "Bob: hello"));
  EXPECT_THAT(said(chat_with(logs, "Kata")), ElementsAre("Bob: hey", "Kata: hi"));
  EXPECT_THAT(said(chat_with(logs, "Hike")), ElementsAre("Kata: who comes?", "Bob: me"));
  EXPECT_EQ(count(chat_with(logs, "Anna"), Drop::kSystem), 1u);
  std::uint64_t lines = 0;
  for (const ChatLog& log : logs) lines += log.lines;
  EXPECT_EQ(lines, 60u);
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
  EXPECT_EQ(error_of(write("r.txt", "Envelope from: “A” +1 (device: 1)\nBody: a\nTimestamp: 1700000000000 (x)\n")),
            "[DIR/r.txt:2] a message without a Timestamp");
  EXPECT_EQ(error_of(write("r.txt", "Envelope from: “A” +1 (device: 1)\nTimestamp: 17 (x)\nBody: a\n")),
            "[DIR/r.txt:2] expected milliseconds since 1970, got \"Timestamp: 17 (x)\"");
}

}  // namespace
}  // namespace attune
