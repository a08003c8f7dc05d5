#include "conversation/sms.h"

#include "conversation/export_fixture.h"
#include "conversation/xml_events.h"

namespace attune {
namespace {

using testing::ElementsAre;

using Sms = ExportFixture;

constexpr const char* kBackup = R"xml(<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<!--File Created By SMS Backup & Restore v10-->
<?xml-stylesheet type="text/xsl" href="sms.xsl"?>
<smses count="6" backup_set="x" backup_date="1700000000000">
  <sms protocol="0" address="+36 30 123 4567" date="1700000000000" type="1" subject="null" body="Szia &#55357;&#56832;&#10;j&#243;?" read="1" contact_name="Kata" />
  <sms protocol="0" address="06301234567" date="1700000060000" type="2" body="Jól &amp; te?" contact_name="Kata" />
  <sms protocol="0" address="+36301234567" date="1700000070000" type="3" body="draft" contact_name="Kata" />
  <sms protocol="0" address="TELEKOM" date="1700000080000" type="1" body="null" contact_name="(Unknown)" />
  <mms date="1700000090000" msg_box="1" address="+36301234567" contact_name="Kata" text_only="0">
    <parts>
      <part seq="-1" ct="application/smil" text="&lt;smil/&gt;" />
      <part seq="0" ct="image/jpeg" name="a.jpg" data="AAAA" text="null" />
      <part seq="0" ct="text/plain" text="Nézd!" />
    </parts>
    <addrs><addr address="+36301234567" type="137" charset="106" /></addrs>
  </mms>
  <mms date="1700000100000" msg_box="1" address="+36301234567~+36209999999" contact_name="Kata, Béla">
    <parts><part seq="0" ct="image/jpeg" data="AAAA" text="null" /></parts>
    <addrs><addr address="+36209999999" type="137" /></addrs>
  </mms>
  <mms date="1700000110000" msg_box="1" address="+36301234567~+36209999999" contact_name="Kata, Béla">
    <parts><part seq="0" ct="text/plain" text="mindenkinek" /></parts>
    <addrs><addr address="+36301234567" type="137" /></addrs>
  </mms>
</smses>)xml";

TEST_F(Sms, MessagesOfEveryKind) {
  ReadOptions options;
  options.me = {"Gergő"};
  const auto logs = logs_in(write("sms.xml", kBackup), options);
  ASSERT_EQ(logs.size(), 3u);
  std::vector<std::string> all;
  std::uint64_t system = 0, media = 0, empty = 0;
  for (const ChatLog& log : logs) {
    for (const std::string& line : said(log)) all.push_back(line);
    system += count(log, Drop::kSystem), media += count(log, Drop::kMedia), empty += count(log, Drop::kEmpty);
  }
  // One number written in two ways is one person.
  EXPECT_THAT(
      all, testing::UnorderedElementsAre("Kata: Szia 😀\njó?", "Gergő: Jól & te?", "Kata: Nézd!", "Kata: mindenkinek"));
  EXPECT_EQ(system, 1u);
  EXPECT_EQ(media, 1u);
  EXPECT_EQ(empty, 1u);
}

TEST(XmlEvents, HalvesOfCharacters) {
  EXPECT_EQ(join_surrogate_references("&#55357;&#56832;"), "😀");
  EXPECT_EQ(join_surrogate_references("&#xD83D;&#xDE00;!"), "😀!");
  EXPECT_EQ(join_surrogate_references("&#55357;x&#56832;"), "\uFFFDx\uFFFD");
  EXPECT_EQ(join_surrogate_references("&#233;&amp;&#0;&#"), "&#233;&amp;\uFFFD&#");
  EXPECT_EQ(join_surrogate_references("&#99999999999;"), "&#99999999999;");
}

TEST_F(Sms, BadFiles) {
  const std::string whole = kBackup;
  EXPECT_EQ(error_of(write("cut.xml", whole.substr(0, whole.find("Jól")))),
            "[DIR/cut.xml:6] the file ends in the middle; it is cut off: unclosed token");
  EXPECT_EQ(error_of(write("cut2.xml", whole.substr(0, whole.rfind("</smses>")))),
            "[DIR/cut2.xml:25] the file ends in the middle; it is cut off: no element found");
  std::string date = whole;
  date.replace(date.find("1700000060000"), 13, "tomorrow");
  EXPECT_EQ(error_of(write("date.xml", date)),
            "[DIR/date.xml:6] expected date=\"milliseconds since 1970\", got \"tomorrow\"");
  EXPECT_EQ(error_of(write("tag.xml", "<?xml version='1.0'?>\n<smses>\n<sms date='1700000060000'></smses>")),
            "[DIR/tag.xml:3] not valid XML: mismatched tag");
  EXPECT_EQ(error_of(write("bomb.xml", "<!DOCTYPE x [<!ENTITY a 'ha'>]>\n<smses><sms body='&a;'/></smses>")),
            "[DIR/bomb.xml:1] the document declares entities of its own; no chat program does");
}

}  // namespace
}  // namespace attune
