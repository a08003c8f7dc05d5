// Which mails belong together, found one mail after the other.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "conversation/mime.h"

namespace attune {

class MailThreads {
 public:
  // The thread of a mail, by number. Threads that turn out to be one are joined: ask root() at the end.
  std::uint32_t add(const Mail& mail);
  std::uint32_t root(std::uint32_t thread) const;
  // Whether a mail of this Message-ID was added before.
  bool has_seen(const std::string& id) const { return seen_.contains(id); }

 private:
  std::uint32_t join(std::uint32_t a, std::uint32_t b);
  std::vector<std::uint32_t> parents_;
  std::unordered_map<std::string, std::uint32_t> by_id_;       // of mails and of those they refer to
  std::unordered_map<std::string, std::uint32_t> by_subject_;  // the latest
  std::unordered_map<std::string, bool> seen_;
};

}  // namespace attune
