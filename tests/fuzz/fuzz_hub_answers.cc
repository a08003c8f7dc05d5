// What a Hub may answer. The first byte chooses the question; the rest is the answer, which is refused with a UserError or
// understood, and then keeps what its type promises.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "hub/answers.h"
#include "hub/card_check.h"
#include "hub/download.h"
#include "hub/repo.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void read_batch(std::string_view text) {
  const std::string oid(64, 'a');
  for (const attune::LfsObject& object : attune::read_lfs_batch(text, {{oid, 25}}, "fuzz")) {
    check(object.oid == oid && object.size == 25);
    if (!object.upload) continue;
    const std::uint64_t part = object.upload->part_bytes;
    check(object.upload->part_urls.size() == (part == 0 ? 0 : 25 / part + (25 % part != 0)));
    for (const auto& [name, value] : object.upload->headers)
      check((name + value).find_first_of("\r\n") == std::string::npos);
  }
}

// "Name: value" lines, as the headers of the answer to a HEAD.
void read_head(std::string_view text) {
  attune::Response response;
  response.status = 302;
  response.url = "https://hub.example/a/b/resolve/main/c";
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (const auto colon = line.find(": "); colon != line.npos) {
      response.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
    }
  }
  const attune::FileMetadata file = attune::read_file_metadata(response, {});
  check(attune::is_commit_hash(file.commit) && file.location.starts_with("http"));
  check(!file.etag.empty() && file.etag.find_first_of("/.") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 10) {
      case 0:
        attune::read_repo_info(text, "fuzz");
        break;
      case 1:
        for (const attune::TreeFile& file : attune::read_tree_page(text, "fuzz")) {
          attune::check_repo_path(file.path, "fuzz");
          check(file.content_oid().size() == 40 || file.content_oid().size() == 64);
        }
        break;
      case 2:
        attune::read_preupload(text, "fuzz");
        break;
      case 3:
        read_batch(text);
        break;
      case 4:
        check(attune::is_commit_hash(attune::read_commit(text, "fuzz").oid));
        break;
      case 5:
        attune::read_history(text, "fuzz");
        break;
      case 6:
        attune::read_refs(text, "fuzz");
        break;
      case 7:
        check(attune::read_error_text(text).find('\n') == std::string::npos);
        break;
      case 8:
        attune::check_card(text, size % 2 == 0);
        break;
      default:
        read_head(text);
    }
  } catch (const attune::UserError&) {
  }
  return 0;
}
