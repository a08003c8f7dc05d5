// Replacements are consistent, exceptions are honoured, and a redacted text has nothing left to redact.
#include "privacy/redactor.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace attune {
namespace {

std::string redacted(Redactor& redactor, std::string text) {
  redactor.redact(text);
  return text;
}

TEST(Redactor, TheSameValueHasTheSameReplacement) {
  Redactor redactor({});
  EXPECT_EQ(redacted(redactor, "call +36 30 123 4567 or 06301234567, or mail a@b.hu"),
            "call [phone 1] or [phone 1], or mail [email 1]");
  EXPECT_EQ(redacted(redactor, "A@B.hu, +36 70 765 4321, +36-30-123-4567"), "[email 1], [phone 2], [phone 1]");
  EXPECT_EQ(redactor.counts()[static_cast<std::size_t>(PrivateKind::kPhone)].replaced, 4u);
  EXPECT_EQ(redactor.counts()[static_cast<std::size_t>(PrivateKind::kPhone)].values, 2u);
  EXPECT_EQ(redactor.to_json()["phone"][0], Json({{"replacement", "[phone 1]"}, {"value", "+36 30 123 4567"}}));
  EXPECT_EQ(redacted(redactor, "call [phone 1] or [email 1]"), "call [phone 1] or [email 1]");
}

TEST(Redactor, OneKindForOnePlace) {
  Redactor redactor({});
  EXPECT_EQ(
      redacted(redactor, "https://anna@mail.com:pw@host/x HU42 1177 3016 1111 1018 0000 0000 47.497913,19.040236"),
      "[url 1] [iban 1] [coordinates 1]");
  EXPECT_EQ(redacted(redactor, "4111 1111 1111 1111; Fő utca 14"), "[card 1]; [address 1]");
}

TEST(Redactor, ASecretIsOne) {
  Redactor redactor({});
  EXPECT_EQ(redacted(redactor, "use sk-" + std::string(24, 'a') + " for a@b.hu"), "use [token 1] for [email 1]");
}

TEST(Redactor, Keeps) {
  Redactor redactor({{"email", "+36301234567"}, {}});
  EXPECT_EQ(redacted(redactor, "a@b.hu 06 30 123 4567 +36 30 123 4568"), "a@b.hu 06 30 123 4567 [phone 1]");
  EXPECT_THROW(Redactor({{"fone"}, {}}), UserError);
  try {
    Redactor({{"phnoe"}, {}});
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "[--keep] expected one of url, token, private-key, email, iban, card, phone, coordinates, address, "
                 "name, or a value that would be replaced, got \"phnoe\"; did you mean phone?");
  }
}

TEST(Redactor, Names) {
  Redactor redactor({{}, {"Anna Kovács", "Pete"}});
  EXPECT_EQ(redacted(redactor, "Hey anna, Pete is here"), "Hey Alex, Robin is here");
  EXPECT_EQ(redactor.redact_name("Anna Kovács"), "Alex");
  EXPECT_EQ(redactor.to_json()["name"][0], Json({{"replacement", "Alex"}, {"value", "Anna Kovács"}}));
  Redactor kept({{"Anna"}, {"Anna Kovács", "Pete"}});
  EXPECT_EQ(redacted(kept, "Anna, Pete"), "Anna, Robin");
  EXPECT_EQ(kept.redact_name("Anna Kovács"), "Anna Kovács");
  Redactor off({});
  EXPECT_EQ(off.redact_name("+36 30 123 4567"), "[phone 1]");
}

TEST(Redactor, AnyBytes) {
  Redactor redactor({{}, {"Anna"}});
  EXPECT_EQ(redacted(redactor, "\xff+36 30 123 4567\xff"), "\xff[phone 1]\xff");
  EXPECT_EQ(redacted(redactor, ""), "");
  EXPECT_EQ(redacted(redactor, "\xe2\x80@\xe2"), "\xe2\x80@\xe2");
}

}  // namespace
}  // namespace attune
