// The detectors of private values on any bytes: finds lie in order within the text, and what was replaced once has nothing
// left to replace in its place.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "privacy/redactor.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace attune;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Names names({"Anna Kovács", "Will", "Nagy Kata"});
  using Find = void (*)(std::string_view, std::vector<Finding>&);
  const auto hold = [&](const std::vector<Finding>& found) {
    std::size_t at = 0;
    for (const Finding& finding : found) {
      if (finding.begin < at || finding.end <= finding.begin || finding.end > text.size()) std::abort();
      at = finding.end;
    }
  };
  for (const Find find : {Find{&find_urls}, Find{&find_emails}, Find{&find_bank_numbers}, Find{&find_phones},
                          Find{&find_coordinates}, Find{&find_addresses}}) {
    std::vector<Finding> found;
    find(text, found);
    hold(found);
  }
  std::vector<Finding> people;
  names.find(text, people);
  hold(people);

  Redactor redactor({{}, {"Anna Kovács", "Nagy Kata"}});
  std::string clean = text;
  redactor.redact(clean);
  if (is_valid_utf8(text) && !is_valid_utf8(clean)) std::abort();
  (void)redactor.to_json().dump();
  return 0;
}
