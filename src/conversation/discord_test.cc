#include "conversation/discord.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Discord = ExportFixture;

constexpr const char* kChannel = R"({
"guild": {"id": "1", "name": "Server", "iconUrl": ""},
"channel": {"id": "77", "type": "GuildTextChat", "categoryId": "5", "category": "Text", "name": "general", "topic": null},
"dateRange": {"after": null, "before": null}, "exportedAt": "2024-02-01T00:00:00+01:00",
"messages": [
{"id":"1","type":"GuildMemberJoin","timestamp":"2024-01-15T10:00:00+01:00","timestampEdited":null,"isPinned":false,"content":"Joined the server.","author":{"id":"9","name":"anna","discriminator":"0000","nickname":"Anna","isBot":false},"attachments":[],"embeds":[],"stickers":[],"reactions":[],"mentions":[]},
{"id":"2","type":"Default","timestamp":"2024-01-15T10:01:00.123+01:00","timestampEdited":"2024-01-15T10:05:00+01:00","content":"szia @Bob","author":{"id":"9","name":"anna","nickname":"Anna","isBot":false},"attachments":[],"embeds":[],"stickers":[],"reactions":[],"mentions":[{"id":"8","name":"bob"}]},
{"id":"3","type":"Reply","timestamp":"2024-01-15T10:02:00+01:00","timestampEdited":null,"content":"hello\nthere","author":{"id":"8","name":"bob","nickname":null,"isBot":false},"attachments":[{"url":"x"}],"embeds":[],"reference":{"messageId":"2"}},
{"id":"4","type":"Default","timestamp":"2024-01-15T10:03:00+01:00","timestampEdited":null,"content":"beep","author":{"id":"5","name":"bot","nickname":"bot","isBot":true},"attachments":[],"embeds":[]},
{"id":"5","type":"Default","timestamp":"2024-01-15T10:04:00+01:00","timestampEdited":null,"content":"","author":{"id":"8","name":"bob","nickname":"bob","isBot":false},"attachments":[{"url":"x"}],"embeds":[]},
{"id":"6","type":"Default","timestamp":"2024-01-15T10:05:00+01:00","timestampEdited":null,"content":"renamed","author":{"id":"9","name":"anna","nickname":"Queen Anna","isBot":false},"attachments":[],"embeds":[]},
{"id":"7","type":"Call","timestamp":"2024-01-15T10:06:00+01:00","timestampEdited":null,"content":"Started a call.","author":{"id":"9","name":"anna"},"attachments":[],"embeds":[]}
],
"messageCount": 7
})";

TEST_F(Discord, EveryKindOfMessage) {
  const ChatLog log = log_in(write("general.json", kChannel));
  EXPECT_EQ(log.format, "Discord");
  EXPECT_EQ(log.chat, "77");
  // A person is an account: a nickname that changed makes no second one.
  EXPECT_THAT(said(log), ElementsAre("Anna: szia @Bob", "bob: hello\nthere", "Anna: renamed"));
  EXPECT_EQ(log.messages[0].time, days_from_civil(2024, 1, 15) * 86400 + 10 * 3600 + 60);  // the clock as written
  EXPECT_EQ(log.edited, 1u);
  for (const Drop reason : {Drop::kSystem, Drop::kBot, Drop::kMedia, Drop::kCall}) {
    EXPECT_EQ(count(log, reason), 1u) << drop_name(reason);
  }
}

TEST_F(Discord, Csv) {
  const ChatLog log =
      log_in(write("general.csv",
                   "AuthorID,Author,Date,Content,Attachments,Reactions\n"
                   "\"9\",\"anna\",\"2024-01-15T10:01:00.0000000+01:00\",\"szia, \"\"Bob\"\"\nhogy vagy?\",\"\",\"\"\n"
                   "\"8\",\"bob#1234\",\"15-Jan-24 10:02 PM\",\"jól\",\"\",\"👍 (1)\"\n"
                   "\"8\",\"bob#1234\",\"01/16/2024 10:03 AM\",\"\",\"https://cdn/x.png\",\"\"\n"));
  EXPECT_THAT(said(log), ElementsAre("anna: szia, \"Bob\"\nhogy vagy?", "bob: jól"));
  EXPECT_EQ(log.messages[1].time, days_from_civil(2024, 1, 15) * 86400 + 22 * 3600 + 120);
  EXPECT_EQ(count(log, Drop::kMedia), 1u);
}

TEST_F(Discord, BadFiles) {
  std::string date = kChannel;
  date.replace(date.find("2024-01-15T10:03"), 10, "2024-13-15");
  EXPECT_EQ(error_of(write("date.json", date)),
            "[DIR/date.json:9, record 4] expected a timestamp, got \"2024-13-15T10:03:00+01:00\"");
  EXPECT_EQ(error_of(write("cut.json", std::string(kChannel).substr(0, 700))),
            "[DIR/cut.json:7, record 2] the file ends in the middle of a string; it is cut off");
  const std::string heading = "AuthorID,Author,Date,Content,Attachments,Reactions\n";
  EXPECT_EQ(error_of(write("date.csv", heading + "1,a,2024-01-15 10:00,x,,\n1,a,yesterday,x,,\n")),
            "[DIR/date.csv:3] expected a date, got \"yesterday\"");
  EXPECT_EQ(error_of(write("short.csv", heading + "1,a,2024-01-15 10:00\n")),
            "[DIR/short.csv:2] expected AuthorID, Author, Date and Content, got 3 fields");
  EXPECT_EQ(error_of(write("quote.csv", heading + "1,a,2024-01-15 10:00,\"never ends\n")),
            "[DIR/quote.csv:2] a quoted field of this row never ends");
}

TEST(DiscordSamples, SharedFile) {
  const fs::path file = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/discord/discord.json";
  if (!fs::exists(file)) GTEST_SKIP() << "no " << file;
  const auto logs = read_export(file, "", {}).logs;
  ASSERT_EQ(logs[0].messages.size(), 2u);
  EXPECT_EQ(logs[0].messages[1].sender, "bob");
}

}  // namespace
}  // namespace attune
