#include "conversation/mail.h"

#include "conversation/calendar.h"
#include "conversation/export_fixture.h"
#include "conversation/mail_text.h"
#include "conversation/mime.h"

namespace attune {
namespace {

using testing::ElementsAre;

using MailFiles = ExportFixture;

TEST(Mime, HeadersAndCharsets) {
  EXPECT_EQ(decode_header("=?utf-8?Q?J=C3=B3?= =?utf-8?B?IG5hcG90?= Anna"), "Jó napot Anna");
  EXPECT_EQ(decode_header("=?ISO-8859-2?Q?=C1rv=EDzt=FBr=F5?="), "Árvíztűrő");
  EXPECT_EQ(decode_header("=?utf-8?Q?=C3?= =?utf-8?Q?=A1?="), "á");  // one character in two words
  EXPECT_EQ(decode_header("=?utf-8?Q?broken"), "=?utf-8?Q?broken");
  EXPECT_EQ(decode_header("plain = ?"), "plain = ?");
  EXPECT_EQ(decode_charset("\xE1rv\xEDz", ""), "árvíz");  // no charset, not UTF-8
  EXPECT_EQ(decode_charset("t\x93\x94", "iso-8859-1"), "t“”");
  EXPECT_EQ(decode_charset("x\xFFy", "utf-8"), "x\uFFFDy");
  EXPECT_EQ(decode_charset("abc", "no-such-charset"), "abc");
  EXPECT_EQ(decode_charset("\x1B$B$3$s\x1B(B", "iso-2022-jp"), "こん");
  EXPECT_EQ(decode_quoted_printable("a=\r\nb=3D=C3=B3 =zz"), "ab=ó zz");
  EXPECT_EQ(decode_base64("SGVs\r\nbG8="), "Hello");
  EXPECT_EQ(html_text("<html><head><title>x</title></head><body><p>J&oacute; &amp; sz&eacute;p&#33;</p>a<br>b"
                      "<style>p{}</style><blockquote>old</blockquote></body></html>"),
            "Jó & szép!\na\nb");
}

TEST(Mime, AnAddressThatIsNotUtf8) {
  EXPECT_EQ(parse_mail("From: a\xCC@b.hu\nDate: Mon, 15 Jan 2024 10:30:00 +0100\n\nhi").address, "a\uFFFD@b.hu");
}

TEST(OwnWords, QuotesAndSignatures) {
  EXPECT_EQ(own_words("Yes.\n\nOn Mon, 15 Jan 2024 at 10:30, Anna <a@b.c> wrote:\n> Coming?\n> A.\n"), "Yes.");
  EXPECT_EQ(own_words("Yes.\n\nOn Mon, 15 Jan 2024 at 10:30,\nAnna <a@b.c> wrote:\n> Coming?\n"), "Yes.");
  EXPECT_EQ(own_words("Igen.\n\nKiss Anna <a@b.c> ezt írta (időpont: 2024. jan. 15., H, 10:30):\n\n> Jössz?"), "Igen.");
  EXPECT_EQ(own_words("> first?\nyes\n\n> second?\nno\n"), "yes\n\nno");
  EXPECT_EQ(own_words("Ok\n-- \nBob\nBoss of it all"), "Ok");
  EXPECT_EQ(own_words("Ok\n\n-----Original Message-----\nFrom: Anna\n"), "Ok");
  EXPECT_EQ(own_words("Rendben\n\n________________________________\nFeladó: Anna\n"), "Rendben");
  EXPECT_EQ(own_words("Ok\n\nFrom: Anna <a@b.c>\nSent: Monday\nTo: Bob\nSubject: x\n\nold"), "Ok");
  EXPECT_EQ(own_words("Ok\n\nSent from my iPhone\n"), "Ok");
  EXPECT_EQ(own_words("Here is the list:\n\n- a\n- b\n"), "Here is the list:\n\n- a\n- b");
  EXPECT_EQ(own_words("> only a quotation\n"), "");
}

TEST(OwnWords, Subjects) {
  bool answers = false;
  EXPECT_EQ(base_subject("Re: AW: Hétvége", answers), "hétvége");
  EXPECT_TRUE(answers);
  EXPECT_EQ(base_subject("Regarding", answers), "regarding");
  EXPECT_FALSE(answers);
}

constexpr const char* kMbox =
    "From anna@x.hu Mon Jan 15 09:30:00 2024\n"
    "From: =?utf-8?Q?Kov=C3=A1cs?= Anna <Anna@X.hu>\nTo: bob@y.com\nSubject: Trip\nDate: Mon, 15 Jan 2024 10:30:00 "
    "+0100\n"
    "Message-ID: <1@x>\nContent-Type: multipart/alternative; boundary=\"b1\"\n\n"
    "preamble\n--b1\nContent-Type: text/plain; charset=\"iso-8859-2\"\nContent-Transfer-Encoding: quoted-printable\n\n"
    "J=F6ssz h=E9tv=E9g=E9n?=\n Vissz=FCk a s=E1tort.\n>From here on it is a quotation mark.\n"
    "--b1\nContent-Type: text/html\n\n<p>not this one</p>\n--b1--\n\n"
    "From bob@y.com Tue Jan 16 20:00:00 2024\n"
    "From: bob@y.com (Bob Smith)\nTo: anna@x.hu\nSubject: Re: Trip\nDate: Tue, 16 Jan 2024 20:00:00 +0000\n"
    "Message-ID: <2@y>\nIn-Reply-To: <1@x>\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; "
    "charset=utf-8\n\n"
    "SWdlbiEKCk9uIE1vbiwgMTUgSmFuIDIwMjQgYXQgMTA6MzAsIEFubmEgd3JvdGU6Cj4gSsO2c3N6Pwo=\n\n"
    "From other@z.com Tue Jan 16 21:00:00 2024\n"
    "From: Bob Smith <bob@y.com>\nTo: anna@x.hu\nSubject: Re: trip\nDate: Wed, 17 Jan 2024 08:00:00 +0000\nMessage-ID: "
    "<3@y>\n\n"
    "And the tent?\n\n"
    "From news@z.com Tue Jan 16 22:00:00 2024\n"
    "From: News <news@z.com>\nSubject: News\nDate: Tue, 16 Jan 2024 21:00:00 +0000\nMessage-ID: <4@z>\n\nBuy!\n\n"
    "From bob@y.com Tue Jan 16 23:00:00 2024\n"
    "From: bob@y.com\nSubject: Out of office\nAuto-Submitted: auto-replied\nDate: Tue, 16 Jan 2024 23:00:00 "
    "+0000\n\nAway.\n\n"
    "From bob@y.com Tue Jan 16 23:00:00 2024\n"
    "From: bob@y.com\nSubject: Re: Trip\nMessage-ID: <2@y>\nDate: Tue, 16 Jan 2024 20:00:00 +0000\n\nIgen!\n";

TEST_F(MailFiles, ThreadsOfAnMbox) {
  const auto logs = logs_in(write("Inbox", kMbox));
  ASSERT_EQ(logs.size(), 2u);  // by who writes
  const ChatLog& trip = logs[0].messages.size() == 3 ? logs[0] : logs[1];
  EXPECT_THAT(said(trip),
              ElementsAre("Kovács Anna: Jössz hétvégén? Visszük a sátort.\nFrom here on it is a quotation mark.",
                          "Bob Smith: Igen!", "Bob Smith: And the tent?"));
  EXPECT_THAT(trip.sessions, ElementsAre(0u));
  EXPECT_EQ(trip.messages[0].time, days_from_civil(2024, 1, 15) * 86400 + 9 * 3600 + 30 * 60);  // UTC
  std::uint64_t bots = 0, duplicates = 0, records = 0;
  for (const ChatLog& log : logs) {
    bots += count(log, Drop::kBot), duplicates += count(log, Drop::kDuplicate), records += log.records;
  }
  EXPECT_EQ(bots, 1u);
  EXPECT_EQ(duplicates, 1u);
  EXPECT_EQ(records, 6u);
}

TEST_F(MailFiles, SingleMails) {
  write("a/1.eml",
        "From: Anna <a@b.c>\r\nDate: Mon, 15 Jan 2024 10:30:00 +0100\r\nSubject: x\r\nMessage-ID: "
        "<1@x>\r\n\r\nhello\r\n");
  write("a/2.eml",
        "From: Bob <b@b.c>\r\nDate: Mon, 15 Jan 2024 11:30:00 +0100\r\nSubject: Re: x\r\nReferences: <1@x>\r\n\r\n"
        "hi\r\n> hello\r\n");
  EXPECT_THAT(said(log_in(folder_ / "a")), ElementsAre("Anna: hello", "Bob: hi"));
}

TEST_F(MailFiles, BadFiles) {
  EXPECT_EQ(error_of(write("Inbox", "From someone\nFrom: a@b.c\nSubject: x\n\nhello\n")),
            "[DIR/Inbox:1] record 1: a mail without a valid Date");
  const std::string single = "From: Anna <a@b.c>\nSubject: x\nDATE: Mon, 35 Jan 2024 10:77\n\nhello\n";
  EXPECT_EQ(error_of(write("1.eml", single)),
            "[DIR/1.eml:3] the header Date names a time that does not exist, \"Mon, 35 Jan 2024 10:77\"; correct it");
  EXPECT_EQ(error_of(write("Inbox",
                           "From a@b.c Mon Jan 15 09:30:00 2024\nFrom: a@b.c\nDate: Mon, 15 Jan 2024 10:30:00 "
                           "+0100\n\na\n\nFrom a@b.c Mon Jan 15 09:30:00 2024\n" +
                               single)),
            "[DIR/Inbox:10] the header Date names a time that does not exist, \"Mon, 35 Jan 2024 10:77\"; correct it");
  // A date that nobody can read is none: the mbox has another one.
  EXPECT_EQ(logs_in(write("Inbox", "From a@b.c Mon Jan 15 09:30:00 2024\nFrom: a@b.c\nDate: tegnap\n\na\n")).size(),
            1u);
  // Binary rubbish after a good beginning is read as far as it goes.
  EXPECT_EQ(logs_in(write("Inbox", std::string(kMbox) +
                                       std::string("\nFrom x@y Tue Jan 16 23:00:00 2024\n\xFF\xFE\x00\x01", 39)))
                .size(),
            2u);
}

}  // namespace
}  // namespace attune
