#include "conversation/whatsapp_phrases.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string>
#include <unordered_set>
#include <vector>

#include "conversation/text_marks.h"

namespace attune {
namespace {

using Phrases = std::initializer_list<const char*>;

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

// Nearly every text that is looked up is longer than any phrase, or no phrase at all.
class PhraseSet {
 public:
  explicit PhraseSet(Phrases phrases) {
    for (const char* phrase : phrases) {
      longest_ = std::max(longest_, set_.insert(fold_phrase(phrase)).first->size());
    }
  }
  bool contains(std::string_view folded) const { return folded.size() <= longest_ && set_.contains(folded); }

 private:
  std::unordered_set<std::string, Hash, std::equal_to<>> set_;
  std::size_t longest_ = 0;
};

std::vector<std::string> folded_list(Phrases phrases) {
  std::vector<std::string> list;
  for (const char* phrase : phrases) list.push_back(fold_phrase(phrase));
  return list;
}

// Sorted, and without those that begin like another: what begins with any of them begins with the last one that is not
// greater.
std::vector<std::string> folded_beginnings(Phrases phrases) {
  std::vector<std::string> list = folded_list(phrases), shortest;
  std::sort(list.begin(), list.end());
  for (std::string& phrase : list) {
    if (shortest.empty() || !phrase.starts_with(shortest.back())) shortest.push_back(std::move(phrase));
  }
  return shortest;
}

// clang-format off
constexpr Phrases kDeleted = {
    "This message was deleted", "You deleted this message", "You deleted this message as admin",
    "This message was deleted by an admin", "Ez az üzenet törlésre került", "Ezt az üzenetet törölted",
    "Törölted ezt az üzenetet", "Ezt az üzenetet törölték", "Ez az üzenet törölve lett",
    "Az üzenet törölve", "Diese Nachricht wurde gelöscht", "Du hast diese Nachricht gelöscht",
    "Se eliminó este mensaje", "Este mensaje fue eliminado", "Eliminaste este mensaje", "Mensagem apagada",
    "Esta mensagem foi apagada", "Você apagou esta mensagem", "Apagou esta mensagem",
    "Esta mensagem foi apagada pelo remetente", "Ce message a été supprimé",
    "Vous avez supprimé ce message", "Questo messaggio è stato eliminato", "Hai eliminato questo messaggio",
    "Dit bericht is verwijderd", "U hebt dit bericht verwijderd", "Je hebt dit bericht verwijderd",
    "Ta wiadomość została usunięta", "Usunąłeś(-ęłaś) tę wiadomość", "Usunąłeś(aś) tę wiadomość",
    "Usunięto tę wiadomość", "Bu mesaj silindi", "Bu mesajı sildiniz", "Данное сообщение удалено",
    "Это сообщение удалено", "Сообщение удалено", "Вы удалили данное сообщение", "Вы удалили это сообщение",
    "Це повідомлення було видалено", "Повідомлення видалено", "Ви видалили це повідомлення",
    "Αυτό το μήνυμα διαγράφηκε", "Διαγράψατε αυτό το μήνυμα", "Διαγράψατε το μήνυμα", "تم حذف هذه الرسالة",
    "حذفت هذه الرسالة", "لقد حذَفت هذه الرسالة", "أنت حذفت هذه الرسالة", "הודעה זו נמחקה", "מחקת הודעה זו",
    "מחקת את ההודעה הזו", "ההודעה נמחקה", "यह मैसेज डिलीट कर दिया गया है", "यह मैसेज डिलीट किया गया",
    "आपने यह मैसेज डिलीट किया", "यह संदेश मिटाया गया", "आपने यह संदेश मिटाया", "このメッセージは削除されました",
    "このメッセージを削除しました", "メッセージを削除しました", "이 메시지는 삭제되었습니다",
    "삭제된 메시지입니다", "삭제한 메시지입니다", "이 메시지를 삭제했습니다", "此訊息已刪除",
    "您已刪除此訊息", "你已刪除此訊息", "这条消息已被删除", "此消息已删除", "您已删除这条消息",
    "你已删除这条消息", "你删除了这条消息", "您删除了这条消息", "Tato zpráva byla smazána",
    "Tato zpráva byla odstraněna", "Tuto zprávu jste smazal/a", "Táto správa bola odstránená",
    "Túto správu ste odstránili", "Acest mesaj a fost șters", "Ați șters acest mesaj",
    "Det här meddelandet raderades", "Detta meddelande raderades", "Du raderade det här meddelandet",
    "Du raderade detta meddelande", "Denne meldingen ble slettet", "Du slettet denne meldingen",
    "Denne besked blev slettet", "Denne besked er blevet slettet", "Du slettede denne besked",
    "Tämä viesti poistettiin", "Poistit tämän viestin", "Pesan ini dihapus", "Pesan ini telah dihapus",
    "Anda menghapus pesan ini", "Mesej ini telah dipadam", "Anda telah memadamkan mesej ini",
    "Aquest missatge s'ha suprimit", "Has suprimit aquest missatge", "Ova je poruka izbrisana",
    "Ova poruka je izbrisana", "Izbrisali ste ovu poruku", "Ова порука је обрисана",
    "To sporočilo je bilo izbrisano", "To sporočilo ste izbrisali", "Съобщението беше изтрито",
    "Изтрихте това съобщение", "Tin nhắn này đã bị xóa", "Bạn đã xóa tin nhắn này", "ข้อความนี้ถูกลบแล้ว",
    "ข้อความนี้ได้ถูกลบ", "คุณลบข้อความนี้", "คุณได้ลบข้อความนี้", "این پیام حذف شده است", "این پیام حذف شد",
    "شما این پیام را حذف کردید", "یہ میسج حذف کر دیا گیا ہے", "আপনি এই মেসেজটি বাদ দিয়েছেন",
    "এই মেসেজটি বাদ দেওয়া হয়েছে", "हा मेसेज हटवण्यात आला", "Ši žinutė buvo ištrinta",
    "Jūs ištrynėte šią žinutę", "Šī ziņa tika izdzēsta", "Jūs izdzēsāt šo ziņu", "See sõnum on kustutatud",
    "Kustutasid selle sõnumi", "Hierdie boodskap was uitgevee", "Ujumbe huu ulifutwa"};

constexpr Phrases kOmitted = {
    "image omitted", "video omitted", "video note omitted", "audio omitted", "GIF omitted",
    "sticker omitted", "document omitted", "media omitted", "voice message omitted", "kép kihagyva",
    "kép küldése sikertelen", "Videó kihagyva", "Hang kihagyása", "hang kihagyva", "hanganyag kihagyva",
    "hangüzenet kihagyva", "matrica kihagyva", "GIF fájl kihagyása", "GIF kihagyva", "dokumentum kihagyva",
    "média kihagyva", "médiafájl kihagyva", "hiányzó médiafájl", "videoüzenet kihagyva", "Bild weggelassen",
    "Video weggelassen", "Videonachricht weggelassen", "Audio weggelassen", "Sticker weggelassen",
    "GIF weggelassen", "Dokument weggelassen", "Medien ausgeschlossen", "Medien weggelassen",
    "imagen omitida", "Video omitido", "audio omitido", "sticker omitido", "GIF omitido",
    "documento omitido", "multimedia omitido", "Archivo omitido", "nota de video omitida",
    "imagem ocultada", "imagem oculta", "imagem omitida", "vídeo omitido", "vídeo oculto", "áudio ocultado",
    "áudio oculto", "áudio omitido", "figurinha omitida", "documento ocultado", "mídia oculta",
    "arquivo de mídia oculto", "mídia omitida", "imagem não revelada", "vídeo não revelado",
    "ficheiro de áudio não revelado", "sticker não revelado", "GIF não revelada", "documento não revelado",
    "ficheiro não revelado", "image absente", "vidéo absente", "audio omis", "sticker omis", "GIF retiré",
    "document manquant", "image omise", "médias omis", "fichier omis", "immagine omessa", "video omesso",
    "audio omesso", "sticker non incluso", "GIF esclusa", "documento omesso", "media omessi",
    "media omesso", "afbeelding weggelaten", "video weggelaten", "audio weggelaten", "sticker weggelaten",
    "GIF weggelaten", "document weggelaten", "media weggelaten", "obraz pominięty", "wideo pominięte",
    "audio pominięte", "pominięto naklejkę", "Plik GIF pominięty", "dokument pominięty",
    "pominięto multimedia", "pliki pominięto", "multimedia pominięto", "görüntü dahil edilmedi",
    "video dahil edilmedi", "ses dahil edilmedi", "Çıkartma dahil edilmedi", "GIF dahil edilmedi",
    "belge dahil edilmedi", "medya dahil edilmedi", "изображение отсутствует", "видео отсутствует",
    "аудиофайл отсутствует", "стикер не добавлен", "GIF отсутствует", "документ отсутствует",
    "без медиафайлов", "файл пропущен", "зображення відсутнє", "відео відсутнє", "аудіо відсутнє",
    "Наклейку не додано", "документ пропущено", "медіа пропущено", "εικόνα παραλείφθηκε",
    "βίντεο παραλείφθηκε", "ήχος παραλείφθηκε", "αυτοκόλλητο παραλήφθηκε", "Παράληψη GIF",
    "έγγραφο παραλείφθηκε", "εξαίρεση πολυμέσων", "لم يتم إدراج الصورة", "لم يتم إدراج الفيديوهات",
    "لم يتم إدراج المقاطع الصوتية", "تم حذف الملصقات", "لم يتم إدراج صورة GIF", "لم يتم إدراج المستند",
    "تم استبعاد الوسائط", "התמונה הושמטה", "סרטון הווידאו הושמט", "קטע קול הושמט", "סטיקר הושמט",
    "GIF הושמט", "מסמך הושמט", "המדיה לא נכללה", "מדיה הושמטה", "फ़ोटो हटाई गई", "वीडियो छोड़ा गया",
    "ऑडियो हटाई गयी", "स्टिकर छोड़ा गया", "GIF छोड़ा गया", "डॉक्यूमेंट छोड़ा गया", "मीडिया के बिना",
    "画像は含まれていません", "ビデオは含まれていません", "音声は含まれていません",
    "スタンプは含まれていません", "GIFは含まれていません", "ドキュメントは含まれていません",
    "メディアは含まれていません", "メディアなし", "이미지 생략됨", "비디오 생략됨", "동영상 생략됨",
    "오디오 생략됨", "스티커 제외됨", "GIF 생략됨", "문서 생략됨", "미디어 파일 제외됨",
    "미디어 파일을 생략한 대화내용", "圖片已略去", "影片已略去", "音訊已略去", "貼圖已略去", "GIF 已略去",
    "文件已略去", "省略多媒體檔", "圖像已省略", "影片已省略", "音訊已省略", "照片已忽略", "视频已忽略",
    "音频已忽略", "贴图已省略", "贴图已忽略", "GIF 动态图已被忽略", "文档已省略", "忽略多媒體檔",
    "省略多媒体文件", "图像已忽略", "媒体已忽略", "obrázek vynechán", "video vynecháno",
    "zvukový soubor vynechán", "nálepka vynechána", "GIF vynechán", "dokument vynechán", "média vynechána",
    "obrázok vynechaný", "video vynechané", "zvuk vynechaný", "nálepka vynechaná", "dokument vynechaný",
    "médiá vynechané", "Imagine omisă", "clip video omis", "document omis", "GIF omis",
    "conținut media omis", "bild utesluten", "video utesluten", "ljud utelslutet", "sticker utesluten",
    "dokument uteslutet", "media har utelämnats", "bilde ikke inkludert", "video utelatt", "lyd utelatt",
    "klistremerke utelatt", "utelatt dokument", "billede udeladt", "video udeladt", "lyd udeladt",
    "klistermærke udeladt", "dokument udeladt", "mediefil udeladt", "videota ei sisällytetä",
    "äänitiedostoa ei sisällytetä", "tarraa ei sisällytetty", "media jätetty pois",
    "gambar tidak disertakan", "video tidak disertakan", "audio tidak disertakan",
    "stiker tidak disertakan", "GIF tidak disertakan", "dokumen tidak disertakan", "media tidak disertakan",
    "imej tidak dimasukkan", "video tidak dimasukkan", "Imatge omesa", "vídeo omès", "Àudio omès",
    "slika izostavljena", "video izostavljen", "zvuk izostavljen", "đã bỏ qua hình ảnh", "đã bỏ video",
    "bỏ qua tệp âm thanh", "đã bỏ sticker", "تصویر حذف شد", "ویدیو حذف شد", "صدا حذف شد", "رسانه حذف شد",
    "สื่อถูกลบ", "วิดีโอถูกลบ"};

constexpr Phrases kContact = {
    "Contact card omitted", "Névjegykártya kihagyva", "névjegy kihagyva", "Kontaktkarte ausgelassen",
    "Kontaktkarte weggelassen", "Tarjeta de contacto omitida", "Cartão do contato omitido",
    "cartão de contato omitido", "Contacto não revelado", "Fiche contact manquante",
    "Scheda contatto omessa", "Visitekaartje weggelaten", "contactkaart weggelaten",
    "Pominięta wizytówka kontaktu", "Kişi kartı dahil edilmedi", "Карточка контакта отсутствует",
    "Картка контакту відсутня", "Η κάρτα επαφής παραλήφθηκε", "لم يتم إدراج بطاقة جهة اتصال",
    "כרטיס איש קשר הושמט", "कॉन्टैक्ट कार्ड छोड़ा गया", "連絡先カードを省略", "연락처 카드 생략됨",
    "聯絡人卡片已略去", "聯絡人卡片已省略", "联系人卡片已忽略", "Vizitka vynechána",
    "Karta kontaktu vynechaná", "Carte de vizită contact omisă", "Kontaktkort uteslutet",
    "Kontaktkort sløyfet", "Kontaktkort udeladt", "Yhteystietokortti jätettiin pois",
    "Kartu kontak tidak disertakan", "Posjetnica izostavljena", "Targeta de contacte omesa"};

constexpr Phrases kMissedCall = {
    "Missed voice call", "Missed video call", "Missed group voice call", "Missed group video call",
    "Nem fogadott hanghívás", "Nem fogadott videohívás", "Nem fogadott videóhívás", "Nem fogadott hívás",
    "Verpasster Sprachanruf", "Verpasster Videoanruf", "Verpasster Anruf", "Llamada perdida",
    "Llamada de voz perdida", "Videollamada perdida", "Chamada de voz perdida", "Chamada de vídeo perdida",
    "Videochamada perdida", "Ligação de voz perdida", "Ligação de vídeo perdida", "Appel vocal manqué",
    "Appel vidéo manqué", "Chiamata vocale persa", "Videochiamata persa", "Gemiste spraakoproep",
    "Gemiste video-oproep", "Gemiste oproep", "Gemist spraakgesprek", "Gemist videogesprek",
    "Nieodebrane połączenie głosowe", "Nieodebrane połączenie wideo", "Nieodebrane połączenie",
    "Nieodebrane poł. głosowe", "Nieodebrane poł. wideo", "Cevapsız sesli arama",
    "Cevapsız görüntülü arama", "Пропущенный аудиозвонок", "Пропущенный видеозвонок",
    "Пропущений аудіодзвінок", "Пропущений відеодзвінок", "Αναπάντητη φωνητική κλήση",
    "Αναπάντητη βιντεοκλήση", "Αναπάντητη κλήση", "مكالمة صوتية فائتة", "مكالمة فيديو فائتة",
    "שיחה קולית שלא נענתה", "שיחת וידאו שלא נענתה", "वॉइस कॉल मिस हुई", "मिस्ड वॉइस कॉल", "मिस्ड वीडियो कॉल",
    "音声通話不在着信", "ビデオ通話不在着信", "不在着信", "부재중 전화", "부재중 음성통화",
    "부재중 영상통화", "未接語音通話", "未接视频通话", "未接语音通话", "未接視像通話", "未接視訊通話",
    "Zmeškaný hovor", "Zmeškaný hlasový hovor", "Zmeškaný videohovor", "Apel vocal nepreluat",
    "Apel vocal ratat", "Apel video nepreluat", "Apel video ratat", "Missat röstsamtal",
    "Missat videosamtal", "Tapt taleanrop", "Tapt videoanrop", "Ubesvaret taleopkald",
    "Ubesvaret videoopkald", "Mistet opkald", "Vastaamaton äänipuhelu", "Vastaamaton videopuhelu",
    "Panggilan suara tak terjawab", "Panggilan video tak terjawab", "Trucada de veu perduda",
    "Videotrucada perduda", "Propušten glasovni poziv", "Propušteni glasovni poziv",
    "Propušten video poziv", "Cuộc gọi nhỡ", "تماس صوتی پاسخ داده نشده", "تماس تصویری پاسخ داده نشده",
    "สายที่ไม่ได้รับ"};

// Words that a sender may well write; WhatsApp's own carry its mark.
constexpr Phrases kMarkedCall = {
    "Voice call", "Video call", "Silenced voice call", "Hanghívás", "Videohívás", "Videóhívás",
    "Sprachanruf", "Videoanruf", "Llamada de voz", "Videollamada", "Chamada de voz", "Chamada de vídeo",
    "Ligação de voz", "Ligação de vídeo", "Appel vocal", "Appel vidéo", "Chiamata vocale", "Videochiamata",
    "Sesli arama", "Görüntülü arama", "Аудиозвонок", "Видеозвонок"};

constexpr Phrases kLiveLocation = {
    "live location shared", "tartózkodási hely megosztva", "élő helyzet megosztva",
    "valós idejű helyzet megosztva", "Live-Standort wird geteilt", "ubicación en tiempo real compartida",
    "localização atual compartilhada", "localização em tempo real compartilhada",
    "Está a partilhar a sua localização", "Localisation en direct partagée", "posizione attuale condivisa",
    "posizione in tempo reale condivisa", "live locatie gedeeld", "udostępniona transmisja położenia",
    "Mevcut konum paylaşıldı", "canlı konum paylaşıldı", "Геоданные отправлены", "геодані надіслано",
    "η τωρινή τοποθεσία κοινοποιήθηκε", "تمت مشاركة الموقع المباشر", "משתף מיקום בשידור חי",
    "लाइव स्थान साझा किया गया", "ライブロケーション共有", "공유한 실시간 위치", "實時位置已分享",
    "共享实时位置", "byla sdílena aktuální poloha", "bola zdieľaná aktuálna poloha",
    "locație în timp real distribuită", "liveposition delad", "posisjon i sanntid delt",
    "live placering delt", "live-sijainti jaettu", "Lokasi terkini dibagikan",
    "Ubicació en directe compartida"};

constexpr Phrases kEdited = {
    "This message was edited", "Ezt az üzenetet szerkesztették", "Ez az üzenet szerkesztve lett",
    "Szerkesztett üzenet", "Az üzenet szerkesztve", "Diese Nachricht wurde bearbeitet",
    "Se editó este mensaje", "Este mensaje fue editado", "Mensagem editada", "Esta mensagem foi editada",
    "Ce message a été modifié", "Questo messaggio è stato modificato", "Dit bericht is bewerkt",
    "Ta wiadomość została edytowana", "Wiadomość edytowana", "Bu mesaj düzenlendi",
    "Данное сообщение изменено", "Это сообщение изменено", "Сообщение изменено",
    "Це повідомлення відредаговано", "Αυτό το μήνυμα υποβλήθηκε σε επεξεργασία", "تم تعديل هذه الرسالة",
    "ההודעה נערכה", "הודעה זו נערכה", "यह मैसेज एडिट किया गया", "यह मैसेज एडिट किया गया है",
    "このメッセージは編集されました", "이 메시지는 수정되었습니다", "此訊息已編輯", "此消息已编辑",
    "此讯息已编辑", "Tato zpráva byla upravena", "Táto správa bola upravená", "Acest mesaj a fost editat",
    "Det här meddelandet har redigerats", "Denne meldingen ble redigert", "Denne besked blev redigeret",
    "Tätä viestiä muokattiin", "Pesan ini diedit"};

// Beginnings of notices that carry a sender's or the group's name in iOS exports.
constexpr Phrases kNotice = {
    "Waiting for this message. This may take", "Várakozás erre az üzenetre", "Várakozás az üzenetre. Ez",
    "Warten auf diese Nachricht. Dies kann", "Esperando el mensaje. Esto puede", "Esperando este mensaje. Esto puede",
    "Aguardando mensagem. Essa ação pode", "En attente de ce message. Cela peut", "In attesa del messaggio. Potrebbe",
    "Wachten op dit bericht. Dit kan", "Oczekiwanie na wiadomość. Może", "Bu mesaj bekleniyor. Bu biraz",
    "Ожидание сообщения. Это может", "You received a view once message", "You sent a view once message",
    "Messages and calls are end-to-end encrypted", "Messages you send to this chat and calls are",
    "Messages to this chat and calls are", "Messages to this group are", "Your security code with",
    "Az üzenetek és hívások végpontok közötti titkosítással", "Az üzenetek és a hívások végpontok között",
    "Az üzeneteket és a hívásokat végpontok közötti", "Az üzenetek és hívások végpontok között",
    "Az ebben a csevegésben küldött üzenetek", "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt",
    "Nachrichten in diesem Chat sowie Anrufe sind", "Nachrichten, die du in diesem Chat sendest",
    "Deine Sicherheitsnummer", "Los mensajes y las llamadas están cifrados", "Los mensajes y llamadas",
    "Cambió tu código de seguridad", "Tu código de seguridad", "As mensagens e as chamadas são protegidas",
    "As mensagens e as ligações são protegidas", "As mensagens e as chamadas têm encriptação",
    "As mensagens e chamadas são encriptadas", "As mensagens e ligações são protegidas",
    "Seu código de segurança com", "O seu código de segurança", "Les messages et les appels sont chiffrés",
    "Les messages et appels sont chiffrés", "Votre code de sécurité avec",
    "I messaggi e le chiamate sono crittografati", "Il tuo codice di sicurezza",
    "Berichten en gesprekken worden end-to-end", "Berichten en oproepen worden end-to-end",
    "Berichten en oproepen zijn end-to-end", "Uw beveiligingscode", "Je beveiligingscode",
    "Wiadomości i połączenia są w pełni zaszyfrowane", "Wiadomości i połączenia są szyfrowane",
    "Twój kod zabezpieczeń", "Mesajlar ve aramalar uçtan uca şifrelidir", "Сообщения и звонки защищены",
    "Ваш код безопасности", "Повідомлення й дзвінки захищено",
    "Τα μηνύματα και οι κλήσεις κρυπτογραφούνται", "Τα μηνύματα και οι κλήσεις προστατεύονται",
    "الرسائل والمكالمات مشفرة", "تغيّر رمز أمانك", "ההודעות והשיחות מוצפנות", "הודעות ושיחות מוצפנות",
    "मैसेजेस और कॉल्स एंड-टू-एंड एन्क्रिप्टेड", "मैसेज और कॉल एंड-टू-एंड एन्क्रिप्टेड",
    "メッセージと通話はエンドツーエンド暗号化されています", "메시지 및 전화는 종단간 암호화",
    "메시지와 통화는 종단간 암호화", "訊息和通話經端對端加密", "訊息與通話受到端對端加密",
    "訊息已受端對端加密", "消息和通话都进行端到端加密", "消息和通话已进行端到端加密",
    "Zprávy a hovory jsou", "Správy a hovory sú", "Mesajele și apelurile sunt criptate",
    "Meddelanden och samtal är", "Meldinger og samtaler er ende-til-ende",
    "Beskeder og opkald er end-to-end", "Viestit ja puhelut salataan",
    "Viestit ja puhelut ovat täysin salattuja", "Pesan dan panggilan terenkripsi",
    "Poruke i pozivi zaštićeni su", "Els missatges i les trucades estan xifrats",
    "Tin nhắn và cuộc gọi được mã hóa", "پیام‌ها و تماس‌ها"};

// Parts of group notices whose text may hold a colon, so that a name-like beginning is no sender.
constexpr Phrases kGroup = {
    "changed the subject", "changed the group", "created group", "created the group", "changed this group",
    "changed to +", "megváltoztatta a tárgyat", "megváltoztatta a csoport", "módosította a csoport",
    "módosította a tárgyat", "létrehozta a következő csoportot", "létrehozta a(z)", "hat die Gruppe",
    "hat den Betreff", "hat den Gruppennamen", "Gruppenbeschreibung", "cambió el asunto",
    "cambió el nombre del grupo", "creó el grupo", "mudou o assunto", "mudou o nome do grupo",
    "alterou o assunto", "alterou o nome do grupo", "criou o grupo", "a changé le sujet",
    "a changé le nom du groupe", "a modifié le nom du groupe", "a créé le groupe", "ha cambiato l'oggetto",
    "ha cambiato il nome del gruppo", "ha creato il gruppo", "heeft het onderwerp gewijzigd",
    "heeft de groepsnaam", "heeft de groep", "zmienił(a) temat", "zmienił temat", "zmieniła temat",
    "zmienił(a) nazwę grupy", "utworzył(a) grupę", "konusunu değiştirdi", "grubun adını değiştirdi",
    "grubunu oluşturdu", "изменил(а) название", "изменил(-а) название", "изменил(а) тему",
    "создал(а) группу", "создал(-а) группу", "άλλαξε το θέμα", "άλλαξε το όνομα της ομάδας",
    "δημιούργησε την ομάδα", "قام بتغيير الموضوع", "غيّر اسم المجموعة", "أنشأ المجموعة", "שינה/תה את נושא",
    "שינה/תה את שם הקבוצה", "יצר/ה את הקבוצה", "ने विषय", "ने ग्रुप", "件名を", "グループ名を", "제목을",
    "그룹 이름을", "更改了主題", "更改了群組", "更改了主题", "更改了群组", "将群组名称", "將群組名稱"};

// clang-format on

}  // namespace

bool is_deleted_phrase(std::string_view folded) {
  static const PhraseSet set(kDeleted);
  return set.contains(folded);
}

bool is_omitted_phrase(std::string_view folded) {
  static const PhraseSet set(kOmitted);
  return set.contains(folded);
}

bool is_contact_phrase(std::string_view folded) {
  static const PhraseSet set(kContact);
  return set.contains(folded);
}

bool is_call_phrase(std::string_view folded, bool marked) {
  static const PhraseSet missed(kMissedCall);
  static const PhraseSet ongoing(kMarkedCall);
  if (!marked) return missed.contains(folded);
  const std::string_view kind = folded.substr(0, folded.find_first_of(",."));
  return missed.contains(kind) || ongoing.contains(kind);
}

bool is_live_location_phrase(std::string_view folded) {
  static const PhraseSet set(kLiveLocation);
  return set.contains(folded);
}

bool is_edited_phrase(std::string_view folded) {
  static const PhraseSet set(kEdited);
  return set.contains(folded);
}

bool is_notice_phrase(std::string_view folded) {
  static const std::vector<std::string> list = folded_beginnings(kNotice);
  const auto after = std::upper_bound(list.begin(), list.end(), folded);
  return after != list.begin() && folded.starts_with(*std::prev(after));
}

bool has_group_phrase(std::string_view folded) {
  static const std::vector<std::string> list = folded_list(kGroup);
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& phrase) { return folded.find(phrase) != std::string_view::npos; });
}

}  // namespace attune
