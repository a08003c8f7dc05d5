// Whom attune talks to as whom: the Hub's address, the token and the cache, found where huggingface_hub finds them.
//
//   HF_ENDPOINT                                     else https://huggingface.co
//   HF_TOKEN, HUGGING_FACE_HUB_TOKEN, then the file HF_TOKEN_PATH (else HF_HOME/token)
//   HF_HUB_CACHE                                    else HF_HOME/hub
//   HF_HOME                                         else ${XDG_CACHE_HOME:-~/.cache}/huggingface
//   HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE            nothing is sent
//   HF_HUB_DISABLE_IMPLICIT_TOKEN                   the token is not sent where reading needs none
#pragma once

#include <string>

#include "base/file.h"
#include "http/secret.h"

namespace attune {

struct HubAccount {
  std::string endpoint = "https://huggingface.co";  // without a slash at the end
  Secret token;                                     // empty: anonymous
  bool token_on_reads = true;
  std::string offline_because;  // the variable that says so, or empty
  fs::path cache;
};

// Throws UserError when HF_ENDPOINT is no web address or the token cannot be a header (a line break, a control character).
HubAccount hub_account_from_environment();

// A URL from the server that names the public Hub, moved to the account's endpoint (a mirror).
std::string at_endpoint(const HubAccount& account, const std::string& url);

}  // namespace attune
