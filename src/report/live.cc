#include "report/live.h"

#include <httplib.h>

#include <thread>

#include "base/error.h"
#include "report/report.h"

namespace attune {
namespace {

constexpr const char* kWaiting =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">"
    "<title>attune</title></head><body><main><p>The run has not begun yet.</p></main></body></html>\n";

}  // namespace

struct LiveReport::Server {
  httplib::Server http;
  std::string url;
  std::thread thread;
};

LiveReport::LiveReport(fs::path run_folder, int port) : server_(std::make_unique<Server>()) {
  server_->http.Get(
      "/", [folder = std::move(run_folder)](const httplib::Request& request, httplib::Response& response) {
        // A page of another site that resolves to this address must not read the run (DNS rebinding).
        const std::string host = request.get_header_value("Host");
        const std::string_view name = std::string_view(host).substr(0, host.find(':'));
        if (name != "127.0.0.1" && name != "localhost") {
          response.status = 403;
          return;
        }
        response.set_header("Cache-Control", "no-store");
        response.set_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
        try {
          response.set_content(html_report(read_run_record(folder)), "text/html; charset=utf-8");
        } catch (const UserError&) {  // the folder is not there yet, or run.json is being replaced
          response.set_content(kWaiting, "text/html; charset=utf-8");
        }
      });
  if (port == 0) {
    port = server_->http.bind_to_any_port("127.0.0.1");
  } else if (!server_->http.bind_to_port("127.0.0.1", port)) {
    port = -1;
  }
  if (port < 0) throw UserError("[--open] the port is taken; choose another one");
  server_->url = fmt::format("http://127.0.0.1:{}/", port);
  server_->thread = std::thread([server = server_.get()] { server->http.listen_after_bind(); });
}

LiveReport::~LiveReport() {
  server_->http.stop();
  server_->thread.join();
}

const std::string& LiveReport::url() const { return server_->url; }

}  // namespace attune
