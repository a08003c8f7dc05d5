#include "check/language.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"

namespace attune {
namespace {

enum Script { kLatin, kCyrillic, kGreek, kHebrew, kArabic, kDevanagari, kThai, kHangul, kKana, kHan, kScripts };

int script_of(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? kLatin : -1;
  if ((c >= 0xC0 && c < 0x250 && c != 0xD7 && c != 0xF7) || (c >= 0x1E00 && c < 0x1F00)) return kLatin;
  if (c >= 0x400 && c < 0x530) return kCyrillic;
  if ((c >= 0x370 && c < 0x400) || (c >= 0x1F00 && c < 0x2000)) return kGreek;
  if (c >= 0x590 && c < 0x600) return kHebrew;
  if ((c >= 0x600 && c < 0x780) || (c >= 0xFB50 && c < 0xFE00) || (c >= 0xFE70 && c < 0xFF00)) return kArabic;
  if (c >= 0x900 && c < 0x980) return kDevanagari;
  if (c >= 0xE00 && c < 0xE80) return kThai;
  if ((c >= 0xAC00 && c < 0xD7B0) || (c >= 0x1100 && c < 0x1200)) return kHangul;
  if (c >= 0x3040 && c < 0x3100) return kKana;
  if ((c >= 0x3400 && c < 0xA000) || (c >= 0x20000 && c < 0x32000)) return kHan;
  return -1;
}

struct Words {
  std::string_view language;
  Script script;
  std::string_view words;  // with a space before and after each
};
// The most frequent function words; those that two of the languages share tell nothing and are left out where they would
// decide.
constexpr std::array<Words, 18> kWords = {{
    {"English", kLatin,
     " the and you that is it of to in was for my with have not this are what your we they at be but "},
    {"Hungarian", kLatin,
     " a az és hogy nem is egy ez azt de már csak van volt meg én mi te ha még mint most jó itt lesz nekem "},
    {"German", kLatin, " der die und das ich nicht ist du es ein zu den mit sich auf für auch dem wir aber eine hab "},
    {"French", kLatin, " le les et est pas je que des une vous pour dans qui il elle nous c'est mais avec ce sur tu "},
    {"Spanish", kLatin, " el los y que es una por lo con no para las del se como pero yo muy está qué más "},
    {"Italian", kLatin, " il che di è non la per sono un mi una con ma ho anche come lo ci gli questo della "},
    {"Portuguese", kLatin, " o que não os é uma para com um eu mas você por isso as do da em ele está muito "},
    {"Dutch", kLatin, " de het een en van ik dat niet je is op te zijn voor met er maar ook heb wat "},
    {"Polish", kLatin, " i nie się na to jest że w z do jak ale co tak mnie ja po czy już jestem "},
    {"Czech", kLatin, " a je se na že to v jsem ale co jak tak si mi by už jsi ne byl není "},
    {"Romanian", kLatin, " și nu să este că un în pe la mai ce am cu din sunt eu care dar o fost "},
    {"Swedish", kLatin, " och det att jag är inte en som du på har med för av men vi ett kan så var "},
    {"Turkish", kLatin, " bir ve bu ne da de için çok ben mi değil ama var o gibi daha evet yok sen şey "},
    {"Finnish", kLatin, " ja on ei se että hän minä en mutta niin kun ole mitä oli nyt sinä tämä kuin myös sitten "},
    {"Russian", kCyrillic, " и в не на я что он с это как а то все у ты но мы так за да мне было "},
    {"Ukrainian", kCyrillic, " і в не на я що з це як та у ти але ми так за є мені було він щоб "},
    {"Bulgarian", kCyrillic, " и на да не се за в е от с че аз ще по си как това но съм има "},
    {"Serbian", kCyrillic, " и је да се у не на то ја сам што ти за али као од са није ми шта "},
}};

// How many words of `text` are in each list.
std::array<int, kWords.size()> count_words(std::string_view text) {
  std::array<int, kWords.size()> counts{};
  std::string word;
  const auto close = [&] {
    if (word.empty()) return;
    const std::string padded = " " + word + " ";
    for (std::size_t i = 0; i < kWords.size(); ++i) counts[i] += kWords[i].words.find(padded) != std::string_view::npos;
    word.clear();
  };
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    char32_t c = step.code_point;
    i = step.next;
    if (script_of(c) < 0 && c != '\'') {
      close();
      continue;
    }
    // Lower case as far as the function words need it: ASCII, Latin-1, Cyrillic, and the pairs of Latin Extended-A.
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE) || (c >= 0x410 && c <= 0x42F))
      c += 32;
    else if (c >= 0x400 && c <= 0x40F)
      c += 80;
    else if (c >= 0x100 && c <= 0x137)
      c |= 1;
    else if (c >= 0x14A && c <= 0x177)
      c |= 1;
    append_utf8(word, c);
  }
  close();
  return counts;
}

}  // namespace

std::string_view guess_language(std::string_view text) {
  std::array<int, kScripts> letters{};
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    if (const int script = script_of(step.code_point); script >= 0) ++letters[static_cast<std::size_t>(script)];
    i = step.next;
  }
  const auto most = std::max_element(letters.begin(), letters.end());
  if (*most == 0) return "other";
  // Kana among Han is Japanese, however few.
  if (letters[kKana] > 0 && letters[kKana] + letters[kHan] >= *most) return "Japanese";
  switch (most - letters.begin()) {
    case kGreek:
      return "Greek";
    case kHebrew:
      return "Hebrew";
    case kArabic:
      return "Arabic";
    case kDevanagari:
      return "Hindi";
    case kThai:
      return "Thai";
    case kHangul:
      return "Korean";
    case kHan:
      return "Chinese";
    default:
      break;
  }
  const auto counts = count_words(text);
  std::string_view best = "other";
  int best_count = 1, second = 1;
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i].script != most - letters.begin()) continue;
    if (counts[i] > best_count) {
      second = best_count;
      best_count = counts[i];
      best = kWords[i].language;
    } else {
      second = std::max(second, counts[i]);
    }
  }
  return best_count > second ? best : "other";
}

double poor_below(std::string_view language) {
  if (language == "Chinese" || language == "Japanese") return 0.8;
  return language == "Korean" ? 1.0 : 2.2;
}

}  // namespace attune
