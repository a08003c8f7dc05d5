// hub/: secrets and personal data are found before anything is sent, and what only looks like them is not.
#include "hub/scan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace attune {
namespace {

// Kinds found in a text, in order. Tokens are put together here so that none stands in this file.
std::vector<std::string> kinds(const std::string& text, bool personal = true) {
  std::vector<std::string> names;
  for (const Finding& finding : find_unpushable(text, personal)) names.emplace_back(private_kind_name(finding.kind));
  return names;
}

using Names = std::vector<std::string>;
const std::string kLetters = "abcdefghijABCDEFGHIJ0123456789abcdefghij";

TEST(Unpushable, SecretsAndPersonalData) {
  const std::string text = "to GB82WEST12345698765432 or 4111 1111 1111 1111, call +36 30 123 4567, HF=hf_" +
                           kLetters.substr(0, 34) + " -----BEGIN " + "RSA PRIVATE KEY-----";
  EXPECT_EQ(kinds(text), (Names{"iban", "card", "phone", "token", "private-key"}));
  EXPECT_EQ(kinds(text, false), (Names{"token", "private-key"}));
}

TEST(Unpushable, Phones) {
  for (const char* const number : {"+36 30 123 4567", "+36301234567", "+1 (212) 555-0123", "06 30 123 4567",
                                   "06-1-234-5678", "0630 123 4567", "(212) 555-0123", "212-555-0123"}) {
    EXPECT_EQ(kinds(fmt::format("call {}, now", number)), Names{"phone"}) << number;
  }
  for (const char* const other :
       {"2024-05-01 12:30", "06-12-2024 10:15", "1234567890", "0.0612345678", "3+12345678", "1e+12345678",
        "192.168.100.200", "06 12", "2023. 06. 12. 10", "9781234567890", "123456"}) {
    EXPECT_EQ(kinds(fmt::format("see {} there", other)), Names{}) << other;
  }
}

TEST(Unpushable, Emails) {
  EXPECT_EQ(kinds("write to anna.kovacs+x@mail.hu."), Names{"email"});
  EXPECT_EQ(kinds("a@example.com, b@sub.example.org, logo@2x.png, git@github.com, @user, a@b"), Names{});
}

struct ScannedFolder {
  fs::path path = fs::temp_directory_path() / fmt::format("attune_scan_test_{}", ::getpid());
  ScannedFolder() { fs::create_directories(path); }
  ~ScannedFolder() { fs::remove_all(path); }
};

TEST(Scan, NamesFileAndLineAndShowsLittle) {
  const ScannedFolder folder;
  write_file_atomic(folder.path / "train.jsonl",
                    "{\"a\":1}\n{\"b\":\"anna@mail.hu\"}\n{\"c\":\"anna\\u0040mail.hu\"}\n");
  write_file_atomic(folder.path / "notes.md", "key: hf_" + kLetters.substr(0, 34) + "\n");
  const PushFiles files = collect_push_files(folder.path);
  const auto findings = scan(files, {});
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].path, "notes.md");
  EXPECT_EQ(findings[0].line, 1u);
  EXPECT_EQ(findings[1].path, "train.jsonl");
  EXPECT_EQ(findings[1].line, 2u);
  EXPECT_EQ(findings[2].line, 3u);
  const std::string table = to_text(findings);
  EXPECT_NE(table.find("train.jsonl:2"), std::string::npos);
  EXPECT_EQ(table.find(kLetters.substr(0, 34)), std::string::npos);
  EXPECT_EQ(table.find("anna@mail.hu"), std::string::npos);
}

TEST(Scan, Allowances) {
  const ScannedFolder folder;
  write_file_atomic(folder.path / "a.txt", "anna@mail.hu\n+36 30 123 4567\n");
  write_file_atomic(folder.path / "b.txt", "hf_" + kLetters.substr(0, 34) + "\n");
  const PushFiles files = collect_push_files(folder.path);
  const auto left = [&](std::vector<std::string> allowed) {
    ScanOptions options;
    options.allowed = std::move(allowed);
    return scan(files, options).size();
  };
  EXPECT_EQ(left({}), 3u);
  EXPECT_EQ(left({"email"}), 2u);
  EXPECT_EQ(left({"a.txt"}), 1u);
  EXPECT_EQ(left({"a.txt:2", "email", "b.txt:1"}), 0u);
  EXPECT_EQ(left({"b.txt"}), 3u) << "a token is accepted by its line only";
  EXPECT_THROW(left({"token"}), UserError);
  EXPECT_THROW(left({"c.txt:1"}), UserError);
}

TEST(Scan, OwnTokenWhateverItsFormAlsoInBinaryFiles) {
  const ScannedFolder folder;
  write_file_atomic(folder.path / "w.bin", std::string(100, '\0') + "odd_token_form" + std::string(100, '\0'));
  ScanOptions options;
  options.own_secrets = {Secret("odd_token_form"), Secret("")};
  const auto findings = scan(collect_push_files(folder.path), options);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].line, 0u);
}

TEST(Scan, AcrossBlocksAndInLongLines) {
  const ScannedFolder folder;
  write_file_atomic(folder.path / "long.txt",
                    std::string((1 << 20) - 5, 'x') + " anna@mail.hu " + std::string(3 << 20, 'y') + " bela@mail.hu");
  const auto findings = scan(collect_push_files(folder.path), {});
  ASSERT_EQ(findings.size(), 1u) << "one line, one kind: one finding";
  EXPECT_EQ(findings[0].line, 1u);
}

TEST(PushFiles, LeavesOutWhatIsNotToBeSeen) {
  const ScannedFolder folder;
  for (const char* const name :
       {"adapter_config.json", "optimizer.safetensors", "state.json", ".env", "id_rsa", "server.pem", "ledger.json"}) {
    write_file_atomic(folder.path / name, "{}");
  }
  fs::create_directories(folder.path / ".git");
  write_file_atomic(folder.path / ".git/config", "x");
  const PushFiles files = collect_push_files(folder.path);
  ASSERT_EQ(files.files.size(), 1u);
  EXPECT_EQ(files.files[0].path, "adapter_config.json");
  EXPECT_EQ(files.left_out.size(), 7u);
  EXPECT_THROW(collect_push_files(folder.path / "nothing"), UserError);
  fs::create_directories(folder.path / "hidden");
  write_file_atomic(folder.path / "hidden/.env", "x");
  EXPECT_THROW(collect_push_files(folder.path / "hidden"), UserError) << "nothing is left to push";
}

}  // namespace
}  // namespace attune
