#include "conversation/table.h"

#include "conversation/calendar.h"
#include "conversation/csv_reader.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Table = ExportFixture;

TEST(CsvReader, QuotesSeparatorsAndLineEnds) {
  const std::string text = "a;b;c\r\n\"x;1\";\"say \"\"hi\"\"\nthere\";\r\n\n1;2;\"3\"tail";
  CsvReader csv({text, false}, "t.csv");
  std::vector<std::string> row;
  ASSERT_TRUE(csv.next(row));
  EXPECT_THAT(row, ElementsAre("a", "b", "c"));
  ASSERT_TRUE(csv.next(row));
  EXPECT_THAT(row, ElementsAre("x;1", "say \"hi\"\nthere", ""));
  ASSERT_TRUE(csv.next(row));
  EXPECT_THAT(row, ElementsAre("1", "2", "3tail"));
  EXPECT_EQ(csv.place(), "t.csv:5");
  EXPECT_FALSE(csv.next(row));
}

TEST_F(Table, CsvWithUsualNames) {
  const auto logs =
      logs_in(write("chat.csv",
                    "\xEF\xBB\xBF"
                    "Dátum;Feladó;Üzenet;Channel\n2024-01-15 10:30;Anna;szia;a\n15/01/2024 10:31;Bob;\"jó; és te?\";a\n"
                    "1705314720;Anna;b;b\n2024-01-15 10:32;;system;a\n2024-01-15 10:33;Bob; ;a\n"));
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_THAT(said(logs[0]), ElementsAre("Anna: szia", "Bob: jó; és te?"));
  EXPECT_EQ(logs[0].messages[1].time, days_from_civil(2024, 1, 15) * 86400 + 10 * 3600 + 31 * 60);
  EXPECT_EQ(count(logs[0], Drop::kSystem), 1u);
  EXPECT_EQ(count(logs[0], Drop::kEmpty), 1u);
  EXPECT_EQ(logs[1].messages[0].time, 1705314720);
}

TEST_F(Table, JsonLinesWithNamedColumns) {
  ReadOptions options;
  options.columns = parse_columns("time=when,sender=who,text=what");
  const auto logs = logs_in(write("chat.jsonl",
                                  "{\"who\":\"Anna\",\"what\":\"szia\",\"when\":1705314600000}\n"
                                  "{\"when\":\"2024-01-15T10:31:00Z\",\"who\":\"Bob\",\"what\":\"j\\u00f3\"}\n"),
                            options, "table");
  EXPECT_THAT(said(logs[0]), ElementsAre("Anna: szia", "Bob: jó"));
  EXPECT_EQ(logs[0].messages[0].time, 1705314600);
}

TEST_F(Table, WithoutATimeTheRowsAreInOrder) {
  const ChatLog log = log_in(write("chat.csv", "speaker,text\nAnna,a\nBob,b\n"));
  EXPECT_THAT(said(log), ElementsAre("Anna: a", "Bob: b"));
  EXPECT_EQ(log.dates, "none in the table: the order of the rows counts");
}

TEST_F(Table, BadFiles) {
  EXPECT_EQ(error_of(write("t.csv", "time,sender,text\n2024-01-15 10:30,A,a\nlater,B,b\n")),
            "[DIR/t.csv:3] expected a time, got \"later\"");
  EXPECT_EQ(error_of(write("t.csv", "time,sender,text\n2024-01-15 10:30\n")), "[DIR/t.csv:2] expected 3 fields, got 1");
  ReadOptions options;
  options.columns = {{"sender", "Frm"}};
  EXPECT_EQ(error_of(write("t.csv", "time,from,text\n1705314600,A,a\n"), options),
            "[DIR/t.csv] --columns: there is no column \"Frm\"; did you mean from?");
  try {
    parse_columns("who=x");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[--columns] expected time=NAME,sender=NAME,text=NAME,chat=NAME, got \"who=x\"");
  }
  try {
    read_export(write("t.csv", "a,b\n1,2\n"), "table", {});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("no column for the sender among \"a\", \"b\"; name it: --columns sender=NAME"));
  }
}

TEST_F(Table, ReadyConversationsPassThrough) {
  const auto rows = [&](const char* text) { return read_export(write("rows.jsonl", text), "", {}).rows; };
  EXPECT_EQ(rows(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})")[0].list.size(),
            1u);
  EXPECT_EQ(rows(R"({"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]})")[0].list.size(), 1u);
  EXPECT_EQ(rows(R"([{"instruction":"a","input":"","output":"b"}])")[0].list.size(), 1u);
  EXPECT_EQ(rows("{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"c\",\"completion\":\"d\"}\n")[0].list.size(),
            2u);
  EXPECT_EQ(error_of(write("rows.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"messages\":[]}\n")),
            "[DIR/rows.jsonl:2] key \"prompt\" is missing");
}

TEST_F(Table, TwoTypesInOneFolder) {
  write("both/a.txt", "31/12/23, 21:41 - Anna: a\n31/12/23, 21:42 - Bob: b\n");
  write(
      "both/result.json",
      R"({"name":"A","type":"personal_chat","id":1,"messages":[{"type":"message","date":"2024-01-15T10:30:00","from":"A","text":"a"}]})");
  EXPECT_EQ(error_of(folder_ / "both"),
            "[DIR/both/result.json] a file of another type (telegram) beside a.txt (whatsapp); import them as separate "
            "paths");
  write("weak/a.txt", "31/12/23, 21:41 - Anna: a\n31/12/23, 21:42 - Bob: b\n");
  write("weak/contacts.csv", "name,message\nx,y\n");
  EXPECT_THAT(said(log_in(folder_ / "weak")), ElementsAre("Anna: a", "Bob: b"));  // other tables may lie beside
}

}  // namespace
}  // namespace attune
