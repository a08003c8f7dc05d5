#include "conversation/whatsapp_clock.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/error.h"
#include "conversation/calendar.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

// Two-digit years outside these are misread numbers: the program began in 2009.
constexpr int kFirstYear = 2009, kLastYear = 2049;
constexpr std::size_t kMaxLearnedWords = 6;

enum class Half { kNone, kMorning, kAfternoon, kNoon, kNight };

struct HalfWord {
  const char* word;
  Half half;
};

// Words for the halves (and, in Chinese, Hindi or English, the parts) of the day, folded, without dots and
// spaces. Others are learned from the order of the messages.
constexpr HalfWord kHalfWords[] = {
    {"am", Half::kMorning},          {"pm", Half::kAfternoon},        {"de", Half::kMorning},
    {"du", Half::kAfternoon},        {"vorm", Half::kMorning},        {"nachm", Half::kAfternoon},
    {"vm", Half::kMorning},          {"nm", Half::kAfternoon},        {"fm", Half::kMorning},
    {"em", Half::kAfternoon},        {"ap", Half::kMorning},          {"ip", Half::kAfternoon},
    {"πμ", Half::kMorning},          {"μμ", Half::kAfternoon},        {"дп", Half::kMorning},
    {"пп", Half::kAfternoon},        {"öö", Half::kMorning},          {"ös", Half::kAfternoon},
    {"dop", Half::kMorning},         {"odp", Half::kAfternoon},       {"dopoledne", Half::kMorning},
    {"odpoledne", Half::kAfternoon}, {"sa", Half::kMorning},          {"ch", Half::kAfternoon},
    {"pg", Half::kMorning},          {"ptg", Half::kAfternoon},       {"paradites", Half::kMorning},
    {"pasdites", Half::kAfternoon},  {"priešpiet", Half::kMorning},   {"popiet", Half::kAfternoon},
    {"преди", Half::kMorning},       {"следобед", Half::kAfternoon},  {"прабяд", Half::kMorning},
    {"ص", Half::kMorning},           {"م", Half::kAfternoon},         {"صباحا", Half::kMorning},
    {"مساء", Half::kAfternoon},      {"قظ", Half::kMorning},          {"بظ", Half::kAfternoon},
    {"قبلازظهر", Half::kMorning},    {"بعدازظهر", Half::kAfternoon},  {"לפנה״צ", Half::kMorning},
    {"אחה״צ", Half::kAfternoon},     {"पूर्वाह्न", Half::kMorning},      {"अपराह्न", Half::kAfternoon},
    {"मपू", Half::kMorning},          {"मउ", Half::kAfternoon},        {"পূর্বাহ্ণ", Half::kMorning},
    {"অপরাহ্ণ", Half::kAfternoon},    {"முற்பகல்", Half::kMorning},      {"பிற்பகல்", Half::kAfternoon},
    {"ก่อนเที่ยง", Half::kMorning},     {"หลังเที่ยง", Half::kAfternoon},   {"上午", Half::kMorning},
    {"下午", Half::kAfternoon},      {"午前", Half::kMorning},        {"午後", Half::kAfternoon},
    {"오전", Half::kMorning},        {"오후", Half::kAfternoon},      {"凌晨", Half::kMorning},
    {"清晨", Half::kMorning},        {"早上", Half::kMorning},        {"中午", Half::kNoon},
    {"傍晚", Half::kAfternoon},      {"晚上", Half::kNight},          {"半夜", Half::kNight},
    {"morning", Half::kMorning},     {"afternoon", Half::kAfternoon}, {"noon", Half::kNoon},
    {"evening", Half::kAfternoon},   {"night", Half::kNight},         {"mañana", Half::kMorning},
    {"tarde", Half::kAfternoon},     {"noche", Half::kNight},         {"manhã", Half::kMorning},
    {"noite", Half::kNight}};

// By the words beside the time ("du|", "|p m", "일 오후|"): a whole word, or all of one side joined ("p m" ->
// "pm").
Half known_half(const std::string& words) {
  std::string word, joined;
  const auto lookup = [](const std::string& text) {
    for (const HalfWord& known : kHalfWords) {
      if (text == known.word) return known.half;
    }
    return Half::kNone;
  };
  Half found = Half::kNone;
  for (const char c : words + "|") {
    if (c != ' ' && c != '|') {
      word += c, joined += c;
      continue;
    }
    if (const Half half = lookup(word); half != Half::kNone) found = half;
    word.clear();
    if (c == '|') {
      if (const Half half = lookup(joined); half != Half::kNone) found = half;
      joined.clear();
    }
  }
  return found;
}

int hour_of_day(int hour, Half half) {
  switch (half) {
    case Half::kMorning:
      return hour % 12;
    case Half::kAfternoon:
      return hour % 12 + 12;
    case Half::kNoon:
      return hour == 10 || hour == 11 ? hour : hour % 12 + 12;
    case Half::kNight:
      return hour == 12 ? 0 : hour < 5 ? hour : hour % 12 + 12;
    case Half::kNone:
      break;
  }
  return hour;
}

std::optional<CalendarDay> date_of(const WhatsAppStamps::View& stamp, DateOrder order) {
  static constexpr std::array<int, 3> kDay = {0, 1, 2}, kMonth = {1, 0, 1}, kYear = {2, 2, 0};
  const auto i = static_cast<std::size_t>(order) - 1;
  const auto year = static_cast<std::size_t>(kYear[i]);
  return day_of(stamp.date[year], stamp.width[year], stamp.date[static_cast<std::size_t>(kMonth[i])],
                stamp.date[static_cast<std::size_t>(kDay[i])]);
}

const char* order_name(DateOrder order) {
  static constexpr const char* kNames[] = {"", "day-month-year", "month-day-year", "year-month-day"};
  return kNames[static_cast<std::size_t>(order)];
}

// The stamps of one shape.
struct Form {
  std::uint32_t shape = 0;
  std::size_t size = 0, first = 0;  // how many stamps have it, and the first that has
  bool accepted = false;
};

// Calls `visit` with the index of each stamp of the form, in the order of the file.
template <typename Visit>
void for_each_stamp(const WhatsAppStamps& stamps, const Form& form, const Visit& visit) {
  for (std::size_t i = form.first; i < stamps.size(); ++i) {
    if (stamps.shape(i) == form.shape) visit(i);
  }
}

// How a form's dates read in one order. The best order is the least in the order of the fields.
struct Reading {
  DateOrder order = DateOrder::kDayMonthYear;
  std::uint64_t impossible = 0;  // days that no calendar has
  std::uint64_t misread_years = 0;
  std::uint64_t backward = 0;  // entries before the one above them
  std::int64_t distance = 0;   // days, summed over neighbouring entries
  int unusual = 0;             // by the custom of the separator

  auto key() const { return std::tie(impossible, misread_years, backward, distance, unusual); }
};

Reading read_dates(const WhatsAppStamps& stamps, const Form& form, DateOrder order) {
  Reading reading{.order = order};
  std::optional<std::int64_t> previous;
  for_each_stamp(stamps, form, [&](std::size_t i) {
    const auto date = date_of(stamps[i], order);
    if (!date) {
      ++reading.impossible;
      return;
    }
    if (date->year < kFirstYear || date->year > kLastYear) ++reading.misread_years;
    if (previous && date->day < *previous) ++reading.backward;
    if (previous) reading.distance += std::abs(date->day - *previous);
    previous = date->day;
  });
  // Month first is the custom of the United States: slashes and a 12-hour clock in English.
  const WhatsAppStamps::View first = stamps[form.first];
  const bool american = first.shape.find('/') != std::string::npos && known_half(first.words) != Half::kNone &&
                        first.words.find('m') != std::string::npos;
  reading.unusual = order != (american ? DateOrder::kMonthDayYear : DateOrder::kDayMonthYear);
  return reading;
}

std::vector<DateOrder> candidates(const WhatsAppStamps::View& stamp) {
  if (stamp.width[0] > 2) return {DateOrder::kYearMonthDay};
  if (stamp.width[2] > 2) return {DateOrder::kDayMonthYear, DateOrder::kMonthDayYear};
  return {DateOrder::kDayMonthYear, DateOrder::kMonthDayYear, DateOrder::kYearMonthDay};
}

std::string why(const Reading& best, const Reading& other, std::size_t entries) {
  if (best.impossible < other.impossible) {
    return fmt::format("{} of {} entries cannot be read as {}", other.impossible, entries, order_name(other.order));
  }
  if (best.misread_years < other.misread_years) {
    return fmt::format("read as {}, {} of {} years are implausible", order_name(other.order), other.misread_years,
                       entries);
  }
  if (best.backward < other.backward) {
    return fmt::format("read as {}, {} of {} entries go back in time", order_name(other.order), other.backward,
                       entries);
  }
  if (best.distance < other.distance) {
    return fmt::format(
        "the dates allow both; this order has {} days between messages, {} has {}; if it is wrong, set "
        "--date-order",
        best.distance, order_name(other.order), other.distance);
  }
  return fmt::format("a guess, since every date also reads as {}; if it is wrong, set --date-order",
                     order_name(other.order));
}

struct Decision {
  DateOrder order = DateOrder::kInfer;
  std::string text;
};

Decision decide_order(const WhatsAppStamps& stamps, const Form& form, DateOrder wanted, const std::string& where) {
  const WhatsAppStamps::View first = stamps[form.first];
  if (wanted != DateOrder::kInfer) {
    const Reading reading = read_dates(stamps, form, wanted);
    if (reading.impossible * 2 > form.size) {
      throw UserError("[{}] --date-order: {} of {} dates do not exist read as {} (the first entry has {} {} {})", where,
                      reading.impossible, form.size, order_name(wanted), first.date[0], first.date[1], first.date[2]);
    }
    return {wanted, fmt::format("{}: as --date-order says", order_name(wanted))};
  }
  std::vector<Reading> readings;
  for (const DateOrder order : candidates(first)) readings.push_back(read_dates(stamps, form, order));
  // A year of two digits comes first only where no other order makes sense.
  const bool sensible = std::any_of(readings.begin(), readings.end(), [](const Reading& reading) {
    return reading.order != DateOrder::kYearMonthDay && reading.impossible == 0 && reading.misread_years == 0 &&
           reading.backward == 0;
  });
  if (sensible) {
    std::erase_if(readings, [](const Reading& reading) { return reading.order == DateOrder::kYearMonthDay; });
  }
  std::sort(readings.begin(), readings.end(), [](const auto& a, const auto& b) { return a.key() < b.key(); });
  const DateOrder best = readings.front().order;
  const std::string reason =
      readings.size() == 1 ? "the year is written first" : why(readings[0], readings[1], form.size);
  return {best, fmt::format("{}: {}", order_name(best), reason)};
}

// What the words of one form say about the time.
struct Clock {
  std::map<std::string, Half> words;
  std::string text;
};

std::int64_t time_of(const WhatsAppStamps::View& stamp, std::int64_t day, Half half) {
  return day * kDaySeconds + hour_of_day(stamp.hour, half) * 3600 + stamp.minute * 60 + stamp.second;
}

// Tries every way to call the unknown words morning or afternoon; keeps the one in which time runs back
// least.
void learn_words(const WhatsAppStamps& stamps, const Form& form, DateOrder order, std::vector<std::string> unknown,
                 Clock& clock) {
  std::uint64_t best_backward = UINT64_MAX;
  std::map<std::string, Half> best, trial = clock.words;
  for (unsigned choice = 0; choice < 1u << unknown.size(); ++choice) {
    for (std::size_t i = 0; i < unknown.size(); ++i) {
      trial[unknown[i]] = choice >> i & 1 ? Half::kAfternoon : Half::kMorning;
    }
    std::uint64_t backward = 0;
    std::int64_t previous = INT64_MIN;
    for_each_stamp(stamps, form, [&](std::size_t i) {
      const auto date = date_of(stamps[i], order);
      if (!date) return;
      const std::int64_t time = time_of(stamps[i], date->day, trial.at(stamps[i].words));
      backward += time < previous;
      previous = time;
    });
    if (backward < best_backward) best_backward = backward, best = trial;
  }
  clock.words = best;
}

std::string shown(const std::string& words) {
  std::string text = words;
  std::replace(text.begin(), text.end(), '|', ' ');
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

Clock decide_clock(const WhatsAppStamps& stamps, const Form& form, DateOrder order) {
  Clock clock;
  int latest = 0, earliest = 24;
  for_each_stamp(stamps, form, [&](std::size_t i) {
    const WhatsAppStamps::View stamp = stamps[i];
    clock.words.try_emplace(stamp.words, Half::kNone);
    latest = std::max(latest, stamp.hour), earliest = std::min(earliest, stamp.hour);
  });
  std::vector<std::string> unknown;
  bool known = false;
  for (auto& [words, half] : clock.words) {
    half = known_half(words);
    if (half == Half::kNone) unknown.push_back(words);
    known |= half != Half::kNone;
  }
  // Without a known word two words tell the halves of the day; one ("klo", "à", "г.") is only layout, and so
  // are all of them on a 24-hour clock.
  const bool halves = known || (unknown.size() >= 2 && unknown.size() <= kMaxLearnedWords && earliest > 0);
  if (latest > 12 || !halves || unknown.size() > kMaxLearnedWords) {
    if (latest > 12 || !known) {
      for (auto& [words, half] : clock.words) half = Half::kNone;
      clock.text = "24-hour";
      return clock;
    }
    unknown.clear();
  }
  if (!unknown.empty()) learn_words(stamps, form, order, unknown, clock);
  std::string names;
  for (const auto& [words, half] : clock.words) {
    const bool learned = std::find(unknown.begin(), unknown.end(), words) != unknown.end();
    names += fmt::format("{}{}{}", names.empty() ? "" : ", ", shown(words),
                         learned ? (half == Half::kMorning ? " = morning" : " = afternoon") : "");
  }
  clock.text = fmt::format("12-hour ({}{})", names, unknown.empty() ? "" : "; learned from the order of the messages");
  return clock;
}

// A file has one form, the first of the result; another is accepted when it is frequent enough to be a second export in
// the same file rather than pieces of other chats that somebody quoted.
std::vector<Form> forms_of(const WhatsAppStamps& stamps) {
  std::vector<Form> forms(stamps.shapes().size());
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    Form& form = forms[stamps.shape(i)];
    if (form.size++ == 0) form.shape = stamps.shape(i), form.first = i;
  }
  const auto& shapes = stamps.shapes();
  const Form main = *std::max_element(forms.begin(), forms.end(), [&](const Form& a, const Form& b) {
    return a.size != b.size ? a.size < b.size : shapes[a.shape] > shapes[b.shape];
  });
  for (Form& form : forms) {
    const std::size_t percent = form.size * 100 / stamps.size();
    form.accepted = form.shape == main.shape || percent >= 20 ||
                    (percent >= 5 && shapes[form.shape].front() == shapes[main.shape].front());
  }
  std::swap(forms[main.shape], forms.front());
  return forms;
}

}  // namespace

WhatsAppClock read_whatsapp_clock(const WhatsAppStamps& stamps, DateOrder order, const std::string& where) {
  WhatsAppClock result;
  if (stamps.empty()) return result;
  struct Decided {
    DateOrder order = DateOrder::kInfer;
    std::map<std::string, Half> words;
  };
  std::vector<Decided> decided(stamps.shapes().size());
  result.accepted.resize(stamps.shapes().size());
  for (const Form& form : forms_of(stamps)) {
    result.accepted[form.shape] = form.accepted;
    if (!form.accepted) continue;
    const Decision decision = decide_order(stamps, form, order, where);
    Clock clock = decide_clock(stamps, form, decision.order);
    if (result.dates.empty()) result.dates = decision.text, result.clock = clock.text;
    decided[form.shape] = {decision.order, std::move(clock.words)};
  }
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    const Decided& form = decided[stamps.shape(i)];
    const WhatsAppStamps::View stamp = stamps[i];
    const auto date = result.accepted[stamps.shape(i)] ? date_of(stamp, form.order) : std::nullopt;
    result.times.push_back(date ? std::optional(time_of(stamp, date->day, form.words.at(stamp.words))) : std::nullopt);
  }
  return result;
}

}  // namespace attune
