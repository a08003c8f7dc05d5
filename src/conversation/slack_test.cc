#include "conversation/slack.h"

#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Slack = ExportFixture;

constexpr const char* kUsers = R"([
 {"id":"U1","team_id":"T1","name":"anna","real_name":"Anna Kiss","is_bot":false,"profile":{"real_name":"Anna Kiss","display_name":"anna"}},
 {"id":"U2","team_id":"T1","name":"bob","deleted":true,"profile":{"real_name":"Bob Smith","display_name":""}},
 {"id":"U3","team_id":"T1","name":"hook","is_bot":true,"profile":{"real_name":"Hook"}}])";

TEST(SlackText, MarksBecomeWhatPeopleSee) {
  const std::map<std::string, std::string> users = {{"U1", "Anna"}};
  EXPECT_EQ(slack_text("<@U1>: see <https://a.b/?x=1&amp;y=2|the page> in <#C1|general>", users),
            "@Anna: see the page in #general");
  EXPECT_EQ(slack_text("<@U9|carl> &amp; <@U8> &lt;3 <!here> <!subteam^S1|@team>", users),
            "@carl & @U8 <3 @here @team");
  EXPECT_EQ(slack_text("<https://a.b/?x&amp;y> <mailto:a@b.c|a@b.c> <mailto:x@y.z> <tel:123|1-23>", users),
            "https://a.b/?x&y a@b.c x@y.z 1-23");
  EXPECT_EQ(slack_text("<!date^1392734382^{date}|Feb 18> a < b &gt; c <unclosed", users), "Feb 18 a < b > c <unclosed");
}

TEST_F(Slack, ChannelsThreadsAndNames) {
  const auto logs =
      logs_in(zip("slack.zip", {{"channels.json", R"([{"id":"C1","name":"general","members":["U1","U2"]}])"},
                                {"general/2024-01-15.json", R"([
 {"type":"message","subtype":"channel_join","user":"U1","text":"<@U1> has joined the channel","ts":"1705312000.000100"},
 {"type":"message","user":"U1","text":"first &amp; foremost","ts":"1705312100.000200","thread_ts":"1705312100.000200","reply_count":1},
 {"type":"message","user":"U2","text":"something else","ts":"1705312200.000300"},
 {"type":"message","user":"U1","text":"","files":[{"id":"F1"}],"ts":"1705312250.000300"},
 {"type":"message","subtype":"bot_message","bot_id":"B1","text":"deployed","ts":"1705312260.000300"},
 {"type":"message","user":"U3","text":"hooked","ts":"1705312261.000300"},
 {"type":"message","user":"U9","user_profile":{"display_name":"guest","real_name":"A Guest"},"text":"hi","ts":"1705312262.000300"},
 {"type":"message","subtype":"tombstone","user":"U1","text":"This message was deleted.","ts":"1705312263.0"}])"},
                                {"general/2024-01-16.json", R"([
 {"type":"message","user":"U2","text":"answer to the first","ts":"1705402500.000100","thread_ts":"1705312100.000200","edited":{"user":"U2"}},
 {"type":"message","subtype":"file_share","user":"U1","text":"<@U1> uploaded a file: <https://x|y>","ts":"1705402600.000100"},
 {"type":"message","subtype":"file_comment","text":"<@U2> commented on <@U1>’s file <https://x|y>: nice","ts":"1705402650.1","comment":{"user":"U2","comment":"nice"}},
 {"type":"message","subtype":"thread_broadcast","user":"U1","text":"to all","ts":"1705402700.000100","thread_ts":"1705402700.000100"}])"},
                                {"users.json", kUsers}}));
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0].chat, "general");
  EXPECT_THAT(said(logs[0]), ElementsAre("anna: first & foremost", "Bob Smith: answer to the first",
                                         "Bob Smith: something else", "guest: hi", "Bob Smith: nice", "anna: to all"));
  EXPECT_EQ(logs[0].edited, 1u);
  EXPECT_EQ(count(logs[0], Drop::kSystem), 1u);
  EXPECT_EQ(count(logs[0], Drop::kMedia), 2u);
  EXPECT_EQ(count(logs[0], Drop::kBot), 2u);
  EXPECT_EQ(count(logs[0], Drop::kDeleted), 1u);
}

TEST_F(Slack, AFolderWithAFolderInIt) {
  write("export/users.json", kUsers);
  write("export/dm/2024-01-15.json", R"([{"type":"message","user":"U1","text":"a","ts":"1705312000.1"}])");
  write("export/team/2024-01-15.json", R"([{"type":"message","user":"U2","text":"b","ts":"1705312000.1"}])");
  const auto logs = logs_in(folder_);
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_THAT(said(logs[0]), ElementsAre("anna: a"));
  EXPECT_THAT(said(logs[1]), ElementsAre("Bob Smith: b"));
}

TEST_F(Slack, BadFiles) {
  EXPECT_EQ(
      error_of(write("2024-01-15.json", "[\n{\"type\":\"message\",\"user\":\"U1\",\"text\":\"a\",\"ts\":\"today\"}]")),
      "[DIR/2024-01-15.json:2, record 1] the message has no valid \"ts\"");
  EXPECT_EQ(
      error_of(write("2024-01-15.json", "[\n{\"type\":\"message\",\"ts\":\"1705312000.1\"},\n{\"type\":\"message\"")),
      "[DIR/2024-01-15.json:3, record 2] the file ends in the middle of its JSON; it is cut off");
}

TEST(SlackSamples, SharedWorkspace) {
  const fs::path file = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/slack/testarchive.zip";
  if (!fs::exists(file)) GTEST_SKIP() << "no " << file;
  const auto logs = read_export(file, "", {}).logs;
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_EQ(logs[0].chat, "enrique");
  std::uint64_t messages = 0;
  for (const ChatLog& log : logs) {
    messages += log.messages.size();
    for (const ChatMessage message : log.messages) {
      EXPECT_EQ(message.text.find("<@U"), std::string_view::npos) << message.text;
      EXPECT_EQ(message.text.find("&amp;"), std::string_view::npos) << message.text;
      EXPECT_NE(message.sender.substr(0, 3), "U0B");
    }
  }
  EXPECT_EQ(messages, 50u);
}

}  // namespace
}  // namespace attune
