#include "conversation/imessage.h"

#include <sqlite3.h>

#include "base/json.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

class IMessage : public ExportFixture {
 protected:
  fs::path database(const std::string& sql, const std::string& name = "chat.db") {
    const fs::path path = folder_ / name;
    fs::remove(path);
    sqlite3* handle = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << (error == nullptr ? "" : error);
    sqlite3_close(handle);
    return path;
  }
  const std::string schema_ =
      "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, guid TEXT, text TEXT, attributedBody BLOB, handle_id INTEGER, "
      "date INTEGER, "
      "is_from_me INTEGER, item_type INTEGER, associated_message_type INTEGER, cache_has_attachments INTEGER, "
      "date_edited INTEGER, "
      "date_retracted INTEGER);"
      "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT);"
      "CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, chat_identifier TEXT, display_name TEXT);"
      "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER);"
      "INSERT INTO handle VALUES (1, '+36301234567'), (2, 'kata@example.com');"
      "INSERT INTO chat VALUES (1, '+36301234567', NULL), (2, 'chat99', 'Buli');";
};

// An archived NSAttributedString as macOS 13 writes it, with `length` as the bytes of the text's length.
std::string typedstream(const std::string& length, const std::string& text) {
  return std::string(
             "\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@"
             "\x84\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x08"
             "NSString\x01\x94\x84\x01+",
             73) +
         length + text + "\x86\x84\x02iI\x01";
}

TEST(AttributedText, LengthsOfEverySize) {
  EXPECT_EQ(attributed_text(typedstream("\x05", "Hell\xC3\xB3")), "Hell\uFFFD");  // a length in bytes
  EXPECT_EQ(attributed_text(typedstream("\x06", "Hell\xC3\xB3")), "Helló");
  const std::string long_text(300, 'x');
  EXPECT_EQ(attributed_text(typedstream(std::string("\x81\x2C\x01", 3), long_text)), long_text);
  EXPECT_EQ(attributed_text(typedstream(std::string("\x82\x2C\x01\x00\x00", 5), long_text)), long_text);
  EXPECT_EQ(attributed_text(typedstream("\x7F", "short")), std::nullopt);  // cut off
  EXPECT_EQ(attributed_text("nothing"), std::nullopt);
  EXPECT_EQ(attributed_text("NSString"), std::nullopt);
  EXPECT_EQ(attributed_text(""), std::nullopt);
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

TEST_F(IMessage, ChatsTapbacksAndEpochs) {
  ReadOptions options;
  options.me = {"Gergő"};
  const auto logs =
      logs_in(database(schema_ +
                       "INSERT INTO message VALUES"
                       "(1,'a','régi',NULL,1,500000000,0,0,0,0,0,0),"  // seconds, until 2017
                       "(2,'b',NULL,X'" +
                       hex(typedstream("\x04", "j\xC3\xB3!")) +
                       "',1,700000000000000000,1,0,0,0,0,0),"
                       "(3,'c','Liked “jó!”',NULL,1,700000001000000000,0,0,2001,0,0,0),"
                       "(4,'d','\uFFFC',NULL,1,700000002000000000,0,0,0,1,0,0),"
                       "(5,'e',NULL,NULL,1,700000003000000000,0,2,0,0,0,0),"  // renamed the group
                       "(6,'f',NULL,NULL,1,700000004000000000,0,0,0,0,700000005000000000,700000005000000000),"
                       "(7,'g','\uFFFCnézd',NULL,2,700000006000000000,0,0,0,1,700000007000000000,0),"
                       "(8,'h','all',NULL,0,700000008000000000,1,0,0,0,0,0);"
                       "INSERT INTO chat_message_join VALUES (1,1),(1,2),(1,3),(1,4),(1,5),(1,6),(2,7),(2,8);"),
              options);
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_EQ(logs[0].format, "iMessage");
  EXPECT_THAT(said(logs[0]), ElementsAre("+36301234567: régi", "Gergő: jó!"));
  EXPECT_EQ(logs[0].messages[0].time, 978307200 + 500000000);
  EXPECT_EQ(logs[0].messages[1].time, 978307200 + 700000000);
  for (const Drop reason : {Drop::kReaction, Drop::kMedia, Drop::kSystem, Drop::kDeleted}) {
    EXPECT_EQ(count(logs[0], reason), 1u) << drop_name(reason);
  }
  EXPECT_THAT(logs[1].source, testing::EndsWith("chat.db:Buli"));
  EXPECT_THAT(said(logs[1]), ElementsAre("kata@example.com: nézd", "Gergő: all"));
  EXPECT_EQ(logs[1].edited, 1u);
}

TEST_F(IMessage, OldSchemaAndArchives) {
  const fs::path old = database(
      "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, text TEXT, handle_id INTEGER, date INTEGER, is_from_me "
      "INTEGER);"
      "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT); CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, "
      "chat_identifier TEXT);"
      "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER);"
      "INSERT INTO handle VALUES (1,'a'); INSERT INTO chat VALUES (1,'a'); INSERT INTO chat_message_join VALUES (1,1);"
      "INSERT INTO message VALUES (1,'hi',1,400000000,0);",
      "3d0d7e5fb2ce288813306e4d4636395e047a3d28");
  EXPECT_THAT(said(log_in(old)), ElementsAre("a: hi"));
  // A database that its program left in write-ahead mode, inside an archive.
  const fs::path wal =
      database("PRAGMA journal_mode=WAL; " + schema_ +
               "INSERT INTO message (ROWID, text, handle_id, date, is_from_me) VALUES (1,'x',1,700000000000000000,0);"
               "INSERT INTO chat_message_join VALUES (1,1);");
  EXPECT_THAT(said(log_in(zip("messages.zip", {{"Messages/chat.db", read_file(wal)}}))),
              ElementsAre("+36301234567: x"));
  EXPECT_THAT(said(log_in(wal)), ElementsAre("+36301234567: x"));
  EXPECT_FALSE(fs::exists(wal.string() + "-wal"));  // nothing is left beside the user's database
  EXPECT_FALSE(fs::exists(wal.string() + "-shm"));
}

TEST_F(IMessage, BadFiles) {
  const fs::path path = database(schema_ +
                                 "INSERT INTO message (ROWID, text, handle_id, date, is_from_me) VALUES (7,'x',1,-5,0);"
                                 "INSERT INTO chat_message_join VALUES (1,7);");
  EXPECT_EQ(error_of(path), "[DIR/chat.db: message 7] the date -5 is none");
  const std::string bytes = read_file(path);
  EXPECT_EQ(error_of(write("chat.db", bytes.substr(0, 5000))),
            "[DIR/chat.db] not a database that can be read: database disk image is malformed");
  EXPECT_THAT(error_of(write("chat.db", bytes.substr(0, 60))),
              testing::StartsWith("[DIR/chat.db] not a database that can be read"));
  EXPECT_EQ(
      error_of(database("CREATE TABLE chat_message_join (a);", "other.db")),
      "[DIR/other.db] a database, but not one of iMessage: it has no tables message, handle and chat_message_join");
}

// The shared tables are JSON dumps with words as row ids.
TEST_F(IMessage, SharedTables) {
  const fs::path folder = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/imessage/chats";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  std::string sql =
      "CREATE TABLE message (ROWID, text, attributedBody, handle_id, date, is_from_me, item_type, "
      "associated_message_type,"
      " cache_has_attachments); CREATE TABLE handle (ROWID, id); CREATE TABLE chat (ROWID, chat_identifier, "
      "display_name);"
      " CREATE TABLE chat_message_join (chat_id, message_id);";
  const auto quoted = [](const Json& value) {
    if (value.is_null()) return std::string("NULL");
    if (value.is_boolean()) return std::string(value.get<bool>() ? "1" : "0");
    if (!value.is_string()) return value.dump();
    std::string text;
    for (const char c : value.get<std::string>()) text += c == '\'' ? "''" : std::string(1, c);
    return "'" + text + "'";
  };
  for (const auto& [table, columns] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"message", {"ROWID", "text", "handle_id", "date", "is_from_me", "item_type", "associated_message_type"}},
           {"handle", {"ROWID", "id"}},
           {"chat", {"ROWID", "chat_identifier", "display_name"}},
           {"chat_message_join", {"chat_id", "message_id"}}}) {
    for (const Json& row : parse_json(read_file(folder / (table + ".json")), table)) {
      std::string names, values;
      for (const std::string& column : columns) {
        if (!row.contains(column)) continue;
        names += (names.empty() ? "" : ",") + column;
        values += (values.empty() ? "" : ",") + quoted(row[column]);
      }
      sql += "INSERT INTO " + table + " (" + names + ") VALUES (" + values + ");";
    }
  }
  const auto logs = logs_in(database(sql));
  EXPECT_GE(logs.size(), 4u);
  std::uint64_t messages = 0, reactions = 0;
  for (const ChatLog& log : logs) messages += log.messages.size(), reactions += count(log, Drop::kReaction);
  EXPECT_GT(messages, 20u);
  EXPECT_GT(reactions, 0u);  // "Reacted 👋 to “...”"
}

}  // namespace
}  // namespace attune
