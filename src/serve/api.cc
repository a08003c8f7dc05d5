#include "serve/api.h"

#include <openssl/crypto.h>

#include <array>
#include <ctime>
#include <random>

#include "base/digest.h"
#include "base/error.h"
#include "serve/api_error.h"
#include "serve/api_reply.h"
#include "serve/chat_page.h"
#include "token/encode.h"

namespace attune {
namespace {

struct Route {
  const char *path, *method;
  bool open;  // without a key
};
constexpr std::array<Route, 6> kRoutes = {{{"/", "GET", true},
                                           {"/health", "GET", true},
                                           {"/metrics", "GET", false},
                                           {"/v1/models", "GET", false},
                                           {"/v1/chat/completions", "POST", false},
                                           {"/v1/completions", "POST", false}}};
constexpr std::string_view kModelPath = "/v1/models/";

const Route* route_of(const std::string& path) {
  for (const Route& route : kRoutes) {
    if (path == route.path || (path.starts_with(kModelPath) && route.path == std::string_view("/v1/models"))) {
      return &route;
    }
  }
  return nullptr;
}

// Compared by their digests, in a time that tells nothing about either.
bool same_key(const std::string& a, const std::string& b) {
  const std::string x = sha256_hex(a), y = sha256_hex(b);
  return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

bool is_json(std::string type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  for (char& letter : type) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return type == "application/json";
}

HttpReply reply_of(const ApiError& error) {
  HttpReply reply;
  reply.status = error.status;
  reply.body = error.body();
  if (error.retry_after > 0) reply.headers.emplace_back("Retry-After", std::to_string(error.retry_after));
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

HttpReply page() {
  std::random_device device;
  const std::string nonce = fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
  HttpReply reply;
  reply.content_type = "text/html; charset=utf-8";
  reply.body = chat_page();
  static constexpr std::string_view kPlace = "{{nonce}}";
  for (std::size_t at = 0; (at = reply.body.find(kPlace, at)) != std::string::npos;) {
    reply.body.replace(at, kPlace.size(), nonce);
  }
  reply.headers.emplace_back(
      "Content-Security-Policy",
      fmt::format("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
                  "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                  nonce));
  reply.headers.emplace_back("Referrer-Policy", "no-referrer");
  return reply;
}

}  // namespace

Api::Api(const ServedModels& models, Dispatcher& dispatcher, Metrics& metrics, ApiOptions options)
    : models_(models),
      dispatcher_(dispatcher),
      metrics_(metrics),
      options_(std::move(options)),
      started_(std::time(nullptr)) {}

HttpReply Api::transport_error(int status, const std::string& message) {
  metrics_.count_request("none", status);
  HttpReply reply = reply_of(ApiError(status, message, "", "", status == 503 ? 1 : 0));
  reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return reply;
}

// A page of some other site must not reach a server on this machine through a name that it points here itself.
bool Api::is_own_host(const std::string& host) const {
  if (options_.host != "localhost" && options_.host != "127.0.0.1" && options_.host != "::1") return true;
  std::string name = host;
  if (const std::size_t colon = name.rfind(':'); colon != std::string::npos && !name.ends_with(']')) name.resize(colon);
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name.empty();
}

void Api::check_head(const HttpRequest& head) const {
  if (!is_own_host(head.header("Host"))) throw ApiError(403, "the Host header names another server");
  const Route* const route = route_of(head.path);
  if (route == nullptr)
    throw ApiError(404, fmt::format("there is nothing at {}", to_json_line(head.path.substr(0, 200))));
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.method == "OPTIONS" || (reads ? "GET" : head.method) != std::string_view(route->method)) {
    throw ApiError(405, fmt::format("{} takes {} only", route->path, route->method));
  }
  if (!route->open && !options_.key.empty()) {
    const std::string given = head.header("Authorization");
    static constexpr std::string_view kBearer = "Bearer ";
    if (!given.starts_with(kBearer) || !same_key(given.substr(kBearer.size()), options_.key)) {
      throw ApiError(401, "a valid key is needed: Authorization: Bearer KEY", "", "invalid_api_key");
    }
  }
  if (head.method == "POST" && !is_json(head.header("Content-Type"))) {
    throw ApiError(415, "the request must have Content-Type: application/json");
  }
}

std::optional<HttpReply> Api::refuse(const HttpRequest& head) {
  const bool preflight = head.method == "OPTIONS" && !options_.cors_origin.empty() &&
                         head.header("Origin") == options_.cors_origin && route_of(head.path) != nullptr;
  if (preflight) {
    HttpReply reply;
    reply.status = 204;
    reply.headers = {{"Access-Control-Allow-Methods", "GET, POST"},
                     {"Access-Control-Allow-Headers", "authorization, content-type"},
                     {"Access-Control-Max-Age", "600"}};
    return finished(std::move(reply), head);
  }
  try {
    check_head(head);
    return std::nullopt;
  } catch (const ApiError& error) {
    return finished(reply_of(error), head);
  }
}

HttpReply Api::answer(const HttpRequest& request) {
  HttpReply reply;
  try {
    reply = route(request);
  } catch (const ApiError& error) {
    reply = reply_of(error);
  } catch (const UserError& error) {
    reply = reply_of(ApiError(400, error.what()));
  }
  return finished(std::move(reply), request);
}

HttpReply Api::finished(HttpReply reply, const HttpRequest& request) const {
  const Route* const route = route_of(request.path);
  metrics_.count_request(route == nullptr ? "none" : route->path, reply.status);
  reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
  reply.headers.emplace_back("Cache-Control", "no-store");
  if (!options_.cors_origin.empty() && request.header("Origin") == options_.cors_origin) {
    reply.headers.emplace_back("Access-Control-Allow-Origin", options_.cors_origin);
    reply.headers.emplace_back("Vary", "Origin");
  }
  return reply;
}

HttpReply Api::route(const HttpRequest& request) {
  HttpReply reply;
  const auto model_json = [&](const std::string& name) -> Json {
    return {{"id", name},
            {"object", "model"},
            {"created", started_},
            {"owned_by", "attune"},
            {"max_model_len", options_.context}};  // as vLLM says it
  };
  if (request.path == "/") return page();
  if (request.path == "/health") {
    reply.body = R"({"status":"ok"})";
  } else if (request.path == "/metrics") {
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply.body = metrics_.text();
  } else if (request.path == "/v1/models") {
    Json list = Json::array();
    for (const std::string& name : models_.names()) list.push_back(model_json(name));
    reply.body = to_json_line({{"object", "list"}, {"data", std::move(list)}});
  } else if (request.path.starts_with(kModelPath)) {
    const std::string name = request.path.substr(kModelPath.size());
    models_.adapter_of(name);
    reply.body = to_json_line(model_json(name));
  } else {
    return complete(request, request.path == "/v1/chat/completions");
  }
  return reply;
}

}  // namespace attune
