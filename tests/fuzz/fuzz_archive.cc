// Any bytes as a zip archive of an export: refused with a UserError, or a list of files that lie inside it, each of
// which is looked at and read once.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "conversation/export_files.h"

namespace {

namespace fs = std::filesystem;

void require(bool holds) {
  if (!holds) std::abort();
}

// The bytes under a name that says what they are to be: the reader takes a path.
class ZipFile {
 public:
  explicit ZipFile(std::string_view bytes)
      : path_(fs::temp_directory_path() / ("fuzz_archive-" + std::to_string(::getpid()) + ".zip")) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~ZipFile() { fs::remove(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void check_archive(const fs::path& path) {
  using namespace attune;
  const ExportFiles files(path);
  require(!files.is_single());
  for (const std::string& name : files.names()) {
    require(!name.empty() && !name.starts_with('/'));
    for (const fs::path& part : fs::path(name)) require(part != "..");
    require(files.location(name).empty());
  }
  std::vector<std::string> seen, read;
  files.look([&](const std::string& name, std::string_view) {
    seen.push_back(name);
    return true;
  });
  require(seen == files.names());
  files.read([](const std::string&) { return true; },
             [&](const std::string& name, ExportText& text) {
               read.push_back(name);
               require(text.source() == files.source(name));
             });
  require(read == seen);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ZipFile zip({reinterpret_cast<const char*>(data), size});
  try {
    check_archive(zip.path());
  } catch (const attune::UserError&) {
  }
  return 0;
}
