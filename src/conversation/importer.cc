#include "conversation/importer.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/error.h"
#include "base/nearest.h"
#include "conversation/discord.h"
#include "conversation/imessage.h"
#include "conversation/instagram.h"
#include "conversation/irc.h"
#include "conversation/mail.h"
#include "conversation/messenger.h"
#include "conversation/ready_rows.h"
#include "conversation/signal.h"
#include "conversation/slack.h"
#include "conversation/sms.h"
#include "conversation/table.h"
#include "conversation/telegram.h"
#include "conversation/whatsapp.h"

namespace attune {
namespace {

std::string known_files() {
  std::string files;
  for (const Importer& importer : importers()) files += fmt::format("{}{}", files.empty() ? "" : ", ", importer.files);
  return files;
}

// The files of an export that some importer knows, and which one.
struct Detected {
  const Importer* importer = nullptr;  // nullptr: no file is known
  std::set<std::string> names;
  bool pages = false;  // there are HTML pages
};

Detected detect(const ExportFiles& files) {
  Detected found;
  files.look([&](const std::string& name, std::string_view head) {
    for (const Importer& importer : importers()) {
      if (!importer.detect(name, head)) continue;
      if (found.importer != nullptr && found.importer != &importer) {
        if (importer.weak) break;
        if (found.importer->weak)
          found.names.clear();
        else
          throw UserError("[{}] a file of another type ({}) beside {} ({}); import them as separate paths",
                          files.source(name), importer.name, *found.names.begin(), found.importer->name);
      }
      found.importer = &importer;
      found.names.insert(name);
      break;
    }
    found.pages |= head.starts_with("<!DOCTYPE html") || head.starts_with("<html");
    return true;
  });
  return found;
}

// The files of an export that go with --from: those that look like it, or all when none does.
Detected choose(const ExportFiles& files, const Importer& importer) {
  Detected found{&importer, {}, false};
  if (!files.is_single()) {
    files.look([&](const std::string& name, std::string_view head) {
      if (importer.detect(name, head)) found.names.insert(name);
      return true;
    });
  }
  if (found.names.empty()) found.names = {files.names().begin(), files.names().end()};
  return found;
}

void append(Imported& all, Imported more) {
  std::move(more.logs.begin(), more.logs.end(), std::back_inserter(all.logs));
  std::move(more.rows.begin(), more.rows.end(), std::back_inserter(all.rows));
}

}  // namespace

std::span<const Importer> importers() {
  // The first that recognises a file reads it: those with the surest signs come first.
  static const std::array<Importer, 13> kImporters = {kIMessage,  kSms,       kTelegram, kDiscord, kSlack,
                                                      kInstagram, kMessenger, kSignal,   kMail,    kIrc,
                                                      kWhatsApp,  kReadyRows, kTable};
  return kImporters;
}

const Importer& importer_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Importer& importer : importers()) {
    if (importer.name == name) return importer;
    names.emplace_back(importer.name);
  }
  std::string list;
  for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
  throw UserError("[--from] expected one of {}, got \"{}\"{}", list, name, did_you_mean(name, names));
}

Imported read_export(const fs::path& path, const std::string& from, const ReadOptions& options) {
  if (!fs::exists(path)) throw UserError("[{}] no such file; check the path", path.string());
  if (fs::is_regular_file(path) && fs::file_size(path) == 0) {
    throw UserError("[{}] the file is empty; expected a chat export", path.string());
  }
  const Importer* const forced = from.empty() ? nullptr : &importer_named(from);
  Imported all;
  const Importer* used = nullptr;
  bool pages = false;
  for (const ExportFiles& files : open_exports(path)) {
    const Detected found = forced == nullptr ? detect(files) : choose(files, *forced);
    pages |= found.pages;
    if (found.importer == nullptr) continue;
    if (used != nullptr && used != found.importer) {
      throw UserError("[{}] an export of another type ({}) in a folder of {}; import them as separate paths",
                      files.path().string(), found.importer->name, used->name);
    }
    used = found.importer;
    append(all, used->read(files, found.names, options));
  }
  if (used == nullptr) {
    throw UserError("[{}] not a chat export that attune knows ({}); {}", path.string(), known_files(),
                    pages ? "export it as JSON, not as HTML" : "if it is one, name its type with --from");
  }
  if (all.logs.empty() && all.rows.empty()) throw BadFile("[{}] no chat found in it ({})", path.string(), used->files);
  std::stable_sort(all.logs.begin(), all.logs.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
  for (const ChatLog& log : all.logs) log.messages.settle();
  return all;
}

}  // namespace attune
