#include "track/mlflow_api.h"

#include "http/url.h"
#include "track/mlflow_messages.h"

namespace attune {
namespace {

constexpr double kStallSeconds = 30;  // MLflow's own client waits 120 for an answer; nothing waits for ours

class Fixed : public Authorization {
 public:
  explicit Fixed(Secret value) : value_(std::move(value)) {}
  Secret value(HttpClient&) override { return value_; }

 private:
  Secret value_;
};

bool may_pass(int status) { return status == 408 || status == 429 || status >= 500; }

HttpOptions http_options(const DeliveryControl& control) {
  HttpOptions options;
  options.cancelled = control.cancelled;
  return options;
}

std::string advice(int status) {
  if (status == 401)
    return "; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
           "(Databricks: DATABRICKS_TOKEN)";
  if (status == 403) return "; these credentials may not do this there";
  return "";
}

}  // namespace

std::unique_ptr<Authorization> fixed_authorization(Secret value) { return std::make_unique<Fixed>(std::move(value)); }

MlflowApi::MlflowApi(std::string base, std::unique_ptr<Authorization> authorization, const DeliveryControl& control)
    : base_(std::move(base)),
      authorization_(std::move(authorization)),
      moved_(control.moved),
      client_(http_options(control)) {
  while (base_.ends_with('/')) base_.pop_back();
}

Json MlflowApi::get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query) {
  Request request;
  request.url = base_ + "/api/2.0/mlflow/" + path;
  char separator = '?';
  for (const auto& [key, value] : query) {
    request.url += separator + percent_encode(key) + "=" + percent_encode(value);
    separator = '&';
  }
  return answer(send(std::move(request), true), path);
}

Json MlflowApi::call(const std::string& method, const std::string& path, const Json& body) {
  Request request;
  request.method = method;
  request.url = base_ + "/api/2.0/mlflow/" + path;
  request.headers.add("Content-Type", "application/json");
  request.body = to_json_line(body);
  return answer(send(std::move(request), true), path);
}

void MlflowApi::upload(const std::string& method, const std::string& url, RequestBody body, const TextPairs& headers,
                       bool authorized) {
  Request request;
  request.method = method;
  request.url = url;
  request.body = std::move(body);
  for (const auto& [name, value] : headers) request.headers.add(name, value);
  request.on_sent = [this](std::uint64_t) {
    if (moved_) moved_();
  };
  const Response response = send(std::move(request), authorized);
  if (response.ok()) return;
  const std::string what = fmt::format("[{}] {} answered {}", shown_url(url), method, response.status);
  if (may_pass(response.status) || response.status == 401 || response.status == 403)
    throw NotNow("{}{}", what, advice(response.status));
  const MlflowFault fault = read_mlflow_fault(response.body);
  throw MlflowRefused(fault.code, without_secrets(fmt::format("{} {}", what, fault.message)));
}

Response MlflowApi::send(Request request, bool authorized) {
  request.never_twice = request.method == "POST";  // a run or a batch may be there although its answer never came
  if (authorized) used_ = request.authorization = authorization_->value(client_);
  request.stall_seconds = kStallSeconds;
  Response response = client_.send(request);
  if (authorized && response.status == 401) authorization_->refused();
  return response;
}

Json MlflowApi::answer(const Response& response, const std::string& what) {
  if (response.ok()) {
    // Some calls answer with nothing at all.
    Json json = response.body.empty() ? Json::object() : parse_json(response.body, base_ + ": " + what);
    if (!json.is_object()) throw NotNow("[{}] {}: expected a JSON object; is it an MLflow server?", base_, what);
    return json;
  }
  const MlflowFault fault = read_mlflow_fault(response.body);
  const std::string message = without_secrets(
      fmt::format("[{}] {}: {} {}{}", base_, what, fault.code.empty() ? std::to_string(response.status) : fault.code,
                  fault.message, advice(response.status)));
  if (response.status == 404) throw MlflowMissing(fault.code, message);
  if (may_pass(response.status) || response.status == 401 || response.status == 403) throw NotNow(message);
  // A redirect or a proxy's page is no word of MLflow's about the content.
  if (response.status < 400 || fault.code.empty()) throw NotNow(message);
  throw MlflowRefused(fault.code, message);
}

std::string MlflowApi::without_secrets(std::string text) const {
  const std::string& value = used_.reveal();
  for (const std::string& secret : {value, value.substr(std::min(value.find(' ') + 1, value.size()))}) {
    if (secret.size() < 4) continue;
    for (std::size_t at; (at = text.find(secret)) != std::string::npos;) text.replace(at, secret.size(), "[hidden]");
  }
  return text;
}

}  // namespace attune
