// Stop strings in a text that comes in pieces: what might be the beginning of one is held back until it is clear.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

class StopText {
 public:
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that can be shown now that `piece` has come. After a stop string nothing follows any more.
  std::string push(std::string_view piece);
  std::string finish();  // what was held back; the text has ended
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace attune
