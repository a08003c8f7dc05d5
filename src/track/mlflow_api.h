// Calls of MLflow's REST API: one JSON object there, one back, and what the errors mean. No call is repeated here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/client.h"
#include "http/secret.h"
#include "track/delivery.h"
#include "track/mlflow_store.h"

namespace attune {

// 404: what was asked for is not there (or the server does not know the call).
class MlflowMissing : public NotNow {
 public:
  MlflowMissing(std::string code, const std::string& message) : NotNow(message), code_(std::move(code)) {}
  bool unknown_call() const { return code_ != "RESOURCE_DOES_NOT_EXIST" && code_ != "NOT_FOUND"; }

 private:
  std::string code_;
};

// 4xx that no repetition changes.
class MlflowRefused : public RefusedForGood {
 public:
  MlflowRefused(std::string code, const std::string& message) : RefusedForGood(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// Gives the value of the Authorization header (it may have to ask for a token first); empty: none.
class Authorization {
 public:
  virtual ~Authorization() = default;
  virtual Secret value(HttpClient& client) = 0;
  // The server said 401: whatever is remembered is no good any more.
  virtual void refused() {}
};

// One that never changes.
std::unique_ptr<Authorization> fixed_authorization(Secret value);

class MlflowApi {
 public:
  // `base` without "/api/...", any path prefix included.
  MlflowApi(std::string base, std::unique_ptr<Authorization> authorization, const DeliveryControl& control);

  // `path` is what follows "/api/2.0/mlflow/". Throws MlflowMissing, MlflowRefused, NotNow, or what HttpClient throws.
  Json get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query);
  Json post(const std::string& path, const Json& body) { return call("POST", path, body); }
  Json patch(const std::string& path, const Json& body) { return call("PATCH", path, body); }

  // PUT (or another method) of a file's bytes or a text. `authorized` adds our authorization: never for presigned URLs.
  // `url` is shown in errors without its query.
  void upload(const std::string& method, const std::string& url, RequestBody body, const TextPairs& headers,
              bool authorized);

  const std::string& base() const { return base_; }

 private:
  Json call(const std::string& method, const std::string& path, const Json& body);
  Response send(Request request, bool authorized);
  Json answer(const Response& response, const std::string& what);
  std::string without_secrets(std::string text) const;

  std::string base_;
  std::unique_ptr<Authorization> authorization_;
  std::function<void()> moved_;
  HttpClient client_;
  Secret used_;  // the last authorization: no server may make us repeat it in a message
};

}  // namespace attune
