// http/: exchanges with a server that answers from a script, faults included.
#include "http/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "http/retry.h"
#include "http/scripted_server.h"

namespace attune {
namespace {

using Fault = ScriptedAnswer::Fault;

Request get(const std::string& url) {
  Request request;
  request.url = url;
  return request;
}

RetryPolicy quick() {
  RetryPolicy policy;
  policy.first_wait = 0.01;
  return policy;
}

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Client, GetsStatusHeadersAndBody) {
  const ScriptedServer server({{404, {{"X-Error-Code", "RepoNotFound"}}, "no such thing", Fault::kNone}});
  HttpClient client;
  Request request = get(server.url("/a?b=c"));
  request.headers.add("Accept", "application/json");
  request.headers.add("X-Empty", "");
  request.authorization = Secret("Bearer planted");
  const Response response = client.send(request);
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.get("x-error-code"), "RepoNotFound");
  EXPECT_EQ(response.body, "no such thing");
  const SeenRequest seen = server.seen().at(0);
  EXPECT_EQ(seen.target, "/a?b=c");
  EXPECT_NE(seen.head.find("Accept: application/json"), std::string::npos);
  EXPECT_NE(seen.head.find("X-Empty:"), std::string::npos);
  EXPECT_NE(seen.head.find("Authorization: Bearer planted"), std::string::npos);
  EXPECT_NE(seen.head.find("User-Agent: attune/"), std::string::npos);
}

TEST(Client, SendsTextAndSlicesOfFilesWithTheirLength) {
  const ScriptedServer server({ScriptedAnswer{}});
  HttpClient client;
  Request request = get(server.url());
  request.method = "POST";
  request.body = std::string("hello");
  client.send(request);
  const fs::path file = fs::temp_directory_path() / fmt::format("attune_http_test_{}", ::getpid());
  write_file_atomic(file, "0123456789");
  request.method = "PUT";
  request.body = FileSlice{file, 2, 5};
  std::uint64_t sent = 0;
  request.on_sent = [&](std::uint64_t bytes) { sent = bytes; };
  client.send(request);
  EXPECT_EQ(sent, 5u);
  request.body = FileSlice{file, 8, 5};
  EXPECT_NE(message_of([&] { client.send(request); }).find("became shorter"), std::string::npos);
  fs::remove(file);
  request.method = "DELETE";
  request.body = std::monostate();
  client.send(request);
  const auto seen = server.seen();
  EXPECT_EQ(seen[0].method + " " + seen[0].body, "POST hello");
  EXPECT_EQ(seen[1].method + " " + seen[1].body, "PUT 23456");
  EXPECT_NE(seen[1].head.find("Content-Length: 5"), std::string::npos);
  EXPECT_EQ(seen[1].head.find("Expect"), std::string::npos);
  EXPECT_EQ(seen.back().method, "DELETE");
}

TEST(Client, HeadHasNoBody) {
  const ScriptedServer server({{200, {{"ETag", "\"x\""}}, "body", Fault::kNone}});
  HttpClient client;
  Request request = get(server.url());
  request.method = "HEAD";
  const Response response = client.send(request);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.headers.get("Content-Length"), "4");
}

TEST(Client, FaultsOfTheConnectionAreToldApart) {
  using Kind = TransportError::Kind;
  const auto kind = [](Fault fault, double total_seconds) {
    const ScriptedServer server({{200, {}, "some body", fault}});
    HttpClient client;
    Request request = get(server.url("/x?signature=planted"));
    request.total_seconds = total_seconds;
    try {
      client.send(request);
    } catch (const TransportError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("[GET http://127.0.0.1:")) << error.what();
      EXPECT_EQ(std::string(error.what()).find("planted"), std::string::npos);
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return Kind::kRefused;
  };
  EXPECT_EQ(kind(Fault::kCutBody, 0), Kind::kCut);
  EXPECT_EQ(kind(Fault::kCloseAtOnce, 0), Kind::kCut);
  EXPECT_EQ(kind(Fault::kHang, 0.2), Kind::kTimeout);
  std::string gone;
  { gone = ScriptedServer({ScriptedAnswer{}}).url(); }
  HttpClient client;
  try {
    client.send(get(gone));
    FAIL();
  } catch (const TransportError& error) {
    EXPECT_EQ(error.kind(), Kind::kUnreachable);
  }
}

TEST(Client, AStalledServerIsLeftASlowOneIsNot) {
  HttpClient client;
  const ScriptedServer hanging({{200, {}, "x", Fault::kHang}});
  Request request = get(hanging.url());
  request.stall_seconds = 1;
  EXPECT_THROW(client.send(request), TransportError);
  const ScriptedServer slow({{200, {}, std::string(60, 'x'), Fault::kSlow}});
  request.url = slow.url();
  EXPECT_EQ(client.send(request).body.size(), 60u);
}

TEST(Client, StreamsToASinkOnlyWhatSucceeded) {
  const ScriptedServer server({{500, {}, "trouble", Fault::kNone}, {206, {}, "0123", Fault::kNone}});
  HttpClient client;
  Request request = get(server.url());
  std::string got;
  int status = 0;
  request.sink = [&](std::string_view bytes) { got += bytes; };
  request.on_status = [&](int s, const Headers&) { status = s; };
  EXPECT_EQ(client.send(request).body, "trouble");
  EXPECT_EQ(status, 0);
  EXPECT_EQ(client.send(request).body, "");
  EXPECT_EQ(got, "0123");
  EXPECT_EQ(status, 206);
  request.sink = [](std::string_view) { throw UserError("[disk] full"); };
  EXPECT_EQ(message_of([&] { client.send(request); }), "[disk] full");
}

TEST(Client, RefusesAnAnswerThatNeverEnds) {
  const ScriptedServer server({{200, {}, std::string(2000, 'x'), Fault::kNone}});
  HttpClient client;
  Request request = get(server.url());
  request.max_body_bytes = 1000;
  EXPECT_NE(message_of([&] { client.send(request); }).find("more than 1000 bytes"), std::string::npos);
}

TEST(Redirects, AuthorizationStaysAtHome) {
  const ScriptedServer storage({{200, {}, "bytes", Fault::kNone}});
  const ScriptedServer home({{307, {{"Location", "/renamed"}}, "", Fault::kNone},
                             {302, {{"Location", storage.url("/blob")}}, "", Fault::kNone}});
  HttpClient client;
  Request request = get(home.url("/first"));
  request.authorization = Secret("Bearer planted");
  request.redirects = Redirects::kFollow;
  const Response response = client.send(request);
  EXPECT_EQ(response.body, "bytes");
  EXPECT_EQ(response.url, storage.url("/blob"));
  EXPECT_EQ(home.seen().at(1).target, "/renamed");
  EXPECT_NE(home.seen().at(1).head.find("planted"), std::string::npos);
  EXPECT_EQ(storage.seen().at(0).head.find("Authorization"), std::string::npos);
}

TEST(Redirects, Policies) {
  const auto status = [](Redirects redirects, const std::string& location) {
    const ScriptedServer server({{302, {{"Location", location}}, "", Fault::kNone}, {}});
    HttpClient client;
    Request request = get(server.url());
    request.redirects = redirects;
    return client.send(request).status;
  };
  EXPECT_EQ(status(Redirects::kNever, "/a"), 302);
  EXPECT_EQ(status(Redirects::kRelativeOnly, "/a"), 200);
  EXPECT_EQ(status(Redirects::kRelativeOnly, "http://127.0.0.1:1/a"), 302);
  EXPECT_NE(message_of([&] { status(Redirects::kFollow, "file:///etc/passwd"); }).find("no web address"),
            std::string::npos);
  const ScriptedServer loop({{302, {{"Location", "/a"}}, "", Fault::kNone}});
  HttpClient client;
  Request request = get(loop.url());
  request.redirects = Redirects::kFollow;
  EXPECT_NE(message_of([&] { client.send(request); }).find("redirects without end"), std::string::npos);
}

TEST(Retry, PassesOverFaultsAndSendsTheBodyAgain) {
  const ScriptedServer server({{503, {}, "", Fault::kNone},
                               {200, {}, "", Fault::kCloseAtOnce},
                               {200, {}, "xy", Fault::kCutBody},
                               {200, {}, "done", Fault::kNone}});
  HttpClient client;
  Request request = get(server.url());
  request.method = "PUT";
  request.body = std::string("payload");
  int waits = 0;
  RetryPolicy policy = quick();
  policy.on_wait = [&](const std::string&, double) { ++waits; };
  EXPECT_EQ(send_with_retry(client, request, policy).body, "done");
  EXPECT_EQ(waits, 3);
  for (const SeenRequest& seen : server.seen()) EXPECT_EQ(seen.body, "payload");
}

TEST(Retry, WaitsDoubleUpToTheCapOrAsTheServerAsks) {
  const ScriptedServer server({{500, {}, "", Fault::kNone},
                               {500, {}, "", Fault::kNone},
                               {500, {}, "", Fault::kNone},
                               {429, {{"Retry-After", "0"}}, "", Fault::kNone},
                               {500, {}, "", Fault::kNone}});
  HttpClient client;
  RetryPolicy policy = quick();
  policy.longest_wait = 0.03;
  std::vector<double> waits;
  policy.on_wait = [&](const std::string&, double seconds) { waits.push_back(seconds); };
  EXPECT_EQ(send_with_retry(client, get(server.url()), policy).status, 500);
  EXPECT_EQ(waits, (std::vector<double>{0.01, 0.02, 0.03, 0, 0.03}));
  EXPECT_EQ(server.seen().size(), 6u);
}

TEST(Retry, DoesNotRepeatWhatWillNotChange) {
  const ScriptedServer server({{403, {}, "", Fault::kNone}, {429, {{"Retry-After", "9999"}}, "", Fault::kNone}});
  HttpClient client;
  EXPECT_EQ(send_with_retry(client, get(server.url()), quick()).status, 403);
  EXPECT_EQ(send_with_retry(client, get(server.url()), quick()).status, 429);
  EXPECT_EQ(server.seen().size(), 2u);
}

TEST(Retry, LeavesAHalfStreamedBodyToTheCaller) {
  const ScriptedServer server({{200, {}, "0123456789", Fault::kCutBody}});
  HttpClient client;
  Request request = get(server.url());
  std::string got;
  request.sink = [&](std::string_view bytes) { got += bytes; };
  EXPECT_THROW(send_with_retry(client, request, quick()), TransportError);
  EXPECT_EQ(got, "01234");
  EXPECT_EQ(server.seen().size(), 1u);
}

TEST(Cancel, EndsATransferAndAWait) {
  const ScriptedServer server({{200, {}, "x", Fault::kHang}, {503, {}, "", Fault::kNone}});
  bool stop = true;
  HttpOptions options;
  options.cancelled = [&] { return stop; };
  HttpClient client(options);
  EXPECT_THROW(client.send(get(server.url())), Interrupted);
  EXPECT_THROW(wait_unless_cancelled(client, 1000), Interrupted);
  stop = false;
  EXPECT_NO_THROW(wait_unless_cancelled(client, 0));
}

TEST(Offline, NothingIsSent) {
  const ScriptedServer server({ScriptedAnswer{}});
  ::setenv("ATTUNE_TEST_OFFLINE", "yes", 1);
  ::setenv("ATTUNE_TEST_ONLINE", "0", 1);
  EXPECT_EQ(offline_switch({"ATTUNE_TEST_UNSET", "ATTUNE_TEST_ONLINE"}), "");
  HttpOptions options;
  options.offline_because = offline_switch({"ATTUNE_TEST_ONLINE", "ATTUNE_TEST_OFFLINE"});
  HttpClient client(options);
  EXPECT_NE(message_of([&] { client.send(get(server.url())); }).find("while ATTUNE_TEST_OFFLINE is set"),
            std::string::npos);
  EXPECT_TRUE(server.seen().empty());
}

}  // namespace
}  // namespace attune
