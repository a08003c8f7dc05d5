// An answer of the Hub that is no success, told apart: each kind has one clear line that says what to do.
#pragma once

#include <string>

#include "base/error.h"
#include "http/message.h"
#include "hub/account.h"
#include "hub/repo.h"

namespace attune {

class HubError : public UserError {
 public:
  enum class Kind : std::uint8_t {
    kRepoMissing,  // or private, which the Hub does not tell to strangers
    kGated,        // exists; its terms were not accepted
    kRevisionMissing,
    kEntryMissing,
    kBadToken,   // the token itself is not valid
    kForbidden,  // the token may not do this
    kConflict,   // 409 and 412: exists already, or the branch has moved
    kBusy,       // 429 and 5xx: worth another try later
    kOther,
  };
  HubError(Kind kind, int status, const std::string& message, double asked_wait = 0)
      : UserError(message), kind_(kind), status_(status), asked_wait_(asked_wait) {}
  Kind kind() const { return kind_; }
  int status() const { return status_; }
  double asked_wait() const {
    return asked_wait_;
  }  // seconds that the server wants to be left alone; 0: it did not say

 private:
  Kind kind_;
  int status_;
  double asked_wait_;
};

// The error that `response` is. `repo` names the repository asked about; `action` what was tried ("read the list of files").
HubError hub_error(const Response& response, const HubAccount& account, const Repo& repo, const std::string& revision,
                   const std::string& action);

}  // namespace attune
