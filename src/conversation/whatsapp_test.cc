// Whole exports as phones write them, in many languages, and the oddities of real ones.
#include "conversation/whatsapp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <numeric>

#include "base/error.h"
#include "conversation/calendar.h"
#include "conversation/export_fixture.h"

namespace attune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ChatLog parse(std::string_view text, std::vector<std::string> me = {}) {
  ChatLog log = parse_whatsapp(text, "chat.txt", {DateOrder::kInfer, std::move(me)});
  const auto dropped = std::accumulate(log.dropped.begin(), log.dropped.end(), std::uint64_t{0});
  EXPECT_EQ(log.entries, log.messages.size() + dropped);
  return log;
}

std::uint64_t count(const ChatLog& log, Drop reason) { return log.dropped[static_cast<std::size_t>(reason)]; }

// "Name: text" of every message.
std::vector<std::string> said(const ChatLog& log) {
  std::vector<std::string> lines;
  for (const ChatMessage message : log.messages) lines.push_back(fmt::format("{}: {}", message.sender, message.text));
  return lines;
}

TEST(WhatsApp, HungarianAndroid) {
  const ChatLog log = parse(
      "2023. 01. 05. 21:40 - Az üzenetek és a hívások végpontok közötti titkosítással védettek. Csak a "
      "csevegés "
      "résztvevői olvashatják őket. Koppints ide.\n"
      "2023. 01. 05. 21:41 - Nagy Kata: Szia! Hogy vagy?\n"
      "2023. 01. 05. 21:41 - Gergő: Jól, és te?\n"
      "Holnap jössz?\n"
      "\n"
      "Írj, ha igen: fontos.\n"
      "2023. 01. 05. 21:42 - Nagy Kata: <Hiányzó médiafájl>\n"
      "2023. 01. 05. 21:43 - Nagy Kata: Ezt az üzenetet törölték\n"
      "2023. 01. 05. 21:43 - Gergő: Törölted ezt az üzenetet\n"
      "2023. 01. 05. 21:44 - Gergő: IMG-20230105-WA0001.jpg (fájl csatolva)\n"
      "Nézd, milyen szép!\n"
      "2023. 01. 05. 21:45 - Gergő: Kiss Béla.vcf (fájl csatolva)\n"
      "2023. 01. 05. 21:46 - Nagy Kata: Helyzet: https://maps.google.com/?q=47.4979,19.0402\n"
      "2023. 01. 05. 21:46 - Nagy Kata: tartózkodási hely megosztva\n"
      "2023. 01. 05. 21:47 - Nagy Kata: Nem fogadott hanghívás\n"
      "2023. 01. 05. 21:47 - Gergő megváltoztatta a csoport nevét erről: „Buli: péntek” erre: „Buli: "
      "szombat”\n"
      "2023. 01. 05. 21:48 - Gergő: Jó <Ezt az üzenetet szerkesztették>\n"
      "2023. 01. 05. 21:49 - Gergő: null\n"
      "2023. 01. 05. 21:50 - Gergő: \n");
  EXPECT_THAT(said(log),
              ElementsAre("Nagy Kata: Szia! Hogy vagy?", "Gergő: Jól, és te?\nHolnap jössz?\n\nÍrj, ha igen: fontos.",
                          "Gergő: Nézd, milyen szép!", "Gergő: Jó"));
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
  EXPECT_EQ(count(log, Drop::kMedia), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 2u);
  EXPECT_EQ(count(log, Drop::kContact), 1u);
  EXPECT_EQ(count(log, Drop::kLocation), 2u);
  EXPECT_EQ(count(log, Drop::kCall), 1u);
  EXPECT_EQ(count(log, Drop::kEmpty), 2u);
  EXPECT_EQ(log.edited, 1u);
  EXPECT_EQ(log.lines, 19u);
  EXPECT_EQ(log.entries, 15u);
  EXPECT_EQ(log.format, "WhatsApp (Android)");
  EXPECT_EQ(log.dates, "year-month-day: the year is written first");
  EXPECT_EQ(log.messages[0].time, days_from_civil(2023, 1, 5) * 86400 + 21 * 3600 + 41 * 60);
}

TEST(WhatsApp, HungarianIphone) {
  const ChatLog log = parse(
      "\uFEFF[2023. 01. 05. 21:41:05] Buli: \u200EAz üzenetek és hívások végpontok közötti titkosítással "
      "vannak "
      "védve. A csevegés résztvevőin kívül senki, még a WhatsApp sem tudja elolvasni.\r\n"
      "[2023. 01. 05. 21:41:05] Buli: \u200EKata létrehozta ezt a csoportot\r\n"
      "[2023. 01. 05. 21:41:06] ~\u202FNagy Kata: Szia @\u2068Gergő\u2069! 👩‍👩‍👧\r\n"
      "\u200E[2023. 01. 05. 21:41:07] Gergő: \u200Ekép kihagyva\r\n"
      "[2023. 01. 05. 21:41:08] Gergő: első sor\r\nmásodik sor\r\n"
      "\u200E[2023. 01. 05. 21:41:09] ~\u202FNagy Kata: Ezt nézd \u200Ekép kihagyva\r\n"
      "\u200E[2023. 01. 05. 21:41:10] Gergő: szerzodes.pdf • \u200E3 oldal \u200Edokumentum kihagyva\r\n"
      "\u200E[2023. 01. 05. 21:41:11] Gergő: \u200ENem fogadott hanghívás, \u200EKoppints a "
      "visszahíváshoz\r\n"
      "\u200E[2023. 01. 05. 21:41:12] Gergő: \u200ENévjegykártya kihagyva\r\n"
      "[2023. 01. 05. 21:41:13] Gergő: \u200E<csatolva: 00000012-PHOTO-2023-01-05-21-41-13.jpg>\r\n"
      "[2023. 01. 05. 21:41:14] Gergő: Felirat \u200E<csatolva: 00000013-PHOTO-2023-01-05-21-41-14.jpg>\r\n"
      "[2023. 01. 05. 21:41:15] Gergő: Javítva \u200E<Ezt az üzenetet szerkesztették>\r\n"
      "\u200E[2023. 01. 05. 21:41:16] Gergő: \u200EEzt az üzenetet törölted.\r\n"
      "[2023. 01. 05. 21:41:17] Gergő: \u200ESZAVAZÁS:\r\nMikor menjünk?\r\n\u200ELEHETŐSÉG: Péntek (\u200E2 "
      "szavazat)\r\n"
      "\u200ELEHETŐSÉG: Szombat (\u200E0 szavazat)\r\n");
  EXPECT_THAT(said(log), ElementsAre("Nagy Kata: Szia @Gergő! 👩‍👩‍👧", "Gergő: első sor\nmásodik sor",
                                     "Nagy Kata: Ezt nézd", "Gergő: Felirat", "Gergő: Javítva"));
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
  EXPECT_EQ(count(log, Drop::kMedia), 3u);
  EXPECT_EQ(count(log, Drop::kCall), 1u);
  EXPECT_EQ(count(log, Drop::kContact), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 1u);
  EXPECT_EQ(count(log, Drop::kPoll), 1u);
  EXPECT_EQ(log.format, "WhatsApp (iPhone)");
}

// One export per language: greeting, picture, deletion, edit, call; the greeting and the edited text must
// remain.
struct Language {
  const char* name;
  const char* text;
};
class Languages : public testing::TestWithParam<Language> {};

TEST_P(Languages, KeepsOnlyWords) {
  const ChatLog log = parse(GetParam().text);
  EXPECT_THAT(said(log), ElementsAre("Anna: Hallo?", "Bob 🤓: Ja: jo!", "Anna: Ok"));
  EXPECT_EQ(count(log, Drop::kMedia), 1u);
  EXPECT_EQ(count(log, Drop::kDeleted), 1u);
  EXPECT_EQ(count(log, Drop::kCall), 1u);
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
}

INSTANTIATE_TEST_SUITE_P(
    WhatsApp, Languages,
    testing::Values(
        Language{"English",
                 "12/31/23, 9:41 PM - Messages and calls are end-to-end encrypted. Only people in this chat can "
                 "read them.\n"
                 "12/31/23, 9:41 PM - Anna changed the subject to \"Trip: Rome\"\n"
                 "12/31/23, 9:41 PM - Anna: Hallo?\n12/31/23, 9:41 PM - Bob 🤓: Ja: jo!\n"
                 "12/31/23, 9:42 PM - Anna: <Media omitted>\n12/31/23, 9:42 PM - Anna: This message was deleted\n"
                 "12/31/23, 9:42 PM - Anna: Missed voice call\n12/31/23, 9:43 PM - Anna: Ok <This message was "
                 "edited>\n"},
        Language{"German",
                 "31.12.23, 21:41 - Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Tippe, um mehr "
                 "zu erfahren.\n"
                 "31.12.23, 21:41 - Anna hat die Gruppe „Reise: Rom“ erstellt.\n"
                 "31.12.23, 21:41 - Anna: Hallo?\n31.12.23, 21:41 - Bob 🤓: Ja: jo!\n"
                 "31.12.23, 21:42 - Anna: <Medien ausgeschlossen>\n31.12.23, 21:42 - Anna: Diese Nachricht "
                 "wurde gelöscht.\n"
                 "31.12.23, 21:42 - Anna: Verpasster Sprachanruf\n"
                 "31.12.23, 21:43 - Anna: Ok <Diese Nachricht wurde bearbeitet.>\n"},
        Language{"Spanish",
                 "31/12/23, 9:41 p. m. - Los mensajes y las llamadas están cifrados de extremo a extremo. "
                 "Nadie fuera.\n"
                 "31/12/23, 9:41 p. m. - Anna cambió el asunto de \"A: b\" a \"Viaje: Roma\"\n"
                 "31/12/23, 9:41 p. m. - Anna: Hallo?\n31/12/23, 9:41 p. m. - Bob 🤓: Ja: jo!\n"
                 "31/12/23, 9:42 p. m. - Anna: <Multimedia omitido>\n31/12/23, 9:42 p. m. - Anna: Se eliminó "
                 "este mensaje.\n"
                 "31/12/23, 9:42 p. m. - Anna: Llamada perdida\n31/12/23, 9:43 p. m. - Anna: Ok <Se editó "
                 "este mensaje.>\n"},
        Language{"Portuguese",
                 "31/12/2023 21:41 - As mensagens e as ligações são protegidas com a criptografia de ponta a "
                 "ponta.\n"
                 "31/12/2023 21:41 - Anna mudou o assunto para \"Viagem: Roma\"\n"
                 "31/12/2023 21:41 - Anna: Hallo?\n31/12/2023 21:41 - Bob 🤓: Ja: jo!\n"
                 "31/12/2023 21:42 - Anna: <Mídia oculta>\n31/12/2023 21:42 - Anna: Mensagem apagada\n"
                 "31/12/2023 21:42 - Anna: Chamada de voz perdida\n31/12/2023 21:43 - Anna: Ok <Mensagem "
                 "editada>\n"},
        Language{"French",
                 "31/12/2023 à 21:41 - Les messages et les appels sont chiffrés de bout en bout. Aucun tiers.\n"
                 "31/12/2023 à 21:41 - Anna a changé le sujet pour « Voyage : Rome »\n"
                 "31/12/2023 à 21:41 - Anna: Hallo?\n31/12/2023 à 21:41 - Bob 🤓: Ja: jo!\n"
                 "31/12/2023 à 21:42 - Anna: <Médias omis>\n31/12/2023 à 21:42 - Anna: Ce message a été supprimé\n"
                 "31/12/2023 à 21:42 - Anna: Appel vocal manqué\n31/12/2023 à 21:43 - Anna: Ok <Ce message a été "
                 "modifié>\n"},
        Language{"Italian",
                 "31/12/23, 21:41 - I messaggi e le chiamate sono crittografati end-to-end. Nessuno al di fuori.\n"
                 "31/12/23, 21:41 - Anna ha creato il gruppo \"Viaggio: Roma\"\n"
                 "31/12/23, 21:41 - Anna: Hallo?\n31/12/23, 21:41 - Bob 🤓: Ja: jo!\n"
                 "31/12/23, 21:42 - Anna: <Media omessi>\n31/12/23, 21:42 - Anna: Questo messaggio è stato "
                 "eliminato\n"
                 "31/12/23, 21:42 - Anna: Chiamata vocale persa\n"
                 "31/12/23, 21:43 - Anna: Ok <Questo messaggio è stato modificato>\n"},
        Language{"Dutch",
                 "31-12-2023 21:41 - Berichten en gesprekken worden end-to-end versleuteld. Niemand buiten "
                 "deze chat.\n"
                 "31-12-2023 21:41 - Anna heeft het onderwerp gewijzigd van 'A: b' naar 'Reis: Rome'\n"
                 "31-12-2023 21:41 - Anna: Hallo?\n31-12-2023 21:41 - Bob 🤓: Ja: jo!\n"
                 "31-12-2023 21:42 - Anna: <Media weggelaten>\n31-12-2023 21:42 - Anna: Dit bericht is "
                 "verwijderd\n"
                 "31-12-2023 21:42 - Anna: Gemiste spraakoproep\n31-12-2023 21:43 - Anna: Ok <Dit bericht is "
                 "bewerkt>\n"},
        Language{"Polish",
                 "31.12.2023, 21:41 - Wiadomości i połączenia są w pełni zaszyfrowane. Nikt spoza czatu.\n"
                 "31.12.2023, 21:41 - Anna zmienił(a) temat na „Wyjazd: Rzym”\n"
                 "31.12.2023, 21:41 - Anna: Hallo?\n31.12.2023, 21:41 - Bob 🤓: Ja: jo!\n"
                 "31.12.2023, 21:42 - Anna: <pominięto multimedia>\n"
                 "31.12.2023, 21:42 - Anna: Ta wiadomość została usunięta\n"
                 "31.12.2023, 21:42 - Anna: Nieodebrane połączenie głosowe\n"
                 "31.12.2023, 21:43 - Anna: Ok <Wiadomość edytowana>\n"},
        Language{"Turkish",
                 "31.12.2023 21:41 - Mesajlar ve aramalar uçtan uca şifrelidir. Bu sohbetin dışındaki hiç kimse.\n"
                 "31.12.2023 21:41 - Anna grubun adını değiştirdi: \"Gezi: Roma\"\n"
                 "31.12.2023 21:41 - Anna: Hallo?\n31.12.2023 21:41 - Bob 🤓: Ja: jo!\n"
                 "31.12.2023 21:42 - Anna: <Medya dahil edilmedi>\n31.12.2023 21:42 - Anna: Bu mesaj silindi\n"
                 "31.12.2023 21:42 - Anna: Cevapsız sesli arama\n31.12.2023 21:43 - Anna: Ok <Bu mesaj "
                 "düzenlendi>\n"},
        Language{"Russian",
                 "31.12.2023, 21:41 - Сообщения и звонки защищены сквозным шифрованием. Третьи лица.\n"
                 "31.12.2023, 21:41 - Anna изменил(а) название группы на «Поездка: Рим»\n"
                 "31.12.2023, 21:41 - Anna: Hallo?\n31.12.2023, 21:41 - Bob 🤓: Ja: jo!\n"
                 "31.12.2023, 21:42 - Anna: <Без медиафайлов>\n31.12.2023, 21:42 - Anna: Данное сообщение "
                 "удалено\n"
                 "31.12.2023, 21:42 - Anna: Пропущенный аудиозвонок\n"
                 "31.12.2023, 21:43 - Anna: Ok <Данное сообщение изменено>\n"},
        Language{"Greek",
                 "31/12/23, 9:41 μ.μ. - Τα μηνύματα και οι κλήσεις κρυπτογραφούνται πλήρως.\n"
                 "31/12/23, 9:41 μ.μ. - Anna άλλαξε το θέμα σε «Ταξίδι: Ρώμη»\n"
                 "31/12/23, 9:41 μ.μ. - Anna: Hallo?\n31/12/23, 9:41 μ.μ. - Bob 🤓: Ja: jo!\n"
                 "31/12/23, 9:42 μ.μ. - Anna: <Εξαίρεση πολυμέσων>\n"
                 "31/12/23, 9:42 μ.μ. - Anna: Αυτό το μήνυμα διαγράφηκε\n"
                 "31/12/23, 9:42 μ.μ. - Anna: Αναπάντητη φωνητική κλήση\n"
                 "31/12/23, 9:43 μ.μ. - Anna: Ok <Αυτό το μήνυμα υποβλήθηκε σε επεξεργασία>\n"},
        Language{"Arabic",
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ م - الرسائل والمكالمات مشفرة تمامًا بين الطرفين.\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ م - أنشأ Anna المجموعة \"رحلة: روما\"\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ م - Anna: Hallo?\n٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤١ م - Bob "
                 "🤓: "
                 "Ja: jo!\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤٢ م - Anna: <تم استبعاد الوسائط>\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤٢ م - Anna: تم حذف هذه الرسالة\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤٢ م - Anna: مكالمة صوتية فائتة\n"
                 "٣١\u200F/١٢\u200F/٢٠٢٣، ٩:٤٣ م - Anna: Ok <تم تعديل هذه الرسالة>\n"},
        Language{"Hebrew",
                 "31.12.2023, 21:41 - ההודעות והשיחות מוצפנות מקצה-לקצה.\n"
                 "31.12.2023, 21:41 - \u200FAnna שינה/תה את נושא הקבוצה ל\"טיול: רומא\"\n"
                 "31.12.2023, 21:41 - Anna: Hallo?\n31.12.2023, 21:41 - Bob 🤓: Ja: jo!\n"
                 "31.12.2023, 21:42 - Anna: <המדיה לא נכללה>\n31.12.2023, 21:42 - Anna: הודעה זו נמחקה\n"
                 "31.12.2023, 21:42 - Anna: שיחה קולית שלא נענתה\n31.12.2023, 21:43 - Anna: Ok <ההודעה נערכה>\n"},
        Language{
            "Hindi",
            "31/12/23, 9:41 अपराह्न - मैसेजेस और कॉल्स एंड-टू-एंड एन्क्रिप्टेड हैं. इस चैट में शामिल लोग.\n"
            "31/12/23, 9:41 अपराह्न - Anna ने ग्रुप \"यात्रा: रोम\" बनाया\n"
            "31/12/23, 9:41 अपराह्न - Anna: Hallo?\n31/12/23, 9:41 अपराह्न - Bob 🤓: Ja: "
            "jo!\n"
            "31/12/23, 9:42 अपराह्न - Anna: <मीडिया के बिना>\n31/12/23, 9:42 अपराह्न - Anna: यह मैसेज डिलीट "
            "किया गया\n"
            "31/12/23, 9:42 अपराह्न - Anna: मिस्ड वॉइस कॉल\n31/12/23, 9:43 अपराह्न - Anna: Ok <यह मैसेज एडिट "
            "किया गया>\n"},
        Language{"Japanese",
                 "[2023/12/31 21:41:05] 旅行: \u200Eメッセージと通話はエンドツーエンド暗号化されています。\n"
                 "[2023/12/31 21:41:05] 旅行: \u200EAnnaがグループを作成しました\n"
                 "[2023/12/31 21:41:06] Anna: Hallo?\n[2023/12/31 21:41:07] Bob 🤓: Ja: jo!\n"
                 "\u200E[2023/12/31 21:41:08] Anna: \u200E画像は含まれていません\n"
                 "\u200E[2023/12/31 21:41:09] Anna: \u200Eこのメッセージは削除されました。\n"
                 "\u200E[2023/12/31 21:41:09] Anna: \u200E音声通話不在着信\n"
                 "[2023/12/31 21:41:10] Anna: Ok \u200E<このメッセージは編集されました>\n"},
        Language{"Korean",
                 "2023. 12. 31. 오후 9:41 - 메시지 및 전화는 종단간 암호화되어 안전합니다.\n"
                 "2023. 12. 31. 오후 9:41 - Anna님이 그룹 이름을 \"여행: 로마\"로 변경했습니다\n"
                 "2023. 12. 31. 오후 9:41 - Anna: Hallo?\n2023. 12. 31. 오후 9:41 - Bob 🤓: Ja: jo!\n"
                 "2023. 12. 31. 오후 9:42 - Anna: <미디어 파일 제외됨>\n2023. 12. 31. 오후 9:42 - Anna: 이 "
                 "메시지는 삭제되었습니다\n"
                 "2023. 12. 31. 오후 9:42 - Anna: 부재중 전화\n2023. 12. 31. 오후 9:43 - Anna: Ok <이 "
                 "메시지는 수정되었습니다>\n"},
        Language{"Chinese",
                 "[2023/12/31 下午9:41:05] 旅行: \u200E消息和通话都进行端到端加密。\n"
                 "[2023/12/31 下午9:41:05] 旅行: \u200EAnna创建了群组“旅行: 罗马”\n"
                 "[2023/12/31 下午9:41:06] Anna: Hallo?\n[2023/12/31 下午9:41:07] Bob 🤓: Ja: jo!\n"
                 "[2023/12/31 下午9:41:08] Anna: \u200E图像已忽略\n[2023/12/31 下午9:41:09] Anna: "
                 "\u200E这条消息已被删除。\n"
                 "[2023/12/31 下午9:41:09] Anna: \u200E未接语音通话\n"
                 "[2023/12/31 下午9:41:10] Anna: Ok \u200E<此消息已编辑>\n"}),
    [](const auto& info) { return info.param.name; });

TEST(WhatsApp, UnknownLanguageByStructureAlone) {
  // No phrase of this invented language is in any list: brackets, marks, file names and repetition must do.
  const ChatLog log = parse(
      "31.12.2023, 21:41 - Zuu blap womble grr.\n"
      "31.12.2023, 21:41 - Anna: Hallo <3\n"
      "31.12.2023, 21:42 - Anna: <Zuu blap>\n31.12.2023, 21:42 - Bob: <Zuu blap>\n"
      "31.12.2023, 21:43 - Bob: IMG-20231231-WA0007.jpg (zuu grr)\n31.12.2023, 21:43 - Bob: \u200Enotes "
      "7.xyz (zuu grr)\n"
      "31.12.2023, 21:44 - Bob: <b>\n"
      "31.12.2023, 21:44 - Bob: jo <wom edit>\n31.12.2023, 21:45 - Bob: no <wom edit>\n"
      "31.12.2023, 21:46 - Bob: \u200EWomble zip grr\n");
  EXPECT_THAT(said(log), ElementsAre("Anna: Hallo <3", "Bob: <b>", "Bob: jo", "Bob: no"));
  EXPECT_EQ(count(log, Drop::kMedia), 4u);
  EXPECT_EQ(count(log, Drop::kSystem), 2u);
}

TEST(WhatsApp, MarksInEveryTextMeanNothing) {
  const ChatLog log = parse(
      "31.12.2023, 21:41 - Anna: \u200EHallo\n31.12.2023, 21:42 - Bob: \u200EHi\n31.12.2023, 21:43 - Bob: "
      "\u200EJo\n");
  EXPECT_THAT(said(log), ElementsAre("Anna: Hallo", "Bob: Hi", "Bob: Jo"));
}

TEST(WhatsApp, NoticesWithAColonAreNoSenders) {
  const ChatLog log = parse(
      "31/12/23, 21:41 - Anna: a\n31/12/23, 21:41 - Bob: Waiting for this message. This may take a while.\n"
      "31/12/23, 21:41 - Anna changed the group name from “A: b” to “C: d”\n"
      "31/12/23, 21:41 - This business now uses a secure service from Meta: tap to learn more\n"
      "31/12/23, 21:41 - Anna joined using this group's invite link. See https://faq.whatsapp.com\n");
  EXPECT_THAT(said(log), ElementsAre("Anna: a"));
  EXPECT_EQ(count(log, Drop::kSystem), 4u);
}

TEST(WhatsApp, NamesOfEveryKind) {
  const ChatLog log = parse(
      "31/12/23, 21:41 - +36 30 123 4567: a\n"
      "31/12/23, 21:41 - \u202A+36 30 765 4321\u202C: b\n"
      "31/12/23, 21:41 - ~\u00A0Kata: c\n"
      "31/12/23, 21:41 - 👤: d\n"
      "31/12/23, 21:41 - John-John - Doe (work): e\n"
      "31/12/23, 21:41 - محمد: f\n"
      "31/12/23, 21:41 - Dr. Bob \"Bobby\" Kiss: g\n"
      "31/12/23, 21:41 - Béla „Bubu” Nagy: h\n"
      "31/12/23, 21:41 - 👤:tight\n"
      "31/12/23, 21:41 - Nobody:tight\n"
      "31/12/23, 21:42 - 12:30: half past\n");
  EXPECT_THAT(said(log), ElementsAre("+36 30 123 4567: a", "+36 30 765 4321: b", "Kata: c", "👤: d",
                                     "John-John - Doe (work): e", "محمد: f", "Dr. Bob \"Bobby\" Kiss: g",
                                     "Béla „Bubu” Nagy: h", "👤: tight", "12:30: half past"));
}

TEST(WhatsApp, ColonInAName) {
  const std::string text =
      "31/12/23, 21:41 - Anna: work: a\n31/12/23, 21:41 - Anna: work: b: c\n31/12/23, 21:41 - Anna: work: d\n"
      "31/12/23, 21:42 - Bob: e: f\n31/12/23, 21:42 - Bob: g\n31/12/23, 21:42 - Bob: h\n";
  EXPECT_THAT(said(parse(text)),
              ElementsAre("Anna: work: a", "Anna: work: b: c", "Anna: work: d", "Bob: e: f", "Bob: g", "Bob: h"));
  EXPECT_EQ(parse(text).messages[0].sender, "Anna: work");
  EXPECT_EQ(parse(text).messages[3].sender, "Bob");
  // Too few to tell, unless --me names her.
  const std::string two = "31/12/23, 21:41 - Anna: work: a\n31/12/23, 21:41 - Bob: b\n";
  EXPECT_EQ(parse(two).messages[0].sender, "Anna");
  EXPECT_EQ(parse(two, {"Anna: Work"}).messages[0].sender, "Anna: work");
}

TEST(WhatsApp, QuotedPiecesOfOtherChatsStayInTheMessage) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "31/12/23, 21:41 - Anna: sor\n";
  text += "31/12/23, 21:42 - Anna: ezt írta:\n[31.12.20, 21:41:05] Kati: idézet\n[12/31, 9:41 PM] Kati: ez is\n";
  const ChatLog log = parse(text);
  ASSERT_EQ(log.messages.size(), 31u);
  EXPECT_EQ(log.messages[30].text, "ezt írta:\n[31.12.20, 21:41:05] Kati: idézet\n[12/31, 9:41 PM] Kati: ez is");
}

// What parsing a chat between Anna and Kati says about one more line in it.
std::string error_with(const std::string& line) {
  std::string text = "31/12/2023, 21:40 - Kati: a\n";
  for (int i = 0; i < 30; ++i) text += "31/12/2023, 21:41 - Anna: b\n";
  try {
    parse(text + line + "\n31/12/2023, 21:42 - Anna: c\n");
  } catch (const BadFile& error) {
    return error.what();
  }
  return "no error";
}

TEST(WhatsApp, AMessageUnderADateThatDoesNotExistIsRefused) {
  const auto message = [](const char* sender, const char* date) {
    return fmt::format(
        "[chat.txt:32] a message of \"{}\" has the date \"{}\", which does not exist; correct it, or put \"> \" before "
        "the line if the message above quotes it",
        sender, date);
  };
  EXPECT_EQ(error_with("31/02/2023, 21:21 - Kati: secret of Kati"), message("Kati", "31/02/2023, 21:21"));
  EXPECT_EQ(error_with("15/13/2023, 21:21 - Kati: secret"), message("Kati", "15/13/2023, 21:21"));
  EXPECT_EQ(error_with("00/12/2023, 21:21 - Kati: secret"), message("Kati", "00/12/2023, 21:21"));
  EXPECT_EQ(error_with("31/12/2023, 21:77 - Kati: secret"), message("Kati", "31/12/2023, 21:77"));
  EXPECT_EQ(error_with("31/12/2023, 25:10 - \u200E~\u202FKati:secret"), message("Kati", "31/12/2023, 25:10"));
  EXPECT_EQ(error_with("31/02/2023, 21:21 - Anna: x\n31/02/2023, 21:21 - Kati: y"),
            message("Anna", "31/02/2023, 21:21"));  // the first of them
  EXPECT_EQ(error_with("31/12/2023, 21:77 - Cili: not of this chat"), "no error");
  EXPECT_EQ(error_with("> 31/12/2023, 21:77 - Kati: quoted"), "no error");
  EXPECT_EQ(error_with("31/12/2023, 21:77 - nobody says this"), "no error");
}

TEST(WhatsApp, AMessageUnderADateOfAnotherFormIsRefused) {
  const auto message = [](const char* date) {
    return fmt::format(
        "[chat.txt:32] a message of \"Kati\" has the date \"{}\", which has another form than the other dates of the "
        "file; write it as they are, or put \"> \" before the line if the message above quotes it",
        date);
  };
  EXPECT_EQ(error_with("15.02.23, 21:21 - Kati: secret"), message("15.02.23, 21:21"));
  EXPECT_EQ(error_with("[15/02/2023, 21:21:05] Kati: secret"), message("[15/02/2023, 21:21:05]"));
  EXPECT_EQ(error_with("[15/02/2023, 21:21:05] Cili: not of this chat"), "no error");
  // Messages that are copied out of a chat and pasted into one look so.
  EXPECT_EQ(error_with("[21:21, 15/02/2023] Kati: said before"), "no error");
  EXPECT_EQ(error_with("[2/15/2023, 9:21 PM] Kati: said before"), "no error");
}

TEST(WhatsApp, AttachmentsWithAndWithoutCaption) {
  const ChatLog log = parse(
      "26.03.25, 19:02 - Sammy: Halbradierer.mod (Datei angehängt)\nHalbradierer.mod\n"
      "26.03.25, 19:03 - Sammy: \u200EHalbradierer.mod (Datei angehängt)\nHalbradierer.mod\n"
      "26.03.25, 19:04 - Sammy: <Medien ausgeschlossen>\n4Bit Adiere.mod\n"
      "26.03.25, 19:05 - Sammy: IMG-20250326-WA0001.jpg (Datei angehängt)\nschau mal\n"
      "26.03.25, 19:06 - Sammy: die Datei foo.txt (siehe oben) ist gut\n"
      "26.03.25, 19:07 - Sammy: \u200EPTT-20250326-WA0002.opus (Datei angehängt)\n");
  EXPECT_THAT(said(log), ElementsAre("Sammy: Halbradierer.mod (Datei angehängt)\nHalbradierer.mod", "Sammy: schau mal",
                                     "Sammy: die Datei foo.txt (siehe oben) ist gut"));
  EXPECT_EQ(count(log, Drop::kMedia), 3u);
}

TEST(WhatsApp, OrdinaryTextThatLooksGeneratedStays) {
  const ChatLog log = parse(
      "26.03.25, 19:02 - A: image omitted from the paper, sorry\n26.03.25, 19:02 - A: videohívás?\n"
      "26.03.25, 19:02 - A: nullák\n26.03.25, 19:02 - A: This message was deleted?? why\n"
      "26.03.25, 19:02 - A: https://maps.google.com/?q=47,19\n26.03.25, 19:02 - A: a: (1)\nb: (2)\n"
      "26.03.25, 19:02 - A: x < y > z\n26.03.25, 19:02 - A: Lista:\n1: alma\n2: körte\n");
  EXPECT_EQ(log.messages.size(), log.entries);
}

TEST(WhatsApp, Utf16AndBrokenBytes) {
  const std::string utf8 = "31/12/23, 21:41 - Anna: Szép 👍\r\n31/12/23, 21:42 - Bob: jó\r\n";
  std::string little = "\xFF\xFE", big = "\xFE\xFF";
  for (const char16_t c : u"31/12/23, 21:41 - Anna: Szép 👍\r\n31/12/23, 21:42 - Bob: jó\r\n") {
    if (c == 0) break;
    little += static_cast<char>(c & 0xFF), little += static_cast<char>(c >> 8);
    big += static_cast<char>(c >> 8), big += static_cast<char>(c & 0xFF);
  }
  EXPECT_EQ(said(parse(little)), said(parse(utf8)));
  EXPECT_EQ(said(parse(big)), said(parse(utf8)));
  EXPECT_THAT(said(parse("31/12/23, 21:41 - Anna: a\xFF"
                         "b\n")),
              ElementsAre("Anna: a\uFFFD"
                          "b"));
}

TEST(WhatsApp, LinesBeforeTheFirstEntryAreRead) {
  const ChatLog log = parse("Chat with Anna\n\n31/12/23, 21:41 - Anna: a");
  EXPECT_EQ(log.lines, 3u);
  EXPECT_THAT(said(log), ElementsAre("Anna: a"));
}

TEST(WhatsApp, NotAnExport) {
  try {
    parse("hello\nworld\n");
    FAIL();
  } catch (const BadFile& error) {
    EXPECT_STREQ(error.what(),
                 "[chat.txt] not a WhatsApp export: no line begins with a date and a time, as in \"12/31/23, 21:41 - "
                 "Name: text\"");
  }
}

class WhatsAppFiles : public ExportFixture {
 protected:
  std::string error_of(const fs::path& path) {
    try {
      read_export(path, "", {});
    } catch (const UserError& error) {
      std::string message = error.what();
      const auto at = message.find(path.string());
      if (at != std::string::npos) message.replace(at, path.string().size(), "FILE");
      return message;
    }
    return "no error";
  }
  const std::string known_ = [] {
    std::string files;
    for (const Importer& importer : importers()) files += (files.empty() ? "" : ", ") + std::string(importer.files);
    return files;
  }();
  const std::string chat_ = "[31.12.23, 21:41:05] Anna: a\r\n[31.12.23, 21:41:06] Bob: b\r\n";
};

TEST_F(WhatsAppFiles, ZipOfAnIphone) {
  const fs::path path = zip("chat.zip", {{"00000001-PHOTO.jpg", std::string(100000, 'x')},
                                         {"notes.txt", "[01.01.20, 00:00:00] Not: chat\n"},
                                         {"export/_chat.txt", chat_},
                                         {"__MACOSX/._chat.txt", "junk"}});
  const auto logs = read_export(path, "", {}).logs;
  ASSERT_EQ(logs.size(), 1u);
  EXPECT_EQ(logs[0].format, "WhatsApp (iPhone)");
  EXPECT_EQ(logs[0].source, path.string() + ":export/_chat.txt");
  EXPECT_THAT(said(logs[0]), ElementsAre("Anna: a", "Bob: b"));
}

TEST_F(WhatsAppFiles, ZipOfAnAndroidPhoneAndFolder) {
  zip("a.zip", {{"WhatsApp Chat with Ő.txt", "31/12/23, 21:41 - Anna: a\n"}, {"shopping.txt", "milk\n"}});
  write_file_atomic(folder_ / "b.txt", "31/12/23, 21:41 - Anna: b\n");
  write_file_atomic(folder_ / "notes.txt", "nothing\n");
  const auto logs = read_export(folder_, "", {}).logs;
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_THAT(said(logs[0]), ElementsAre("Anna: a"));
  EXPECT_THAT(said(logs[1]), ElementsAre("Anna: b"));
}

TEST_F(WhatsAppFiles, BadFiles) {
  write_file_atomic(folder_ / "empty.txt", "");
  EXPECT_EQ(error_of(folder_ / "empty.txt"), "[FILE] the file is empty; expected a chat export");
  EXPECT_EQ(error_of(folder_ / "missing.txt"), "[FILE] no such file; check the path");
  write_file_atomic(folder_ / "essay.txt", "It was a dark night.\n");
  EXPECT_EQ(error_of(folder_ / "essay.txt"),
            "[FILE] not a chat export that attune knows (" + known_ + "); if it is one, name its type with --from");
  write_file_atomic(folder_ / "bad.zip", "PK\x03\x04 and then nothing of a zip archive");
  EXPECT_EQ(error_of(folder_ / "bad.zip"), "[FILE] not a zip archive, or a damaged one");
  write_file_atomic(folder_ / "text.zip", chat_);
  EXPECT_EQ(error_of(folder_ / "text.zip"), "[FILE] not a zip archive, or a damaged one");
  const std::string whole = read_file(zip("whole.zip", {{"_chat.txt", chat_ + std::string(100000, 'y')}}));
  write_file_atomic(folder_ / "cut.zip", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(error_of(folder_ / "cut.zip"), "[FILE] not a zip archive, or a damaged one");
  std::string flipped = whole;
  for (std::size_t i = 60; i < 90; ++i) flipped[i] = static_cast<char>(flipped[i] ^ 0x55);
  write_file_atomic(folder_ / "flipped.zip", flipped);
  EXPECT_THAT(error_of(folder_ / "flipped.zip"), HasSubstr("[FILE] "));
  EXPECT_EQ(error_of(zip("nothing.zip", {{"a.jpg", "x"}})),
            "[FILE] not a chat export that attune knows (" + known_ + "); if it is one, name its type with --from");
  EXPECT_EQ(error_of(zip("outside.zip", {{"../../_chat.txt", chat_}})),
            "[FILE] the archive has an entry \"../../_chat.txt\" that would lie outside it; it was not made by a chat "
            "program");
  EXPECT_THAT(error_of(zip("bomb.zip", {{"_chat.txt", chat_ + std::string(300'000'000, 'y')}})),
              HasSubstr("[FILE] entry _chat.txt unpacks to more than 300 times the size of the archive"));
  write_file_atomic(folder_ / "long.txt", chat_ + std::string(20'000'000, 'z') + "\n" + chat_);
  EXPECT_EQ(error_of(folder_ / "long.txt"), "[FILE:3] a line of 20000000 bytes; a chat has none longer than 16777216");
  write_file_atomic(folder_ / "latin1.txt",
                    "31/12/23, 21:41 - Anna: \xE1rv\xEDz\n31/12/23, 21:42 - Bob: t\xFCk\xF6r\n");
  EXPECT_EQ(error_of(folder_ / "latin1.txt"),
            "[FILE:1] not UTF-8 but an older encoding such as Latin-1 (byte 0xE1); convert the file first: iconv -f "
            "ISO-8859-1 -t UTF-8 OLD > NEW");
  try {
    importer_named("whatsap");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::EndsWith(", got \"whatsap\"; did you mean whatsapp?"));
    EXPECT_THAT(error.what(), testing::StartsWith("[--from] expected one of imessage, "));
  }
}

TEST(WhatsAppSamples, SharedFiles) {
  const fs::path folder = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/chat_exports/whatsapp";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  const auto times = [&](const char* name) {
    const auto logs = read_export(folder / name, "", {}).logs;
    EXPECT_EQ(logs[0].messages.size(), 7u);
    EXPECT_EQ(count(logs[0], Drop::kSystem), 2u);
    std::vector<std::int64_t> list;
    for (const ChatMessage message : logs[0].messages) list.push_back(message.time);
    return list;
  };
  // The same chat in two date orders.
  EXPECT_EQ(times("test_ddmmyy_24hrs.txt"), times("test_mmddyy_24hrs.txt"));
}

}  // namespace
}  // namespace attune
