#include "conversation/messenger.h"

#include "conversation/export_fixture.h"
#include "conversation/meta_fixture.h"
#include "conversation/meta_thread.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Messenger = ExportFixture;

std::string message(const std::string& sender, std::int64_t time, const std::string& rest) {
  return "{\"sender_name\":\"" + mangled(sender) + "\",\"timestamp_ms\":" + std::to_string(time) + "," + mangled(rest) +
         "}";
}

std::string thread(const std::string& messages) {
  return "{\n \"participants\": [{\"name\": \"" + mangled("Kovács Réka") +
         "\"}, {\"name\": \"Bob Smith\"}],\n \"messages\": [\n" + messages + "],\n \"title\": \"" +
         mangled("Kovács Réka") + "\", \"is_still_participant\": true, " +
         "\"thread_path\": \"inbox/reka_1\", \"magic_words\": []\n}";
}

TEST_F(Messenger, HungarianTextIsReadRight) {
  const ChatLog log =
      log_in(write("message_1.json",
                   thread(message("Kovács Réka", 1700000000123, "\"content\":\"Árvíztűrő tükörfúrógép 😀 „jó”\""))));
  EXPECT_EQ(log.format, "Messenger");
  EXPECT_THAT(said(log), ElementsAre("Kovács Réka: Árvíztűrő tükörfúrógép 😀 „jó”"));
  EXPECT_EQ(log.messages[0].time, 1700000000);
}

TEST(UndoLatin1, OnlyWhatIsMangled) {
  EXPECT_EQ(undo_latin1("plain"), "plain");
  EXPECT_EQ(undo_latin1("\u00c3\u00a1"), "á");
  EXPECT_EQ(undo_latin1("á"), "á");       // text that was right
  EXPECT_EQ(undo_latin1("ő"), "ő");       // above U+00FF: it cannot be mangled
  EXPECT_EQ(undo_latin1("\u00c3"), "Ã");  // half a character
  EXPECT_EQ(undo_latin1("Ã¡ és ő"), "Ã¡ és ő");
}

TEST_F(Messenger, SeveralFilesOfAThreadInOrder) {
  const fs::path path =
      zip("facebook.zip", {{"your_activity_across_facebook/messages/inbox/reka_1/message_1.json",
                            thread(message("Bob Smith", 5000, "\"content\":\"e\"") + ",\n" +
                                   message("Bob Smith", 4000, "\"content\":\"d\""))},
                           {"your_activity_across_facebook/messages/inbox/reka_1/message_10.json",
                            thread(message("Bob Smith", 1000, "\"content\":\"b\"") + ",\n" +
                                   message("Kovács Réka", 1000, "\"content\":\"a\""))},
                           {"your_activity_across_facebook/messages/inbox/reka_1/message_2.json",
                            thread(message("Kovács Réka", 3000, "\"content\":\"c\""))},
                           {"your_activity_across_facebook/messages/inbox/reka_1/photos/1.jpg", "x"},
                           {"your_activity_across_facebook/other/autofill.json", "{\"autofill_information_v2\":{}}"}});
  // Times this small are seconds in the exports of 2018.
  EXPECT_THAT(said(log_in(path)),
              ElementsAre("Kovács Réka: a", "Bob Smith: b", "Kovács Réka: c", "Bob Smith: d", "Bob Smith: e"));
}

TEST_F(Messenger, EveryKindOfMessage) {
  const std::vector<std::string> messages = {
      message("Bob Smith", 1700000019000, "\"content\":\"Reacted 😍 to your message \""),
      message("Bob Smith", 1700000018000,
              "\"content\":\"Bob sent an attachment.\",\"share\":{\"link\":\"https://x.y\"}"),
      message("Bob Smith", 1700000017000, "\"content\":\"You unsent a message\""),
      message("Bob Smith", 1700000016000, "\"is_unsent\":true"),
      message("Bob Smith", 1700000015000, "\"sticker\":{\"uri\":\"s.png\"}"),
      message("Bob Smith", 1700000014000, "\"photos\":[{\"uri\":\"p.jpg\"}]"),
      message("Bob Smith", 1700000013000, "\"photos\":[{\"uri\":\"p.jpg\"}],\"content\":\"Look at this\""),
      message("Bob Smith", 1700000012000,
              "\"content\":\"Bob Smith fényképet küldött.\",\"photos\":[{\"uri\":\"p.jpg\"}]"),
      message("Bob Smith", 1700000011000, "\"content\":\"The video chat ended.\",\"call_duration\":12"),
      message("Bob Smith", 1700000010000, "\"content\":\"Bob missed your call.\",\"type\":\"Call\""),
      message("Bob Smith", 1700000009000, "\"content\":\"Bob named the group Trip.\""),
      message("Bob Smith", 1700000008000,
              "\"content\":\"You added Réka.\",\"users\":[{\"name\":\"Réka\"}],\"type\":\"Subscribe\""),
      message("Bob Smith", 1700000007000,
              "\"content\":\"https://x.y look\",\"share\":{\"link\":\"https://x.y\"},\"type\":\"Share\""),
      message("", 1700000006000, "\"content\":\"from nobody\""),
      message("Bob Smith", 1700000005000,
              "\"reactions\":[{\"reaction\":\"😆\",\"actor\":\"Kovács Réka\"}],\"content\":\"ha\""),
      message("Bob Smith", 1700000004000, "\"is_geoblocked_for_viewer\":false")};
  std::string all;
  for (const std::string& one : messages) all += (all.empty() ? "" : ",\n") + one;
  const ChatLog log = log_in(write("message_1.json", thread(all)));
  EXPECT_THAT(said(log), ElementsAre("Bob Smith: ha", "Deleted account: from nobody", "Bob Smith: https://x.y look",
                                     "Bob Smith: Look at this"));
  EXPECT_EQ(log.records, messages.size());
  EXPECT_EQ(count(log, Drop::kReaction), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 2u);
  EXPECT_EQ(count(log, Drop::kCall), 2u);
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
  EXPECT_EQ(count(log, Drop::kMedia), 4u);
  EXPECT_EQ(count(log, Drop::kEmpty), 1u);
}

TEST_F(Messenger, EncryptedChatsAreNotMangled) {
  const ChatLog log = log_in(zip("e2ee.zip", {{"messages/Kovács Réka_12.json", R"({"participants":["Kovács Réka","Bob"],
    "threadName":"Kovács Réka_12","messages":[
    {"isUnsent":false,"media":[],"reactions":[],"senderName":"Bob","text":"jó","timestamp":1700000002000,"type":"text"},
    {"isUnsent":false,"media":[{"uri":"./media/a.jpg"}],"reactions":[],"senderName":"Bob","text":"","timestamp":1700000001500,"type":"media"},
    {"isUnsent":true,"media":[],"reactions":[],"senderName":"Bob","text":"","timestamp":1700000001000,"type":"text"},
    {"isUnsent":false,"media":[],"reactions":[],"senderName":"Kovács Réka","text":"árvíztűrő","timestamp":1700000000000,"type":"text"}]})"}}));
  EXPECT_THAT(said(log), ElementsAre("Kovács Réka: árvíztűrő", "Bob: jó"));
  EXPECT_EQ(count(log, Drop::kMedia), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 1u);
}

TEST_F(Messenger, BadFiles) {
  const std::string whole = thread(message("Bob Smith", 1700000005000, "\"content\":\"a\"") + ",\n" +
                                   message("Bob Smith", 1700000004000, "\"content\":\"b\""));
  EXPECT_EQ(error_of(write("message_1.json", whole.substr(0, whole.find("\"b\"") + 2))),
            "[DIR/message_1.json:5, record 2] the file ends in the middle of a string; it is cut off");
  EXPECT_EQ(error_of(write("message_1.json",
                           thread("{\"sender_name\":\"Bob\",\"content\":\"x\",\"timestamp_ms\":\"soon\"}"))),
            "[DIR/message_1.json:4, record 1] the message has no valid time");
  EXPECT_EQ(
      error_of(
          write("message_1.json", thread("{\"sender_name\":\"Bob\",\"timestamp_ms\":1,\"content\":\"\xE1rv\xEDz\"}"))),
      "[DIR/message_1.json:4] not UTF-8 but an older encoding such as Latin-1 (byte 0xE1); convert the file first: "
      "iconv -f ISO-8859-1 -t UTF-8 OLD > NEW");
}

}  // namespace
}  // namespace attune
