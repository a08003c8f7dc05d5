#include "hub/account.h"

#include <cstdlib>

#include "base/ascii.h"
#include "base/error.h"
#include "http/client.h"
#include "http/url.h"

namespace attune {
namespace {

constexpr std::string_view kPublicHub = "https://huggingface.co";

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path home_folder() {
  if (const std::string home = environment("HF_HOME"); !home.empty()) return home;
  if (const std::string cache = environment("XDG_CACHE_HOME"); !cache.empty()) return fs::path(cache) / "huggingface";
  return fs::path(environment("HOME")) / ".cache/huggingface";
}

Secret find_token(const fs::path& home) {
  std::string where, token;
  for (const char* const name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (token = trimmed_ascii(environment(name)); !token.empty()) {
      where = name;
      break;
    }
  }
  if (token.empty()) {
    const std::string given = environment("HF_TOKEN_PATH");
    const fs::path file = given.empty() ? home / "token" : fs::path(given);
    std::error_code ignored;
    if (fs::is_regular_file(file, ignored)) {
      where = file.string();
      token = trimmed_ascii(read_file(file, 65536));
    }
  }
  for (const char c : token) {
    if (c <= ' ' || c > '~') {
      throw UserError("[{}] expected a token of plain letters and digits; copy it again from the Hub's settings",
                      where);
    }
  }
  return Secret(token);
}

}  // namespace

HubAccount hub_account_from_environment() {
  HubAccount account;
  if (const std::string endpoint(trimmed_ascii(environment("HF_ENDPOINT"))); !endpoint.empty())
    account.endpoint = endpoint;
  while (account.endpoint.ends_with('/')) account.endpoint.pop_back();
  if (!origin_of(account.endpoint)) {
    throw UserError("[HF_ENDPOINT] expected an address such as https://huggingface.co, got \"{}\"", account.endpoint);
  }
  const fs::path home = home_folder();
  account.token = find_token(home);
  account.token_on_reads = offline_switch({"HF_HUB_DISABLE_IMPLICIT_TOKEN"}).empty();
  account.offline_because = offline_switch({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
  const std::string cache = environment("HF_HUB_CACHE");
  account.cache = cache.empty() ? home / "hub" : fs::path(cache);
  return account;
}

std::string at_endpoint(const HubAccount& account, const std::string& url) {
  if (account.endpoint == kPublicHub || !url.starts_with(kPublicHub)) return url;
  const std::string_view rest = std::string_view(url).substr(kPublicHub.size());
  if (!rest.empty() && rest.front() != '/') return url;  // another host whose name begins the same
  return account.endpoint + std::string(rest);
}

}  // namespace attune
