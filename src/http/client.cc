#include "http/client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "base/freed.h"
#include "http/url.h"

namespace attune {
namespace {

constexpr int kMostRedirects = 10;

// curl_global_init is not safe while other threads run curl, so it happens once, on first use.
void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw InternalError("[http] libcurl does not start: {}", curl_easy_strerror(started));
}

using HeaderList = std::unique_ptr<curl_slist, FreedBy<curl_slist_free_all>>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

// The bytes of a request's body, from memory or from a file, from any position again.
class BodyReader {
 public:
  explicit BodyReader(const RequestBody& body) {
    if (const auto* const text = std::get_if<std::string>(&body)) {
      text_ = *text;
      length_ = text_.size();
    } else if (const auto* const slice = std::get_if<FileSlice>(&body)) {
      slice_ = slice;
      length_ = slice->length;
      fd_ = ::open(slice->path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd_ < 0) throw UserError("[{}] cannot be opened: {}", slice->path.string(), std::strerror(errno));
    }
  }
  ~BodyReader() {
    if (fd_ >= 0) ::close(fd_);
  }
  BodyReader(const BodyReader&) = delete;
  BodyReader& operator=(const BodyReader&) = delete;

  std::uint64_t length() const { return length_; }
  std::uint64_t position() const { return position_; }
  void seek(std::uint64_t position) { position_ = std::min(position, length_); }

  std::size_t read(char* to, std::size_t most) {
    most = static_cast<std::size_t>(std::min<std::uint64_t>(most, length_ - position_));
    if (most == 0) return 0;
    if (slice_ == nullptr) {
      std::memcpy(to, text_.data() + position_, most);
    } else {
      ssize_t got = 0;
      do {
        got = ::pread(fd_, to, most, static_cast<off_t>(slice_->offset + position_));
      } while (got < 0 && errno == EINTR);
      if (got < 0) throw UserError("[{}] cannot be read: {}", slice_->path.string(), std::strerror(errno));
      if (got == 0) throw UserError("[{}] became shorter while it was sent", slice_->path.string());
      most = static_cast<std::size_t>(got);
    }
    position_ += most;
    return most;
  }

 private:
  std::string_view text_;
  const FileSlice* slice_ = nullptr;
  std::uint64_t length_ = 0, position_ = 0;
  int fd_ = -1;
};

// What libcurl's callbacks work on. They may not throw through C, so an exception waits here until the exchange is over.
struct Exchange {
  const Request& request;
  const HttpOptions& options;
  BodyReader body;
  Response response;
  std::uint64_t received = 0;
  bool status_told = false, cancelled = false;
  std::exception_ptr failure;

  bool streams() const { return request.sink && response.ok(); }

  void tell_status() {
    if (request.on_status && response.ok() && !status_told) request.on_status(response.status, response.headers);
    status_told = true;
  }

  template <typename Action>
  bool guarded(const Action& action) {
    try {
      action();
      return true;
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
  }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  std::string_view line(data, size * count);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  const bool kept = exchange.guarded([&] {
    if (line.starts_with("HTTP/")) {  // again after "100 Continue"
      exchange.response.headers = {};
      const std::size_t space = line.find(' ');
      exchange.response.status =
          space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
      return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    exchange.response.headers.add(std::string(line.substr(0, colon)), std::string(value));
  });
  return kept ? size * count : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const std::string_view bytes(data, size * count);
  const bool kept = exchange.guarded([&] {
    if (exchange.streams()) {
      exchange.tell_status();
      exchange.request.sink(bytes);
      return;
    }
    exchange.received += bytes.size();
    if (exchange.received > exchange.request.max_body_bytes) {
      throw UserError("[{}] the answer has more than {} bytes, which is not what was asked for",
                      shown_url(exchange.response.url), exchange.request.max_body_bytes);
    }
    exchange.response.body += bytes;
  });
  return kept ? bytes.size() : 0;
}

std::size_t on_read(char* to, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  std::size_t given = 0;
  const bool kept = exchange.guarded([&] {
    given = exchange.body.read(to, size * count);
    if (exchange.request.on_sent) exchange.request.on_sent(exchange.body.position());
  });
  return kept ? given : CURL_READFUNC_ABORT;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(user)->body.seek(static_cast<std::uint64_t>(offset));
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  exchange.cancelled = exchange.options.cancelled && exchange.options.cancelled();
  return exchange.cancelled ? 1 : 0;
}

TransportError::Kind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return TransportError::Kind::kUnreachable;
    case CURLE_OPERATION_TIMEDOUT:
      return TransportError::Kind::kTimeout;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return TransportError::Kind::kRefused;
    default:
      return TransportError::Kind::kCut;
  }
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::string offline_switch(std::initializer_list<const char*> variables) {
  for (const char* const name : variables) {
    const char* const value = std::getenv(name);
    if (value == nullptr) continue;
    std::string text = value;
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!text.empty() && text != "0" && text != "false" && text != "no" && text != "off") return name;
  }
  return {};
}

struct HttpClient::State {
  CURL* const curl;  // keeps connections; its options are reset for every exchange

  State() : curl((start_curl(), curl_easy_init())) {
    if (curl == nullptr) throw InternalError("[http] libcurl does not start");
  }
  ~State() { curl_easy_cleanup(curl); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // One exchange with `url`, redirects not followed.
  Response exchange(const Request& request, const std::string& url, bool with_authorization,
                    const HttpOptions& options);
};

Response HttpClient::State::exchange(const Request& request, const std::string& url, bool with_authorization,
                                     const HttpOptions& options) {
  Exchange exchange{request, options, BodyReader(request.body), {}, 0, false, false, nullptr};
  exchange.response.url = url;
  HeaderList lines;
  append(lines, "Expect:");  // the body follows at once
  for (const auto& [name, value] : request.headers.fields()) {
    // libcurl drops "Name:" and sends an empty field for "Name;".
    append(lines, value.empty() ? name + ";" : name + ": " + value);
  }
  if (with_authorization && !request.authorization.empty()) {
    append(lines, "Authorization: " + request.authorization.reveal());
  }
  char reason[CURL_ERROR_SIZE] = "";
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  curl_easy_reset(curl);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_HTTPHEADER, lines.get());
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_ERRORBUFFER, reason);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FRESH_CONNECT, request.never_twice ? 1L : 0L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_seconds * 1000));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_seconds * 1000));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_seconds));
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET" || !std::holds_alternative<std::monostate>(request.body)) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.body.length()));
    set(CURLOPT_READFUNCTION, on_read);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, on_seek);
    set(CURLOPT_SEEKDATA, &exchange);
  }
  const CURLcode code = curl_easy_perform(curl);
  if (exchange.failure) std::rethrow_exception(exchange.failure);
  const std::string where = request.method + " " + shown_url(url);
  if (exchange.cancelled) throw Interrupted("[{}] stopped by you", where);
  if (code != CURLE_OK)
    throw TransportError(kind_of(code), fmt::format("[{}] {}", where, reason[0] ? reason : curl_easy_strerror(code)));
  exchange.tell_status();
  return std::move(exchange.response);
}

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)), state_(std::make_unique<State>()) {}
HttpClient::~HttpClient() = default;

Response HttpClient::send(const Request& request) {
  if (!options_.offline_because.empty()) {
    throw UserError("[{}] nothing is sent while {} is set; unset it to go online", shown_url(request.url),
                    options_.offline_because);
  }
  const auto home = origin_of(request.url);
  if (!home) throw UserError("[{}] expected a URL that begins with http:// or https://", shown_url(request.url));
  Request step = request;
  bool with_authorization = true;
  for (int hops = 0;; ++hops) {
    Response response = state_->exchange(step, step.url, with_authorization, options_);
    const auto location = response.headers.get("Location");
    if (!is_redirect(response.status) || !location || request.redirects == Redirects::kNever) return response;
    if (request.redirects == Redirects::kRelativeOnly && !is_relative_url(*location)) return response;
    const auto next = join_url(step.url, *location);
    if (!next || hops == kMostRedirects) {
      throw UserError("[{}] {}", shown_url(request.url),
                      next ? "redirects without end" : "redirects to what is no web address");
    }
    if (step.url.starts_with("https:") && next->starts_with("http:")) {
      throw UserError("[{}] redirects from https to http, which is refused", shown_url(request.url));
    }
    with_authorization = with_authorization && origin_of(*next) == home;  // once lost, never sent again
    // As browsers do: only 307 and 308 repeat a request that carries something.
    if (response.status <= 303 && step.method != "GET" && step.method != "HEAD") {
      step.method = "GET";
      step.body = std::monostate();
    }
    step.url = *next;
  }
}

}  // namespace attune
