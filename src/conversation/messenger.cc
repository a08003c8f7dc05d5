#include "conversation/messenger.h"

#include "conversation/meta_thread.h"

namespace attune {
namespace {

bool detect_messenger(const std::string&, std::string_view head) { return is_meta_thread(head); }

Imported read_messenger(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  return read_meta_threads(files, names, "Messenger");
}

}  // namespace

const Importer kMessenger = {"messenger", "Facebook Messenger JSON", false, detect_messenger, read_messenger};

}  // namespace attune
