#include "conversation/importer.h"

#include <array>

#include "base/error.h"
#include "base/nearest.h"
#include "conversation/whatsapp.h"

namespace attune {
namespace {

std::string known_files() {
  std::string files;
  for (const Importer& importer : importers())
    files += fmt::format("{}{}", files.empty() ? "" : ", ", importer.files);
  return files;
}

}  // namespace

std::span<const Importer> importers() {
  static const std::array<Importer, 1> kImporters = {kWhatsApp};
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

const Importer& detect_importer(const fs::path& path) {
  if (!fs::exists(path)) throw UserError("[{}] no such file; check the path", path.string());
  if (fs::is_regular_file(path) && fs::file_size(path) == 0) {
    throw UserError("[{}] the file is empty; expected a chat export", path.string());
  }
  for (const Importer& importer : importers()) {
    if (importer.detect(path)) return importer;
  }
  throw UserError("[{}] not a chat export that attune knows ({}); if it is one, name its type with --from",
                  path.string(), known_files());
}

}  // namespace attune
