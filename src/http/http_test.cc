// http/: what needs no connection: headers, URLs, secrets, the structured fields.
#include <gtest/gtest.h>

#include <sstream>

#include "http/header_fields.h"
#include "http/message.h"
#include "http/url.h"

namespace attune {
namespace {

TEST(Secret, IsNotPrintedByAnything) {
  const Secret secret("hf_planted");
  std::ostringstream stream;
  stream << secret;
  EXPECT_EQ(fmt::format("{}", secret), "[secret]");
  EXPECT_EQ(stream.str(), "[secret]");
  EXPECT_EQ(testing::PrintToString(secret), "[secret]");
  EXPECT_EQ(secret.reveal(), "hf_planted");
}

TEST(Headers, NamesCompareWithoutCase) {
  const Headers headers{{"Content-Type", "a"}, {"ETAG", "\"x\""}};
  EXPECT_EQ(headers.get("etag"), "\"x\"");
  EXPECT_EQ(headers.get("content-type"), "a");
  EXPECT_EQ(headers.get("ETagX"), std::nullopt);
}

TEST(Url, Encoding) {
  EXPECT_EQ(percent_encode("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(percent_encode("a b/ő.txt", "/"), "a%20b/%C5%91.txt");
}

TEST(Url, OriginKnowsDefaultPortsAndCase) {
  EXPECT_EQ(origin_of("https://Hub.example/a?b"), "https://hub.example:443");
  EXPECT_EQ(origin_of("https://hub.example:443/"), origin_of("https://HUB.example"));
  EXPECT_NE(origin_of("http://hub.example:8080"), origin_of("http://hub.example"));
  EXPECT_EQ(origin_of("file:///etc/passwd"), std::nullopt);
  EXPECT_EQ(origin_of("hub.example"), std::nullopt);
}

TEST(Url, JoinRefusesWhatIsNotTheWeb) {
  EXPECT_EQ(join_url("https://h.example/a/b", "/c?d=1"), "https://h.example/c?d=1");
  EXPECT_EQ(join_url("https://h.example/a/b", "c"), "https://h.example/a/c");
  EXPECT_EQ(join_url("https://h.example/a", "https://other.example/x"), "https://other.example/x");
  EXPECT_EQ(join_url("https://h.example/a", "file:///etc/passwd"), std::nullopt);
}

TEST(Url, ShownWithoutWhatMayBeSecret) {
  EXPECT_EQ(shown_url("https://me:pw@h.example/a/b?X-Amz-Signature=abc#f"), "https://h.example/a/b");
}

TEST(Url, RelativeNamesNoHost) {
  EXPECT_TRUE(is_relative_url("/a/b"));
  EXPECT_TRUE(is_relative_url("a?x=http://b"));
  EXPECT_FALSE(is_relative_url("//host/a"));
  EXPECT_FALSE(is_relative_url("https://host/a"));
}

TEST(Link, Next) {
  EXPECT_EQ(next_link(R"(<https://h/api?cursor=a,b>; rel="next")"), "https://h/api?cursor=a,b");
  EXPECT_EQ(next_link(R"(</first>; rel="first", </second>; title="x, y"; rel=next)"), "/second");
  EXPECT_EQ(next_link(R"(</a>; rel="prev")"), std::nullopt);
  EXPECT_EQ(next_link("</a; rel=next"), std::nullopt);
  EXPECT_EQ(next_link(""), std::nullopt);
}

TEST(Wait, RetryAfterAndRateLimit) {
  EXPECT_EQ(asked_wait({{"Retry-After", "7"}}, 0), 7);
  EXPECT_EQ(asked_wait({{"retry-after", "Thu, 01 Jan 1970 00:01:40 GMT"}}, 60), 40);
  EXPECT_EQ(asked_wait({{"retry-after", "Thu, 01 Jan 1970 00:01:40 GMT"}}, 200), 0);
  EXPECT_EQ(asked_wait({{"RateLimit", "\"api\";r=0;t=55"}}, 0), 56);
  EXPECT_EQ(asked_wait({{"RateLimit", "\"api\";r=3;t=55"}}, 0), std::nullopt);
  EXPECT_EQ(asked_wait({{"RateLimit", "\"a;r=0\";r=9;t=1, \"b\"; r=0; t=4"}}, 0), 5);
  EXPECT_EQ(asked_wait({{"Retry-After", "999999999"}}, 0), 86400);
  EXPECT_EQ(asked_wait({{"Retry-After", "soon"}}, 0), std::nullopt);
  EXPECT_EQ(asked_wait({}, 0), std::nullopt);
}

}  // namespace
}  // namespace attune
