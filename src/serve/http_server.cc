#include "serve/http_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "serve/connection.h"

namespace attune {
namespace {

// What belongs to the request that a connection's thread is handling. cpp-httplib matches paths with regular
// expressions and lets headers decide about compression: so it sees the path "/" and no such header.
struct Exchange {
  Connection* connection;
  HttpRequest request;
  std::optional<HttpReply> refused;
  std::size_t declared_bytes = 0;
  bool examined = false;  // the header was read to its end
};
thread_local Exchange* current = nullptr;
thread_local bool overloaded = false;  // this connection is one too many

// A thread per connection. One too many is handled by the accepting thread, which turns it away.
class Threads : public httplib::TaskQueue {
 public:
  explicit Threads(std::size_t most) : most_(most) {}

  void enqueue(std::function<void()> task) override {
    {
      std::unique_lock lock(mutex_);
      if (running_ >= most_) {
        lock.unlock();
        overloaded = true;
        task();
        overloaded = false;
        return;
      }
      ++running_;
    }
    try {
      std::thread([this, task] {
        task();
        const std::lock_guard lock(mutex_);
        --running_;
        ended_.notify_all();
      }).detach();
    } catch (const std::system_error&) {  // the system has no more threads
      {
        const std::lock_guard lock(mutex_);
        --running_;
      }
      overloaded = true;
      task();
      overloaded = false;
    }
  }

  void shutdown() override {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;
};

void send(const HttpReply& reply, httplib::Response& response) {
  response.status = reply.status;
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
  if (!reply.stream) {
    response.set_content(reply.body, reply.content_type);
    return;
  }
  response.set_chunked_content_provider(
      reply.content_type, [stream = reply.stream](std::size_t, httplib::DataSink& sink) {
        bool open = true;
        stream([&](std::string_view bytes) { return open = open && sink.write(bytes.data(), bytes.size()); });
        if (open) sink.done();
        return open;
      });
}

}  // namespace

class HttpServer::Listener : private httplib::Server {
 public:
  Listener(const std::string& host, int port, const HttpLimits& limits, HttpHandler& handler)
      : limits_(limits), handler_(handler) {
    set_tcp_nodelay(true);
    // Not httplib's default, with which two servers may share a port.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    new_task_queue = [this] { return new Threads(limits_.connections); };
    set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
      if (!current->refused) return HandlerResponse::Unhandled;
      send(*current->refused, response);
      return HandlerResponse::Handled;
    });
    Get("/", [this](const httplib::Request&, httplib::Response& response) { answer(response); });
    Post("/", [this](const httplib::Request&, httplib::Response& response, const httplib::ContentReader& read) {
      std::string& body = current->request.body;
      bool large = false;
      const bool whole = read([&](const char* data, std::size_t size) {
        large = body.size() + size > limits_.body_bytes;
        if (!large) body.append(data, size);
        return !large;
      });
      // A body that ends early is no request, even if what came of it looks like one.
      if (!whole || body.size() < current->declared_bytes) {
        large = large || current->connection->out_of_bytes();
        const bool slow = current->connection->out_of_time();
        send(large  ? too_large()
             : slow ? handler_.transport_error(408, "the body of the request did not arrive in time")
                    : handler_.transport_error(400, "the body of the request is incomplete"),
             response);
        response.set_header("Connection", "close");
        current->refused.emplace();  // the connection is not used again
        return;
      }
      answer(response);
    });
    set_error_handler([this](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      if (current->connection->out_of_bytes()) response.status = 431;
      if (current->connection->out_of_time()) response.status = 408;
      const HttpReply reply =
          handler_.transport_error(response.status, "this is no HTTP request the server understands");
      response.set_content(reply.body, reply.content_type);
    });
    bind(host, port);
  }

  int port() const { return port_; }

  void start() {
    thread_ = std::thread([this] { listen_after_bind(); });
  }

  void stop() {
    stopping_ = true;
    if (!thread_.joinable()) {
      if (const socket_t socket = svr_sock_.exchange(INVALID_SOCKET); socket != INVALID_SOCKET) ::close(socket);
      return;
    }
    // Server::stop() does nothing before the accepting thread has begun.
    while (!is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Server::stop();
    thread_.join();
  }

 private:
  void bind(const std::string& host, int port) {
    errno = 0;
    port_ = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
    if (port_ < 0) {
      if (errno == EADDRINUSE) {
        throw UserError("[--port] {} is taken on {}; choose another one or stop the program that has it", port, host);
      }
      if (errno == EACCES) throw UserError("[--port] {} is for the administrator only; choose one above 1023", port);
      throw UserError("[--host] cannot listen on {} port {}: {}", host, port,
                      errno != 0 ? std::strerror(errno) : "there is no such address");
    }
    ::listen(svr_sock_, 512);  // httplib's own backlog is 5
  }

  HttpReply too_large() const {
    return handler_.transport_error(413,
                                    fmt::format("the body of the request is larger than {} bytes", limits_.body_bytes));
  }

  void answer(httplib::Response& response) const {
    try {
      send(handler_.answer(current->request), response);
    } catch (const std::exception& error) {
      send(handler_.transport_error(500, error.what()), response);
    }
  }

  // Called by httplib when the header has been read, before anything is done about it.
  void examine(httplib::Request& request, Exchange& exchange) const {
    exchange.examined = true;
    exchange.request.method = request.method;
    exchange.request.path = request.path;
    // Names of headers may come twice; the first one counts, and for the length there must not be two.
    exchange.request.header = [headers = request.headers](const char* name) {
      const auto found = headers.find(name);
      return found == headers.end() ? std::string() : found->second;
    };
    request.path = "/";
    exchange.refused = judge(request, exchange);
    if (exchange.refused) {
      request.headers.erase("Connection");
      request.headers.emplace("Connection", "close");
    }
    request.headers.erase("Accept-Encoding");
    request.headers.erase("Range");
    request.ranges.clear();
    const std::size_t room = limits_.body_bytes + limits_.header_bytes;  // chunks have headers of their own
    exchange.connection->allow(room, limits_.body_time);
  }

  std::optional<HttpReply> judge(const httplib::Request& request, Exchange& exchange) const {
    const auto error = [&](int status, const char* message) { return handler_.transport_error(status, message); };
    if (request.method != "GET" && request.method != "HEAD" && request.method != "POST" &&
        request.method != "OPTIONS") {
      return error(405, "only GET, HEAD, POST and OPTIONS are understood");
    }
    if (request.headers.count("Content-Length") > 1 || request.headers.count("Transfer-Encoding") > 1) {
      return error(400, "the header gives the length of the body twice");
    }
    const std::string length = exchange.request.header("Content-Length");
    if (!length.empty()) {
      const auto [end, status] = std::from_chars(length.data(), length.data() + length.size(), exchange.declared_bytes);
      if (status == std::errc::result_out_of_range) return too_large();
      if (status != std::errc() || end != length.data() + length.size()) {
        return error(400, "Content-Length must be a number");
      }
      if (!exchange.request.header("Transfer-Encoding").empty()) {
        return error(400, "the header gives the length of the body twice");
      }
      if (exchange.declared_bytes > limits_.body_bytes) return too_large();
    } else if (request.method == "POST" && exchange.request.header("Transfer-Encoding").empty()) {
      return error(411, "a POST needs Content-Length or chunks");
    }
    if (request.method != "POST" &&
        (exchange.declared_bytes > 0 || !exchange.request.header("Transfer-Encoding").empty())) {
      return error(400, "only a POST has a body");
    }
    if (!exchange.request.header("Content-Encoding").empty()) return error(415, "compressed requests are not accepted");
    try {
      return handler_.refuse(exchange.request);
    } catch (const std::exception& failure) {
      return error(500, failure.what());
    }
  }

  static void write_raw(Connection& connection, const HttpReply& reply) {
    std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
                                   reply.status, "Refused", reply.content_type, reply.body.size());
    for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
    text += "\r\n" + reply.body;
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = connection.write(text.data() + done, text.size() - done);
      if (count <= 0) return;
      done += static_cast<std::size_t>(count);
    }
  }

  bool process_and_close_socket(socket_t socket) override {
    Connection connection(socket, overloaded ? std::chrono::milliseconds(0) : limits_.write_time);
    if (overloaded) {
      write_raw(connection, handler_.transport_error(503, "too many connections; try again in a moment"));
      return true;
    }
    bool close = false;
    for (int requests = 0; !close; ++requests) {
      if (!connection.wait_for_request(limits_.idle_time, stopping_)) break;
      connection.allow(limits_.header_bytes, limits_.header_time);
      Exchange exchange{.connection = &connection, .request = {}, .refused = {}};
      exchange.request.connected = [&connection] { return connection.connected(); };
      current = &exchange;
      const bool answered =
          process_request(connection, stopping_, close, [&](httplib::Request& request) { examine(request, exchange); });
      current = nullptr;
      if (!connection.wrote()) {
        if (connection.out_of_bytes()) {
          write_raw(connection, handler_.transport_error(431, "the header of the request is too large"));
        } else if (connection.out_of_time()) {
          write_raw(connection, handler_.transport_error(408, "the request did not arrive in time"));
        }
      }
      close = close || !answered || !exchange.examined || exchange.refused || stopping_;
    }
    connection.linger();
    return true;
  }

  const HttpLimits limits_;
  HttpHandler& handler_;
  int port_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

HttpServer::HttpServer(const std::string& host, int port, const HttpLimits& limits, HttpHandler& handler)
    : listener_(std::make_unique<Listener>(host, port, limits, handler)) {}

HttpServer::~HttpServer() { stop(); }

int HttpServer::port() const { return listener_->port(); }

void HttpServer::start() { listener_->start(); }

void HttpServer::stop() { listener_->stop(); }

}  // namespace attune
