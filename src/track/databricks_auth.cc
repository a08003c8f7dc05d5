#include "track/databricks_auth.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/base64.h"
#include "base/error.h"
#include "http/url.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kRefreshEarly = 120;  // seconds before a token expires

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

class ClientCredentials : public Authorization {
 public:
  ClientCredentials(std::string host, std::string id, Secret secret)
      : host_(std::move(host)), id_(std::move(id)), secret_(std::move(secret)) {}

  Secret value(HttpClient& client) override {
    if (token_.empty() || Clock::now() >= refresh_) ask(client);
    return token_;
  }
  void refused() override { token_ = Secret(); }

 private:
  void ask(HttpClient& client) {
    Request discovery;
    discovery.url = host_ + "/oidc/.well-known/oauth-authorization-server";
    const Response found = client.send(discovery);
    const std::string endpoint = found.ok() ? read_token_endpoint(found.body) : host_ + "/oidc/v1/token";
    if (origin_of(endpoint) != origin_of(host_)) {
      throw NotNow("[{}] its token endpoint is on another host, {}; the secret is not sent there", host_,
                   shown_url(endpoint));
    }
    Request request;
    request.method = "POST";
    request.url = endpoint;
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    request.authorization = Secret("Basic " + base64(id_ + ":" + secret_.reveal()));
    request.body = std::string("grant_type=client_credentials&scope=all-apis");
    const Response response = client.send(request);
    if (!response.ok()) {
      throw NotNow("[{}] the token was refused with {}; check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
                   shown_url(endpoint), response.status);
    }
    const OauthToken token = read_token(response.body);
    token_ = Secret("Bearer " + token.token);
    refresh_ = Clock::now() +
               std::chrono::milliseconds(static_cast<std::int64_t>(1e3 * std::max(token.seconds - kRefreshEarly, 1.0)));
  }

  std::string host_, id_;
  Secret secret_, token_;
  Clock::time_point refresh_{};
};

}  // namespace

std::string databricks_host() {
  std::string host = environment("DATABRICKS_HOST");
  if (host.empty()) {
    throw UserError(
        "[track.mlflow] databricks: expected the workspace in DATABRICKS_HOST, got nothing; e.g. "
        "https://adb-123.4.azuredatabricks.net");
  }
  if (host.find("://") == std::string::npos) host = "https://" + host;
  while (host.ends_with('/')) host.pop_back();
  if (!origin_of(host)) throw UserError("[DATABRICKS_HOST] expected a URL, got {}", shown_url(host));
  return host;
}

std::unique_ptr<Authorization> databricks_authorization(const std::string& host) {
  if (std::string token = environment("DATABRICKS_TOKEN"); !token.empty()) {
    return fixed_authorization(Secret("Bearer " + token));
  }
  const std::string id = environment("DATABRICKS_CLIENT_ID");
  Secret secret(environment("DATABRICKS_CLIENT_SECRET"));
  if (id.empty() || secret.empty()) {
    throw UserError(
        "[track.mlflow] databricks: expected DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and "
        "DATABRICKS_CLIENT_SECRET, in the environment; got neither");
  }
  return std::make_unique<ClientCredentials>(host, id, std::move(secret));
}

std::unique_ptr<Authorization> mlflow_authorization() {
  const std::string user = environment("MLFLOW_TRACKING_USERNAME"), password = environment("MLFLOW_TRACKING_PASSWORD");
  if (!user.empty() && !password.empty()) return fixed_authorization(Secret("Basic " + base64(user + ":" + password)));
  if (const std::string token = environment("MLFLOW_TRACKING_TOKEN"); !token.empty()) {
    return fixed_authorization(Secret("Bearer " + token));
  }
  return fixed_authorization(Secret());
}

std::string read_token_endpoint(const std::string& body) {
  const std::string where = "Databricks OAuth";
  const Json json = parse_json(body, where);
  if (!json.is_object()) throw BadFile("[{}] expected an object", where);
  return json_require<std::string>(json, "token_endpoint", where);
}

OauthToken read_token(const std::string& body) {
  const std::string where = "Databricks OAuth";
  const Json json = parse_json(body, where);
  if (!json.is_object()) throw BadFile("[{}] expected an object", where);
  OauthToken token{json_require<std::string>(json, "access_token", where), 3600};
  if (const auto seconds = json.find("expires_in"); seconds != json.end() && seconds->is_number()) {
    token.seconds = std::clamp(seconds->get<double>(), 0.0, 86400.0);
  }
  return token;
}

}  // namespace attune
