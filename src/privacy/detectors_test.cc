// Each family of detectors: what it must take, whole, and the near misses that it must leave alone.
#include <gtest/gtest.h>

#include "privacy/finding.h"
#include "privacy/names.h"

namespace attune {
namespace {

using Find = void (*)(std::string_view, std::vector<Finding>&);

std::vector<std::string> found_by(Find find, std::string_view text) {
  std::vector<Finding> found;
  find(text, found);
  std::vector<std::string> parts;
  for (const Finding& finding : found) parts.emplace_back(text.substr(finding.begin, finding.end - finding.begin));
  return parts;
}

// Each text holds exactly one find, the part between the bars: "call |+36 30 123 4567|!".
void expect_taken(Find find, std::initializer_list<const char*> texts) {
  for (std::string text : texts) {
    const std::size_t begin = text.find('|');
    text.erase(begin, 1);
    const std::size_t end = text.find('|');
    text.erase(end, 1);
    EXPECT_EQ(found_by(find, text), std::vector<std::string>{text.substr(begin, end - begin)}) << text;
  }
}

void expect_left(Find find, std::initializer_list<const char*> texts) {
  for (const char* text : texts) EXPECT_EQ(found_by(find, text), std::vector<std::string>{}) << text;
}

TEST(Phones, Taken) {
  expect_taken(&find_phones, {"call |+36 30 123 4567|!",
                              "(|+36301234567|)",
                              "tel:|+36-30-123-4567|, home",
                              "|0036 30 123 45 67|",
                              "|+36 1 234 5678| 12:30",
                              "|+44 (0)20 7946 0958|",
                              "|+44 7700 900123|",
                              "|+1 (212) 555-0123| x",
                              "|+1-212-555-0123|",
                              "|+49 (0) 171 1234567|",
                              "|+49 89 123456|.",
                              "|+43 1 58858|",
                              "|+33 6 12 34 56 78|",
                              "|+39 06 698 12345|",
                              "|+7 912 345-67-89|",
                              "|+972 54-123-4567|",
                              "hi |@36301234567| look",
                              "\u202A|+36\u00A030\u00A0123\u00A04567|\u202C",
                              "|+36 30\u2011123\u20114567|",
                              "|+420 601 123 456|",
                              "|+91 98765 43210|",
                              "|06 30 123 4567|",
                              "|06301234567|",
                              "|06/30-123-4567|",
                              "|06-1-234-5678|",
                              "|06 52 123 456|",
                              "|0652 123-456|!",
                              "|(212) 555-0123|",
                              "|212-555-0123|",
                              "|06 12 34 56 78|",
                              "|07700 900123|",
                              "|0171 1234567|",
                              "|0171/12345678|",
                              "|555-123-4567|, ok",
                              "call |555.123.4567|.",
                              "|(555) 123-4567| after six",
                              "|(555)123-4567|",
                              "(|555-123-4567|)",
                              "|1-800-555-0199|",
                              "|1 (555) 123-4567|",
                              "|020 7946 0958|",
                              "|(020) 7946 0958|",
                              "|020 79460958| 12:30",
                              "|0161 496 0000|",
                              "|01632 960001|",
                              "|030 1234567|.",
                              "Tel. |030/1234567|",
                              "|(030) 1234567|",
                              "|030 123 45 67|",
                              "phone=|0221-123456|",
                              "|0664 1234567|",
                              "|30/123-4567|",
                              "|30/123 45 67|",
                              "|70/1234567|",
                              "|30-123-4567|",
                              "hívj: |06 30 123 4567|!",
                              "|06-1-234-5678|-on",
                              "|(06 30) 123-4567|",
                              "írj: |+36 70 123 4567|-re"});
}

TEST(Phones, NearMisses) {
  expect_left(&find_phones, {"2024-01-15",
                             "15.01.2024 18:30",
                             "06.12.2023",
                             "06-12-2023 14:00",
                             "2023-06-22 123 456",
                             "06 22",
                             "0.0612345678",
                             "on 01/02/2024 at 12:30",
                             "v1.2.3.4",
                             "192.168.100.200",
                             "10.0.22621.3007",
                             "order 123456789",
                             "order #00012345678",
                             "tracking 1Z999AA10123456784",
                             "ISBN 978-3-16-148410-0",
                             "+100",
                             "+36 000 000 Ft",
                             "1 000 000 Ft",
                             "3+12345678",
                             "12345678-1-42",
                             "47.497913, 19.040236",
                             "12:30-14:45",
                             "@10",
                             "@2024",
                             "pi 3.14159265358979",
                             "2+2=4",
                             "555-0123",
                             "1234-5678-9012-3456",
                             "+1 234",
                             "0123456789",
                             "2023.12.31. 21:41",
                             "2024-11-30",
                             "30.11.2024",
                             "30/11/2024",
                             "30/11/2024 12:45:10",
                             "2024/11/30 08:15-09:45",
                             "05.06.2024 07.08.2024",
                             "05-06-2024 12",
                             "1.234.567 Ft",
                             "1.234.567,89 Ft",
                             "12,50",
                             "$555.123.4567",
                             "#555-123-4567",
                             "555-123-4567-8901",
                             "89-555-123-4567",
                             "555.123.4567.8",
                             "192.168.100.2000",
                             "255.255.255.0 10.0.0.1:8080",
                             "555 123 4567",
                             "155-123-4567",
                             "ticket 114-3941689-8772232",
                             "078-05-1120",
                             "12-3456789",
                             "100 200 3000",
                             "030 123 456",
                             "010 020 030 040",
                             "0400 0400 0400",
                             "000 1234567",
                             "0001 1234567",
                             "02139-4307",
                             "030.1234567",
                             "30/2013. (V. 31.) 1234567",
                             "20/100",
                             "40/123-4567",
                             "50-109 5929",
                             "30-1234567",
                             "2-1 3:2 11-9 11-7 8-11",
                             "100-200, 300-400, 1000-2000",
                             "linux 2.6.28-11.42 0:5.0.1-030500",
                             "[0506.234154] 0x0301234567",
                             "+999 123 456 789"});
}

TEST(Phones, OneNumberHasOneValue) {
  std::vector<Finding> found;
  find_phones("+36 30 123 4567, 0036301234567, 06-30-123-4567 and 30/123-4567", found);
  ASSERT_EQ(found.size(), 4u);
  for (const Finding& finding : found) EXPECT_EQ(finding.value, "36301234567");
  const std::pair<const char*, const char*> same[] = {{"+44 20 7946 0958", "020 7946 0958"},
                                                      {"+44 161 496 0000", "0161 496 0000"},
                                                      {"+49 30 1234567", "030/1234567"},
                                                      {"+1 555 123 4567", "1-555-123-4567"},
                                                      {"+1 555 123 4567", "(555) 123-4567"}};
  for (const auto& [international, national] : same) {
    found.clear();
    find_phones(international, found);
    find_phones(national, found);
    ASSERT_EQ(found.size(), 2u) << national;
    EXPECT_EQ(found[0].value, found[1].value) << national;
  }
}

TEST(Emails, Taken) {
  expect_taken(&find_emails, {"to |anna@example.com|.", "<|anna.kovacs+bank@mail.co.uk|>", "|KATA@posta.hu|, ok",
                              "mailto:|x_1%y@a-b.museum|?subject=z", "“|jürgen@müller.de|”"});
}

TEST(Emails, NearMisses) {
  expect_left(&find_emails,
              {"@anna", "anna@localhost", "3@1.50", "a@b.c", "me @ home.now", "x@", "@@@.com", "a@-b.com", "5@3.5km"});
}

TEST(Urls, Taken) {
  expect_taken(&find_urls,
               {"see |https://user:pw@host.example/x| now", "|https://api.example.com/v1?access_token=abc|",
                "|https://host/file?X-Amz-Signature=0123&y=1|.", "(|https://chat.whatsapp.com/AbCdEfGh12345678|)",
                "|https://docs.example.com/document/d/1aB3xYz9QwErTyUiOpAsDfGhJkL/edit|", "|www.example.com/?sid=12|",
                "|https://x.example/#access_token=1|", "|http://a.b/0123456789abcdef0123456789abcdef|"});
}

TEST(Urls, NearMisses) {
  expect_left(&find_urls,
              {"https://en.wikipedia.org/wiki/Tokaj", "https://shop.example.com/item?id=4711&page=2",
               "https://blog.example.com/how-to-bake-2-Pancakes-in-10-minutes", "http://localhost:8080/index.html",
               "https://www.example.com/20240115/a-very-long-title-of-an-article", "no link :// here", "www.",
               "https://", "https://news.example/2024/01/15/123456789012345678901234", "https://example.com/?key="});
}

TEST(Urls, AMapIsAPlace) {
  for (const char* url :
       {"https://maps.google.com/?q=47.497913,19.040236", "https://www.google.com/maps/@47.4979,19.0402,17z",
        "https://maps.example/?ll=47.497913%2C19.040236"}) {
    std::vector<Finding> found;
    find_urls(url, found);
    ASSERT_EQ(found.size(), 1u) << url;
    EXPECT_EQ(found[0].kind, PrivateKind::kCoordinates);
    EXPECT_EQ(found[0].end, std::string_view(url).size());
  }
}

// Put together here so that none stands in this file.
const std::string kLetters = "abcdefghijABCDEFGHIJ0123456789abcdefghij";

TEST(Secrets, Taken) {
  const std::string pem = "-----BEGIN " + std::string("OPENSSH PRIVATE KEY-----");
  for (const std::string& secret :
       {"hf_" + kLetters.substr(0, 34), "sk-" + kLetters, "sk-proj-" + kLetters,
        "AKIA" + std::string("ABCDEFGH12345678"), "ghp_" + kLetters.substr(0, 36), "Bearer " + kLetters, pem,
        pem + "\nb3BlbnNzaC1rZXk\n-----END " + "OPENSSH PRIVATE KEY-----"}) {
    EXPECT_EQ(found_by(&find_secrets, "KEY=" + secret + "\n"), std::vector<std::string>{secret});
  }
}

TEST(Secrets, NearMisses) {
  const std::string risk = "risk-" + kLetters;
  expect_left(&find_secrets, {"hf_hub_download and hf_short", "task-based", risk.c_str(), "-----BEGIN PUBLIC KEY-----",
                              "bearer of bad news"});
}

TEST(BankNumbers, Taken) {
  expect_taken(
      &find_bank_numbers,
      {"my |HU42 1177 3016 1111 1018 0000 0000|, thanks", "|DE89370400440532013000|", "|GB29 NWBK 6016 1331 9268 19|.",
       "iban:|de89 3704 0044 0532 0130 00|", "|NO93 8601 1117 947|", "|11773016-11111018-00000000|",
       "card |4111 1111 1111 1111| 12/26", "|4111111111111111|", "|5555-5555-5555-4444|", "|3782 822463 10005|",
       "|6011111111111117|", "|30569309025904|", "|2223003122003222|"});
}

TEST(BankNumbers, NearMisses) {
  expect_left(&find_bank_numbers,
              {"HU42 1177 3016 1111 1018 0000 0001", "DE8937040044053201300", "4111 1111 1111 1112",
               "order 1234567890123456", "0000 0000 0000 0000", "4444444444444444", "ISBN 978-3-16-148410-0",
               "11773016-11111019-00000000", "9111111111111111", "20240115-20240116", "00000000-00000000",
               "HELLO WORLD 12 THIS IS NOT ONE", "41111111111111111111", "x4111111111111111", "0.4111111111111111"});
}

TEST(Coordinates, Taken) {
  expect_taken(&find_coordinates,
               {"at |47.497913, 19.040236|!", "|-33.8688,151.2093|", "|geo:47.4979,19.0402|?z=1",
                "|47°29'52.5\"N 19°02'24.9\"E|", "|47° 29.875' N, 19° 2.415' E|", "|8FVXFXXR+5V| here",
                "itt: |N47°29'52\" E19°02'25\"|.", "|N 47° 29.875 E 019° 02.415|", "|S33°52'10\", E151°12'30\"|",
                "|47.4979° N, 19.0402° E|", "|N47.4979 E19.0402|!", "|47,4979 19,0402|", "|47,4979; 19,0402|",
                "(|47,497913, 19,040236|)"});
}

TEST(Coordinates, NearMisses) {
  expect_left(&find_coordinates, {"3.1415, hm",
                                  "1.5, 2.5",
                                  "97.497913, 19.040236",
                                  "47.497913, 190.040236",
                                  "1.2.3456, 1.2345",
                                  "12.50 13.75",
                                  "20°C",
                                  "47.4979",
                                  "C++ 11, 17",
                                  "2024.1234.5678",
                                  "12,50 13,75",
                                  "12,500; 13,750",
                                  "47,4979,19,0402",
                                  "47,4979",
                                  "97,4979 19,0402",
                                  "10,1000 20,2000,30",
                                  "1,47,4979 19,0402",
                                  "N47 E19",
                                  "20° 30°",
                                  "minus 5° N, 10",
                                  "20.5°C 30.5°C",
                                  "n 5 s 6",
                                  "47°29'52\" 19°02'25\""});
}

TEST(Addresses, Taken) {
  expect_taken(&find_addresses, {"a |Petőfi Sándor utca 12|. alatt",
                                 "|1011 Budapest, Fő utca 14/B|",
                                 "|Kossuth tér 1-3|",
                                 "itt: |Deák u. 5|.",
                                 "bei |Hauptstraße 5|!",
                                 "Treffpunkt |Marienplatz 1|",
                                 "|Lange Straße 12a|",
                                 "lives at |10 Downing Street|, he said",
                                 "|221B Baker St|.",
                                 "|5 Old Mill Lane|",
                                 "|1234 Budapest Fő tér 1|",
                                 "|H-1051 Budapest, Petőfi Sándor utca 12|.",
                                 "|1011 Budapest\nFő utca 14|",
                                 "|Fő tér 1., 1234 Budapest|.",
                                 "|Musterstraße 12, 10115 Berlin|",
                                 "|Musterstraße 12, D-10115 Berlin|!",
                                 "|Musterstraße 12\n60311 Frankfurt am Main|",
                                 "|Lange Straße 5, 61348 Bad Homburg| ist es",
                                 "|10 Downing Street, London SW1A 2AA|.",
                                 "|5 Main Street, Springfield, IL 62704|.",
                                 "|60 State Street Boston, MA 02109-1234|",
                                 "|Fő utca 3|, 2024 januárban",
                                 "|Hauptstraße 5|, 20 Uhr",
                                 "|Hauptstraße 5|, 12345",
                                 "|10 Main Street|, Tom says. On TV 10000 people"});
}

TEST(Addresses, NearMisses) {
  expect_left(&find_addresses, {"a 3. utca jobbra", "utca 12", "the 2 main streets", "Platz 3 ist frei", "5 Streets",
                                "10 Street", "az út 3 óra", "Way 5", "we walked 5 Miles Home", "a főút 80 km"});
}

TEST(Names, InEveryFormOfTheirs) {
  const Names names({"Anna Kovács", "Will", "Nagy Kata"});
  const auto found = [&](std::string_view text) {
    std::vector<Finding> list;
    names.find(text, list);
    std::string marked;
    std::size_t at = 0;
    for (const Finding& finding : list) {
      marked += std::string(text.substr(at, finding.begin - at)) + "{" + finding.value + "}";
      at = finding.end;
    }
    return marked + std::string(text.substr(at));
  };
  EXPECT_EQ(found("Szia Anna!"), "Szia {Anna Kovács}!");
  EXPECT_EQ(found("anna, ANNA"), "{Anna Kovács}, {Anna Kovács}");
  EXPECT_EQ(found("Anna Kovács's cat"), "{Anna Kovács}'s cat");
  EXPECT_EQ(found("Annának és Kovácsnak"), "{Anna Kovács}nak és {Anna Kovács}nak");
  EXPECT_EQ(found("Nagy Katával"), "{Nagy Kata}val");
  EXPECT_EQ(found("nagy baj, Nagy baj"), "nagy baj, {Nagy Kata} baj");
  EXPECT_EQ(found("I will ask Will"), "I will ask {Will}");
  EXPECT_EQ(found("Annabelle, banana, Hannah, katalógus"), "Annabelle, banana, Hannah, katalógus");
  EXPECT_EQ(names.pseudonym(0), "Alex");
  const Names taken({"Alex", "Robin"});
  EXPECT_EQ(taken.pseudonym(0), "Charlie");
}

}  // namespace
}  // namespace attune
