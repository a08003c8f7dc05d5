#include "conversation/discord_csv.h"

#include "base/error.h"
#include "conversation/csv_reader.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {

bool is_discord_csv(std::string_view head) {
  return head.starts_with("AuthorID,Author,Date,Content") || head.starts_with("\"AuthorID\",\"Author\",\"Date\"");
}

ChatLog read_discord_csv(ExportText& text, DateOrder order) {
  ChatLog log;
  log.source = text.source();
  CsvReader csv(text.utf8(), text.source());
  std::vector<std::string> row;
  csv.next(row);  // the names of the columns, which is_discord_csv() has seen
  while (csv.next(row)) {
    ++log.records;
    if (row.size() < 4)
      throw BadFile("[{}] expected AuthorID, Author, Date and Content, got {} fields", csv.place(), row.size());
    const auto time = parse_any_time(row[2], order);
    if (!time) throw BadFile("[{}] expected a date, got \"{}\"", csv.place(), row[2]);
    const std::string words = strip_marks(trim(row[3]));
    if (words.empty()) {
      log.drop(row.size() > 4 && !row[4].empty() ? Drop::kMedia : Drop::kEmpty);
      continue;
    }
    // "name#1234" of accounts before 2023.
    std::string sender = clean_name(row[1]);
    const std::size_t hash = sender.rfind('#');
    const bool number = hash != std::string::npos && hash + 5 == sender.size() &&
                        sender.find_first_not_of("0123456789", hash + 1) == std::string::npos;
    if (number) sender.resize(hash);
    log.add(*time, sender.empty() ? row[0] : sender, words);
  }
  return log;
}

}  // namespace attune
