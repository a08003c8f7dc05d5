#include "conversation/telegram.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Telegram = ExportFixture;

constexpr const char* kChat = R"({
 "name": "Kata",
 "type": "personal_chat",
 "id": 42,
 "messages": [
  {"id": 1, "type": "service", "date": "2024-01-15T10:29:00", "date_unixtime": "1705310940", "actor": "Kata",
   "actor_id": "user1", "action": "phone_call", "discard_reason": "missed", "text": "", "text_entities": []},
  {"id": 2, "type": "message", "date": "2024-01-15T10:30:00", "date_unixtime": "1705311000", "edited": "2024-01-15T10:31:00",
   "edited_unixtime": "1705311060", "from": "Kata", "from_id": "user1",
   "text": ["Nézd: ", {"type": "link", "text": "https://example.com/"}, " és ", {"type": "bold", "text": "írj"}, "!"],
   "text_entities": [{"type": "plain", "text": "ignored"}]},
  {"id": 3, "type": "message", "date": "2024-01-15T10:32:00", "date_unixtime": "1705311120", "from": null,
   "from_id": "user7", "text": "\ud83d\ude00 szia"},
  {"id": 4, "type": "message", "date": "2024-01-15T10:33:00", "from": "Gerg\u0151", "from_id": "user2", "text": "",
   "media_type": "sticker", "sticker_emoji": "\ud83d\ude02", "file": "x.webp"},
  {"id": 5, "type": "message", "date": "2024-01-15T10:34:00", "from": "Gerg\u0151", "text": "caption", "photo": "p.jpg",
   "width": 10, "height": 10},
  {"id": 6, "type": "message", "date": "2024-01-15T10:35:00", "from": "Kata", "forwarded_from": "News", "text": "big news"},
  {"id": 7, "type": "message", "date": "2024-01-15T10:36:00", "from": "Kata", "text": "", "location_information":
   {"latitude": 47.5, "longitude": 19.05}},
  {"id": 8, "type": "message", "date": "2024-01-15T10:37:00", "from": "Kata", "text": "", "poll": {"question": "?"}},
  {"id": 9, "type": "message", "date": "2024-01-15T10:38:00", "from": "Kata", "text": "", "contact_information": {}},
  {"id": 10, "type": "message", "date": "2024-01-15T10:39:00", "from": "Kata", "via_bot": "@gif", "text": "x"},
  {"id": 11, "type": "service", "date": "2024-01-15T10:40:00", "actor": "Kata", "action": "pin_message", "text": ""},
  {"id": 12, "type": "message", "date": "2024-01-15T10:41:00", "from": "Kata", "text": []}
 ]
})";

TEST_F(Telegram, EveryKindOfMessage) {
  const ChatLog log = log_in(write("result.json", kChat));
  EXPECT_EQ(log.format, "Telegram");
  EXPECT_EQ(log.records, 12u);
  EXPECT_THAT(said(log), ElementsAre("Kata: Nézd: https://example.com/ és írj!", "user7: 😀 szia", "Gergő: caption"));
  EXPECT_EQ(log.messages[0].time, days_from_civil(2024, 1, 15) * 86400 + 10 * 3600 + 30 * 60);
  EXPECT_EQ(log.edited, 1u);
  for (const Drop reason : {Drop::kCall, Drop::kMedia, Drop::kForwarded, Drop::kLocation, Drop::kPoll, Drop::kContact,
                            Drop::kBot, Drop::kSystem, Drop::kEmpty}) {
    EXPECT_EQ(count(log, reason), 1u) << drop_name(reason);
  }
}

TEST_F(Telegram, AllChatsOfAnAccount) {
  const auto logs =
      logs_in(write("export/result.json", R"({"about": "Here is the data", "personal_information": {"user_id": 1},
    "contacts": {"list": []},
    "chats": {"about": "", "list": [
      {"name": "Kata", "type": "personal_chat", "id": 1, "messages": [
        {"id": 1, "type": "message", "date": "2024-01-15T10:30:00", "from": "Kata", "text": "a"}]},
      {"name": null, "type": "personal_chat", "id": 2, "messages": []},
      {"type": "saved_messages", "id": 3, "messages": [
        {"id": 1, "type": "message", "date": "2024-01-15T10:30:00", "from": "Me", "text": "note"}]}]},
    "left_chats": {"about": "", "list": [
      {"name": "Kata", "type": "private_group", "id": 4, "messages": [
        {"id": 1, "type": "message", "date": "2024-01-15T10:30:00", "from": "Kata", "text": "b"}]}]}})"));
  ASSERT_EQ(logs.size(), 3u);
  EXPECT_THAT(said(logs[0]), ElementsAre("Me: note"));
  EXPECT_THAT(said(logs[1]), ElementsAre("Kata: a"));
  EXPECT_THAT(said(logs[2]), ElementsAre("Kata: b"));  // another chat of the same name
  EXPECT_NE(logs[1].chat, logs[2].chat);
}

TEST_F(Telegram, AMinifiedFileInAZipAndInUtf16) {
  const std::string text = R"({"name":"A","type":"personal_chat","id":1,"messages":[{"id":1,"type":"message",)"
                           R"("date":"2024-01-15T10:30:00","from":"Anna","text":"jo"}]})";
  EXPECT_THAT(said(log_in(zip("telegram.zip", {{"ChatExport_2024-01-15/photos/a.jpg", "x"},
                                               {"ChatExport_2024-01-15/result.json", text}}))),
              ElementsAre("Anna: jo"));
  std::string wide = "\xFF\xFE";
  for (const char c : text) wide += c, wide += '\0';
  EXPECT_THAT(said(log_in(write("wide.json", wide))), ElementsAre("Anna: jo"));
}

TEST_F(Telegram, BadFiles) {
  const std::string whole = kChat;
  EXPECT_EQ(error_of(write("cut.json", whole.substr(0, whole.find("\"Gerg") + 3))),
            "[DIR/cut.json:14, record 4] the file ends in the middle of a string; it is cut off");
  EXPECT_EQ(error_of(write("cut2.json", whole.substr(0, whole.rfind(']')))),
            "[DIR/cut2.json:26, record 12] the file ends in the middle of its JSON; it is cut off");
  std::string date = whole;
  date.replace(date.find("2024-01-15T10:34:00"), 19, "2024-02-31T10:34:00");
  EXPECT_EQ(error_of(write("date.json", date)),
            "[DIR/date.json:17, record 5] expected a date, got \"2024-02-31T10:34:00\"");
  EXPECT_EQ(error_of(write("two.json", whole + whole)),
            "[DIR/two.json:27, record 12] more text follows the end of the JSON; are these two files in one?");
  EXPECT_EQ(error_of(write(
                "comma.json",
                R"({"name":"A","type":"personal_chat","messages":[{"type":"message" "date":1,"from":"","text":""}]})")),
            "[DIR/comma.json:1, record 1] not valid JSON: expected , or }");
  EXPECT_THAT(error_of(write("page.html", "<!DOCTYPE html>\n<html><body>messages</body></html>")),
              testing::EndsWith("export it as JSON, not as HTML"));
}

TEST(TelegramSamples, SharedFiles) {
  const fs::path folder = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/telegram";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  EXPECT_EQ(read_export(folder / "telegram_simple.json", "", {}).logs[0].messages.size(), 4u);
  const auto logs = read_export(folder / "test_single_export.json", "", {}).logs;
  EXPECT_EQ(logs[0].messages[1], (ChatMessage{1544006964, "Author 2", "Link:https://telegram.org/"}));
}

}  // namespace
}  // namespace attune
