#include "conversation/instagram.h"

#include "conversation/meta_thread.h"

namespace attune {
namespace {

bool detect_instagram(const std::string& name, std::string_view head) {
  if (!is_meta_thread(head)) return false;
  const auto has = [&](std::string_view word) { return head.find(word) != std::string_view::npos; };
  const bool folder = name.find("instagram") != std::string::npos;
  return folder || !(has("\"participants\"") || has("\"type\""));
}

Imported read_instagram(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  return read_meta_threads(files, names, "Instagram");
}

}  // namespace

const Importer kInstagram = {"instagram", "Instagram JSON", false, detect_instagram, read_instagram};

}  // namespace attune
