#include "conversation/instagram.h"

#include "conversation/export_fixture.h"
#include "conversation/meta_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

constexpr const char* kInbox = "your_instagram_activity/messages/inbox/";

class Instagram : public ExportFixture {
 protected:
  // Messages from the newest on, one second apart; each is what follows the time: "\"content\":\"szia\"".
  static std::string messages(const std::vector<std::pair<std::string, std::string>>& list) {
    std::string json;
    std::int64_t time = 1700000000000;
    for (const auto& [sender, rest] : list) {
      json += json.empty() ? "" : ",\n";
      json += fmt::format(R"({{"sender_name":"{}","timestamp_ms":{},{}}})", mangled(sender), time, mangled(rest));
      time -= 1000;
    }
    return "\"messages\":[\n" + json + "]";
  }

  // The whole of a file, as exports since 2023 have it.
  static std::string thread(const std::vector<std::pair<std::string, std::string>>& list) {
    return "{\n\"participants\":[{\"name\":\"" + mangled("Kovács Réka") + "\"},{\"name\":\"anna\"}],\n" +
           messages(list) + ",\n\"title\":\"" + mangled("Kovács Réka") +
           "\",\"is_still_participant\":true,\"thread_path\":\"inbox/reka_1\",\"magic_words\":[]}";
  }
};

TEST_F(Instagram, HungarianTextIsReadRight) {
  const ChatLog log =
      log_in(zip("export.zip", {{std::string(kInbox) + "reka_1/message_1.json",
                                 thread({{"anna", "\"content\":\"Őrült jó „idézet” – 😀👍🏽\""},
                                         {"Kovács Réka", "\"content\":\"Árvíztűrő tükörfúrógép\\nÁRVÍZTŰRŐ\""}})}}));
  EXPECT_EQ(log.format, "Instagram");
  EXPECT_EQ(log.chat, "inbox/reka_1");
  EXPECT_THAT(said(log), ElementsAre("Kovács Réka: Árvíztűrő tükörfúrógép\nÁRVÍZTŰRŐ",
                                     "anna: Őrült jó „idézet” – 😀👍🏽"));
  EXPECT_EQ(log.messages[1].time, 1700000000);
}

TEST_F(Instagram, WithoutParticipantsAndFolder) {
  const std::string bare = "{" + messages({{"anna", "\"content\":\"szép\""}, {"Kovács Réka", "\"content\":\"ő az\""}});
  const ChatLog log = log_in(write("message_1.json", bare + "}"));
  EXPECT_EQ(log.format, "Instagram");
  EXPECT_EQ(log.chat, "");
  EXPECT_THAT(said(log), ElementsAre("Kovács Réka: ő az", "anna: szép"));
  // A "participants" or "type" is Messenger's, unless the folder says what it is.
  EXPECT_EQ(log_in(write("message_2.json", thread({{"anna", "\"content\":\"a\""}}))).format, "Messenger");
  EXPECT_EQ(log_in(write("message_3.json", bare + ",\"type\":\"Generic\"}")).format, "Messenger");
  EXPECT_EQ(logs_in(write("message_4.json", thread({{"anna", "\"content\":\"a\""}})), {}, "instagram")[0].format,
            "Instagram");
}

TEST_F(Instagram, Reactions) {
  const ChatLog log = log_in(
      write(
          std::string(kInbox) + "reka_1/message_1.json",
          thread({{"anna", "\"content\":\"Liked a message\""},
                  {"anna", "\"content\":\"Reacted ❤️ to your message \""},
                  {"anna", "\"content\":\"Kedvelt egy üzenetet\""},
                  {"anna", "\"content\":\"Hat eine Nachricht mit „Gefällt mir“ markiert\""},
                  {"Kovács Réka", "\"content\":\"megjöttem\",\"reactions\":[{\"reaction\":\"❤\",\"actor\":\"anna\"}]"},
                  {"anna", "\"content\":\"Liked a message of yours, ok?\""}}))
          .parent_path()
          .parent_path()
          .parent_path());
  EXPECT_THAT(said(log), ElementsAre("anna: Liked a message of yours, ok?", "Kovács Réka: megjöttem"));
  EXPECT_EQ(count(log, Drop::kReaction), 4u);
}

TEST_F(Instagram, SharesAndMedia) {
  const std::string share =
      "\"share\":{\"link\":\"https://www.instagram.com/reel/x/\",\"share_text\":\"Egy reel\","
      "\"original_content_owner\":\"valaki\"}";
  const ChatLog log = log_in(zip(
      "export.zip",
      {{std::string(kInbox) + "reka_1/message_1.json",
        thread({{"anna", share},
                {"anna", share + ",\"content\":\"anna sent an attachment.\""},
                {"Kovács Réka", share + ",\"content\":\"Kovács Réka mellékletet küldött.\""},
                {"Kovács Réka", share + ",\"content\":\"Ezt nézd meg\""},
                {"anna", "\"share\":{},\"content\":\"üres megosztás\""},
                {"anna", "\"photos\":[{\"uri\":\"p.jpg\",\"creation_timestamp\":1}]"},
                {"anna", "\"audio_files\":[{\"uri\":\"a.mp4\"}],\"reactions\":[{\"reaction\":\"x\",\"actor\":\"y\"}]"},
                {"anna", "\"content\":\"You sent a photo.\",\"photos\":[{\"uri\":\"p.jpg\"}]"},
                {"anna", "\"call_duration\":0,\"content\":\"Video chat ended\""},
                {"anna", "\"is_unsent\":true"},
                {"anna", "\"is_geoblocked_for_viewer\":false"}})}}));
  EXPECT_THAT(said(log), ElementsAre("anna: üres megosztás", "Kovács Réka: Ezt nézd meg"));
  EXPECT_EQ(count(log, Drop::kMedia), 6u);
  EXPECT_EQ(count(log, Drop::kCall), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 1u);
  EXPECT_EQ(count(log, Drop::kEmpty), 1u);
  EXPECT_EQ(log.records, 11u);
}

TEST_F(Instagram, ThreadsOfAWholeExport) {
  const std::string inbox = kInbox;
  const auto logs = logs_in(zip(
      "export.zip",
      {{inbox + "reka_1/message_1.json", thread({{"anna", "\"content\":\"késő\""}})},
       {inbox + "reka_1/message_2.json", thread({{"Kovács Réka", "\"content\":\"korai\""}})},
       {inbox + "reka_1/photos/1.jpg", "x"},
       {"your_instagram_activity/messages/message_requests/x_2/message_1.json", thread({{"x", "\"content\":\"hi\""}})},
       {inbox + "csend_3/message_1.json", "{\"participants\":[],\"messages\":[],\"title\":\"csend\"}"},
       {"your_instagram_activity/likes/liked_posts.json", "{\"likes_media_likes\":[]}"},
       {"your_instagram_activity/comments/post_comments_1.json",
        "[{\"string_map_data\":{\"Comment\":{\"value\":\"szep\"}}}]"}}));
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_EQ(logs[0].messages.size(), 2u);
  EXPECT_THAT(said(logs[1]), ElementsAre("x: hi"));
}

TEST_F(Instagram, BadFiles) {
  const std::string name = std::string(kInbox) + "reka_1/message_1.json";
  const std::string whole = thread({{"anna", "\"content\":\"a\""}, {"anna", "\"content\":\"bb\""}});
  EXPECT_EQ(error_of(zip("cut.zip", {{name, whole.substr(0, whole.find("bb") + 1)}})),
            "[DIR/cut.zip:" + name + ":5, record 2] the file ends in the middle of a string; it is cut off");
  EXPECT_EQ(
      error_of(zip("time.zip", {{name, R"({"messages":[{"sender_name":"a","timestamp_ms":-5,"content":"x"}]})"}})),
      "[DIR/time.zip:" + name + ":1, record 1] the message has no valid time");
  EXPECT_EQ(
      error_of(zip("other.zip", {{"your_instagram_activity/likes/liked_posts.json", "{\"likes_media_likes\":[]}"}}))
          .substr(0, 57),
      "[DIR/other.zip] not a chat export that attune knows (iMes");
}

TEST(InstagramSamples, SharedFiles) {
  const fs::path folder = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/instagram";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto logs = read_export(folder / "test_export.json", "", {}).logs;
  EXPECT_EQ(logs[0].format, "Instagram");
  EXPECT_EQ(logs[0].messages[0], (ChatMessage{1577186580, "Jane Doe", "Hello John!"}));
}

}  // namespace
}  // namespace attune
