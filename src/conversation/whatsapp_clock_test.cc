// Stamps and clocks: the forms of many phones, one line each, and what the whole file decides.
#include "conversation/whatsapp_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/calendar.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::int64_t at(int year, int month, int day, int hour, int minute, int second = 0) {
  return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

struct Read {
  std::vector<std::optional<std::int64_t>> times;
  std::string dates, clock;
  std::vector<std::string> bodies;
};

Read read(const std::vector<std::string>& lines, DateOrder order = DateOrder::kInfer) {
  Read result;
  WhatsAppStamps stamps;
  for (const std::string& line : lines) {
    auto stamp = parse_whatsapp_stamp(line);
    EXPECT_TRUE(stamp) << line;
    if (!stamp) continue;
    result.bodies.push_back(line.substr(stamp->body));
    stamps.push_back(*std::move(stamp));
  }
  WhatsAppClock clock = read_whatsapp_clock(stamps, order, "chat.txt");
  for (std::size_t i = 0; i < clock.times.size(); ++i) result.times.push_back(clock.times[i]);
  result.dates = clock.dates, result.clock = clock.clock;
  return result;
}

struct FormCase {
  const char* name;
  std::vector<std::string> lines;  // the last one is 2023-12-31 21:41 (or :05 with seconds), the body "Név: szia"
  bool seconds = false;
};

class StampForms : public testing::TestWithParam<FormCase> {};

TEST_P(StampForms, LastLineIsNewYearsEve) {
  const FormCase& form = GetParam();
  const Read result = read(form.lines);
  ASSERT_EQ(result.times.size(), form.lines.size());
  EXPECT_EQ(result.times.back(), at(2023, 12, 31, 21, 41, form.seconds ? 5 : 0))
      << result.dates << "; " << result.clock;
  EXPECT_EQ(result.bodies.back(), "Név: szia");
  for (std::size_t i = 1; i < result.times.size(); ++i) EXPECT_LE(result.times[i - 1], result.times[i]) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Phones, StampForms,
    testing::Values(
        FormCase{"us_android", {"12/31/23, 9:41 AM - Név: szia", "12/31/23, 9:41 PM - Név: szia"}},
        FormCase{"us_android_narrow_space", {"12/31/23, 9:41\u202FPM - Név: szia"}},
        FormCase{"us_ios", {"[12/31/23, 9:41:05\u202FPM] Név: szia"}, true},
        FormCase{"ios_leading_mark", {"\u200E[12/31/23, 9:41:05 PM] Név: szia"}, true},
        FormCase{"german_android", {"31.12.23, 21:41 - Név: szia"}},
        FormCase{"german_ios", {"[31.12.23, 21:41:05] Név: szia"}, true},
        FormCase{"hungarian_android", {"2023. 01. 05. 8:02 - Név: a", "2023. 12. 31. 21:41 - Név: szia"}},
        FormCase{"hungarian_android_comma", {"2023. 12. 31., 21:41 - Név: szia"}},
        FormCase{"hungarian_android_tight", {"2023.12.31. 21:41 - Név: szia"}},
        FormCase{"hungarian_ios", {"[2023. 12. 31. 21:41:05] Név: szia"}, true},
        FormCase{"hungarian_ios_comma", {"[2023. 12. 31., 21:41:05] Név: szia"}, true},
        FormCase{"hungarian_words", {"2023. 12. 31. de. 9:41 - Név: a", "2023. 12. 31. du. 9:41 - Név: szia"}},
        FormCase{"hungarian_ios_words", {"[2023. 12. 31. du. 9:41:05] Név: szia"}, true},
        FormCase{"spanish", {"31/12/23, 21:41 - Név: szia"}},
        FormCase{"spanish_words", {"31/12/23 9:41 a. m. - Név: b", "31/12/23 9:41 p.\u00A0m. - Név: szia"}},
        FormCase{"spanish_mexico_ios", {"[31/12/23, 9:41:05 p.m.] Név: szia"}, true},
        FormCase{"brazilian", {"31/12/2023 21:41 - Név: szia"}},
        FormCase{"french_old", {"31/12/2023 à 21:41 - Név: szia"}},
        FormCase{"french_canadian", {"2023-12-31 21 h 41 - Név: szia"}},
        FormCase{"italian", {"31/12/23, 21:41 - Név: szia"}},
        FormCase{"dutch_android", {"31-12-2023 21:41 - Név: szia"}},
        FormCase{"dutch_ios", {"[31-12-2023 21:41:05] Név: szia"}, true},
        FormCase{"polish", {"31.12.2023, 21:41 - Név: szia"}}, FormCase{"turkish", {"31.12.2023 21:41 - Név: szia"}},
        FormCase{"turkish_words", {"31.12.2023 ÖÖ 9:41 - Név: a", "31.12.2023 ÖS 9:41 - Név: szia"}},
        FormCase{"russian", {"31.12.2023, 21:41 - Név: szia"}},
        FormCase{"greek", {"31/12/23, 9:41 π.μ. - Név: a", "31/12/23, 9:41 μ.μ. - Név: szia"}},
        FormCase{"bulgarian", {"31.12.23 г., 21:41 ч. - Név: szia"}},
        FormCase{"finnish", {"31.12.2023 klo 21.41 - Név: szia"}}, FormCase{"danish", {"31.12.2023 21.41 - Név: szia"}},
        FormCase{"indonesian", {"31/12/23 21.41 - Név: szia"}}, FormCase{"swedish", {"2023-12-31 21:41 - Név: szia"}},
        FormCase{"canadian", {"2023-12-31, 9:41 p.m. - Név: szia"}},
        FormCase{"south_african", {"2023/12/31, 9:41 pm - Név: szia"}},
        FormCase{"croatian", {"31. 12. 2023. 21:41 - Név: szia"}},
        FormCase{"slovenian", {"31. 12. 23, 21:41 - Név: szia"}},
        FormCase{"vietnamese_time_first", {"21:41, 31/12/2023 - Név: szia"}},
        FormCase{"arabic", {"٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ ص - Név: a", "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ م - Név: szia"}},
        FormCase{"arabic_ios", {"[\u200F٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١:٠٥ م] Név: szia"}, true},
        FormCase{"persian_solar", {"۱۴۰۲/۱۰/۱۰،\u200F ۲۱:۴۱ - Név: szia"}},
        FormCase{"hebrew", {"31.12.2023, 21:41 - Név: szia"}},
        FormCase{"hebrew_words", {"[31.12.2023, 9:41:05 אחה״צ] Név: szia"}, true},
        FormCase{"hindi", {"31/12/23, 9:41 पूर्वाह्न - Név: a", "31/12/23, 9:41 अपराह्न - Név: szia"}},
        FormCase{"hindi_digits", {"३१/१२/२३, ९:४१ pm - Név: szia"}},
        FormCase{"bengali_digits", {"৩১/১২/২৩, ৯:৪১ PM - Név: szia"}},
        FormCase{"japanese", {"2023/12/31 21:41 - Név: szia"}},
        FormCase{"japanese_words", {"[2023/12/31 午後9:41:05] Név: szia"}, true},
        FormCase{"korean_android", {"2023. 12. 31. 오전 9:41 - Név: a", "2023. 12. 31. 오후 9:41 - Név: szia"}},
        FormCase{"korean_ios", {"[2023. 12. 31. 오후 9:41:05] Név: szia"}, true},
        FormCase{"korean_units", {"2023년 12월 31일 오후 9:41 - Név: szia"}},
        FormCase{"chinese", {"2023/12/31 上午9:41 - Név: a", "2023/12/31 下午9:41 - Név: szia"}},
        FormCase{"chinese_parts", {"[2023/12/31 凌晨1:05:00] Név: a", "[2023/12/31 晚上9:41:05] Név: szia"}, true},
        FormCase{"chinese_units", {"2023年12月31日 21:41 - Név: szia"}},
        FormCase{"taiwan_minguo", {"112/12/31 下午9:41 - Név: szia"}},
        FormCase{"thai_buddhist", {"31/12/2566 21:41 - Név: szia"}},
        FormCase{"fullwidth", {"２０２３／１２／３１ ２１：４１ - Név: szia"}},
        FormCase{"old_ios", {"31/12/23 21:41:05: Név: szia"}, true},
        FormCase{"old_ios_words", {"12/31/23, 9:41:05 PM: Név: szia"}, true},
        FormCase{"en_dash", {"31/12/23, 21:41 – Név: szia"}},
        FormCase{"english_words",
                 {"31/12/2023, 9:41 in the morning - Név: a", "31/12/2023, 9:41 in the evening - Név: szia"}},
        FormCase{"unknown_words",
                 {"31/12/2023 xa 8:10 - Név: a", "31/12/2023 xa 11:50 - Név: b", "31/12/2023 xb 1:20 - Név: c",
                  "31/12/2023 xb 9:41 - Név: szia"}}),
    [](const auto& info) { return info.param.name; });

TEST(Stamp, OrdinaryTextIsNone) {
  for (const char* line :
       {"", "szia", "2023", "12:30-kor ott vagyok", "1. 2. 3. 4. 5. hat", "[link] hello", "31/12/23 - Név: szia",
        "[31/12, 21:41] Név: szia", "12/31/23, 9:41", "https://a.b/2023/12/31/21/41 - x: y", "1/2/3/4/5/6/7 - a: b",
        "99:99, 31/12/2023 - Név: szia", "31/12/23, 25:10 - Név: szia", "31/12/23, 21:71 - Név: szia",
        "+36 30 123 45 67 - ez a számom", "10:20:30, 40:50 - x: y", "31/12/23, 21:4 - Név: szia",
        "0/12/23, 21:41 - Név: szia", "12345/12/31 21:41 - x: y"}) {
    EXPECT_FALSE(parse_whatsapp_stamp(line)) << line;
  }
}

TEST(Clock, DayAboveTwelveDecides) {
  const Read result = read({"05/03/23, 8:00 - a: b", "13/03/23, 8:00 - a: b"});
  EXPECT_EQ(result.times[0], at(2023, 3, 5, 8, 0));
  EXPECT_EQ(result.dates, "day-month-year: 1 of 2 entries cannot be read as month-day-year");
  EXPECT_EQ(result.clock, "24-hour");
}

TEST(Clock, MonotonyDecides) {
  // No number above 12: only month-day-year runs forward.
  const Read result = read({"01/09/23, 8:00 - a: b", "02/03/23, 8:00 - a: b", "03/01/23, 8:00 - a: b"});
  EXPECT_EQ(result.times[2], at(2023, 3, 1, 8, 0));
  EXPECT_THAT(result.dates, StartsWith("month-day-year: read as day-month-year, 2 of 3 entries go back in time"));
}

TEST(Clock, ShorterGapsDecideAndTheLedgerSaysSo) {
  const Read result = read({"03/04/23, 8:00 - a: b", "04/04/23, 8:00 - a: b", "05/04/23, 8:00 - a: b"});
  EXPECT_EQ(result.times[2], at(2023, 4, 5, 8, 0));
  EXPECT_THAT(result.dates, HasSubstr("this order has 2 days between messages, month-day-year has 61"));
  EXPECT_THAT(result.dates, HasSubstr("set --date-order"));
}

TEST(Clock, CustomDecidesWhatNothingElseCan) {
  EXPECT_THAT(read({"03.04.23, 8:00 - a: b"}).dates, StartsWith("day-month-year: a guess"));
  EXPECT_THAT(read({"3/4/23, 8:00 PM - a: b"}).dates, StartsWith("month-day-year: a guess"));
}

TEST(Clock, TwoDigitYearFirst) {
  const Read result = read({"23-12-30, 8:00 - a: b", "23-12-31, 8:00 - a: b", "24-01-02, 9:00 - a: b"});
  EXPECT_EQ(result.times[1], at(2023, 12, 31, 8, 0));
  EXPECT_EQ(result.times[2], at(2024, 1, 2, 9, 0));
}

TEST(Clock, OptionIsObeyed) {
  EXPECT_EQ(read({"03/04/23, 8:00 - a: b"}, DateOrder::kMonthDayYear).times[0], at(2023, 3, 4, 8, 0));
  EXPECT_EQ(read({"03/04/23, 8:00 - a: b"}, DateOrder::kDayMonthYear).times[0], at(2023, 4, 3, 8, 0));
  EXPECT_EQ(read({"03/04/05, 8:00 - a: b"}, DateOrder::kYearMonthDay).times[0], at(2003, 4, 5, 8, 0));
  try {
    read({"31/12/23, 8:00 - a: b"}, DateOrder::kMonthDayYear);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "[chat.txt] --date-order: 1 of 1 dates do not exist read as month-day-year (the first entry "
                 "has 31 12 "
                 "23)");
  }
}

TEST(Clock, MidnightAndNoon) {
  const Read result = read({"12/31/23, 12:05 AM - a: b", "12/31/23, 1:05 AM - a: b", "12/31/23, 12:05 PM - a: b",
                            "12/31/23, 1:05 PM - a: b"});
  EXPECT_EQ(result.times[0], at(2023, 12, 31, 0, 5));
  EXPECT_EQ(result.times[2], at(2023, 12, 31, 12, 5));
  EXPECT_EQ(result.times[3], at(2023, 12, 31, 13, 5));
  EXPECT_EQ(result.clock, "12-hour (am, pm)");
}

TEST(Clock, LearnedWordsAreNamed) {
  const Read result = read({"31/12/2023 xb 8:10 - a: b", "31/12/2023 xa 1:50 - a: b", "31/12/2023 xa 2:50 - a: b"});
  EXPECT_EQ(result.times[1], at(2023, 12, 31, 13, 50));
  EXPECT_EQ(result.clock, "12-hour (xa = afternoon, xb = morning; learned from the order of the messages)");
}

TEST(Clock, OneUnknownWordIsLayout) {
  const Read result = read({"31.12.2023 klo 8.10 - a: b", "31.12.2023 klo 9.10 - a: b"});
  EXPECT_EQ(result.times[1], at(2023, 12, 31, 9, 10));
  EXPECT_EQ(result.clock, "24-hour");
}

TEST(Clock, ForeignFormIsNoEntry) {
  std::vector<std::string> lines(30, "12/31/23, 9:41 PM - a: b");
  lines.insert(lines.begin() + 7, "[31.12.20, 21:41:05] Kati: idézet");
  const Read result = read(lines);
  EXPECT_FALSE(result.times[7]);
  EXPECT_TRUE(result.times[8]);
}

TEST(Clock, TwoExportsInOneFile) {
  std::vector<std::string> lines(10, "12/31/22, 9:41 PM - a: b");
  lines.insert(lines.end(), 10, "[31.12.23, 21:41:05] a: b");
  const Read result = read(lines);
  EXPECT_EQ(result.times[0], at(2022, 12, 31, 21, 41));
  EXPECT_EQ(result.times[19], at(2023, 12, 31, 21, 41, 5));
}

TEST(Calendar, KnownDays) {
  const auto day = [](int year, int month, int d, int digits = 4) { return day_of(year, digits, month, d)->day; };
  EXPECT_EQ(day(1970, 1, 1), 0);
  EXPECT_EQ(day(2024, 2, 29), 19782);
  EXPECT_FALSE(day_of(2023, 4, 2, 29));
  EXPECT_EQ(day(23, 12, 31, 2), days_from_civil(2023, 12, 31));
  EXPECT_EQ(day(2566, 12, 31), days_from_civil(2023, 12, 31));
  EXPECT_EQ(day(112, 12, 31, 3), days_from_civil(2023, 12, 31));
  EXPECT_EQ(day(1402, 1, 1), days_from_civil(2023, 3, 21));    // Nowruz
  EXPECT_EQ(day(1403, 12, 30), days_from_civil(2025, 3, 20));  // a leap day
  EXPECT_FALSE(day_of(1402, 4, 12, 30));
  EXPECT_EQ(day(1445, 1, 1), days_from_civil(2023, 7, 19));  // Islamic New Year
  EXPECT_EQ(day(1446, 1, 1), days_from_civil(2024, 7, 8));   // tabular, civil epoch
  EXPECT_FALSE(day_of(2023, 4, 13, 1));
}

TEST(TextMarks, DigitsOfEveryScript) {
  // Against utf8proc's categories: every Nd code point has a value, runs go 0-9, and nothing else has one.
  int next = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const bool decimal = utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
    ASSERT_EQ(digit_value(c) >= 0, decimal) << std::hex << static_cast<unsigned>(c);
    if (!decimal) continue;
    ASSERT_EQ(digit_value(c), next) << std::hex << static_cast<unsigned>(c);
    next = (next + 1) % 10;
  }
}

TEST(TextMarks, Names) {
  EXPECT_EQ(clean_name("\u200E~\u202F\u202ANagy\u00A0 Kata\u202C "), "Nagy Kata");
  EXPECT_EQ(fold_name("GERGO\u030B"), fold_name("Gergő"));
  EXPECT_EQ(fold_phrase(" \u200EThis  Message\u00A0was DELETED. "), "this message was deleted");
  EXPECT_EQ(trim("\u200E \n\u00A0a b\u202F\n"), "a b");
}

}  // namespace
}  // namespace attune
