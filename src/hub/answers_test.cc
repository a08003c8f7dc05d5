// hub/: what a server says is understood or refused, never believed.
#include "hub/answers.h"

#include <gtest/gtest.h>

#include "base/error_of.h"

namespace attune {
namespace {

const std::string kCommit(40, 'a'), kOid(64, 'b');

TEST(Answers, RepoInfo) {
  const RepoInfo info =
      read_repo_info(R"({"sha":")" + kCommit + R"(","private":true,"gated":"manual","siblings":[]})", "w");
  EXPECT_EQ(info.sha, kCommit);
  EXPECT_TRUE(info.is_private);
  EXPECT_TRUE(info.gated);
  EXPECT_FALSE(read_repo_info(R"({"sha":null,"gated":false})", "w").gated);
  EXPECT_EQ(error_of([] { read_repo_info(R"({"sha":"../../etc"})", "w"); }), "[w] key \"sha\": expected a commit");
  EXPECT_EQ(error_of([] { read_repo_info("<html>", "w"); }), "[w] not valid JSON near byte 1");
}

TEST(Answers, TreeTakesTheSizeOfTheLargeFileNotOfItsPointer) {
  const auto files =
      read_tree_page(R"([{"type":"directory","path":"d","oid":"x","size":0},
      {"type":"file","path":"d/a.txt","size":5,"oid":")" +
                         kCommit + R"("},
      {"type":"file","path":"m.bin","size":134,"oid":")" +
                         kCommit + R"(","lfs":{"oid":")" + kOid + R"(","size":9000,"pointerSize":134}}])",
                     "w");
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "d/a.txt");
  EXPECT_EQ(files[0].content_oid(), kCommit);
  EXPECT_EQ(files[1].size, 9000u);
  EXPECT_EQ(files[1].content_oid(), kOid);
}

TEST(Answers, APathThatLeavesTheFolderIsRefused) {
  for (const char* const path :
       {"../x", "/etc/passwd", "a/../../b", ".git/config", "a//b", "a/./b", "a\\\\b", "", "a/"}) {
    const std::string page = fmt::format(R"([{{"type":"file","path":"{}","size":1,"oid":"{}"}}])", path, kCommit);
    EXPECT_NE(error_of([&] { read_tree_page(page, "w"); }).find("no path that a repository may hold"),
              std::string::npos)
        << path;
  }
}

TEST(Answers, Preupload) {
  const auto answers = read_preupload(R"({"files":[{"path":"a","uploadMode":"lfs","shouldIgnore":false,"oid":"x"},
                                                   {"path":"b","uploadMode":"regular","shouldIgnore":true}]})",
                                      "w");
  EXPECT_TRUE(answers.at("a").lfs);
  EXPECT_EQ(answers.at("a").remote_oid, "x");
  EXPECT_TRUE(answers.at("b").ignored);
  EXPECT_EQ(error_of([] { read_preupload(R"({"files":[{"path":"a","uploadMode":"xet"}]})", "w"); }),
            "[w] upload mode \"xet\" is not known");
}

std::vector<LfsObject> batch(const std::string& object, std::uint64_t size = 25) {
  return read_lfs_batch(R"({"objects":[{"oid":")" + kOid + "\",\"size\":25" + object + "}]}", {{kOid, size}}, "w");
}

TEST(Answers, LfsBasicVerifyAndPresent) {
  const auto basic = batch(
      R"(,"actions":{"upload":{"href":"https://s/x","header":{"X-A":"1","Authorization":"no"}},"verify":{"href":"https://h/v"}})");
  ASSERT_TRUE(basic[0].upload);
  EXPECT_EQ(basic[0].upload->part_bytes, 0u);
  EXPECT_EQ(basic[0].upload->verify_href, "https://h/v");
  EXPECT_EQ(basic[0].upload->headers.size(), 1u);
  EXPECT_FALSE(batch("")[0].upload);
  EXPECT_EQ(batch(R"(,"error":{"code":404,"message":"gone"})")[0].error, "gone");
}

TEST(Answers, LfsPartsAreSortedAsNumbersAndMustAddUp) {
  const auto parts = [](const std::string& header, std::uint64_t size) {
    return batch(R"(,"actions":{"upload":{"href":"https://h/c","header":{)" + header + "}}}", size);
  };
  std::string eleven = R"("chunk_size":"10")";
  for (int i = 11; i >= 1; --i) eleven += fmt::format(R"(,"{:05}":"u{}")", i, i);
  const auto sorted = parts(eleven, 105);
  EXPECT_EQ(sorted[0].upload->part_urls.front(), "u1");
  EXPECT_EQ(sorted[0].upload->part_urls.back(), "u11");
  EXPECT_EQ(parts(R"("chunk_size":25,"1":"a")", 25)[0].upload->part_urls.size(), 1u);
  for (const char* const wrong : {R"("chunk_size":10,"1":"a","2":"b")", R"("chunk_size":10,"1":"a","2":"b","4":"d")",
                                  R"("chunk_size":10,"1":"a","01":"b","2":"c")", R"("chunk_size":0,"1":"a")",
                                  R"("chunk_size":"ten","1":"a")", R"("chunk_size":1)"}) {
    EXPECT_NE(error_of([&] { parts(wrong, 25); }), "no error") << wrong;
  }
  EXPECT_NE(error_of([&] { parts(R"("chunk_size":1,"1":"a")", std::uint64_t{1} << 60); }).find("too many"),
            std::string::npos);
}

TEST(Answers, LfsAboutAnotherFileIsRefused) {
  EXPECT_NE(error_of([] {
              read_lfs_batch(R"({"objects":[{"oid":")" + kOid + R"(","size":1}]})", {}, "w");
            }).find("not asked for"),
            std::string::npos);
}

TEST(Answers, CommitHistoryAndRefs) {
  EXPECT_EQ(read_commit(R"({"commitOid":")" + kCommit + R"(","commitUrl":"u"})", "w").oid, kCommit);
  EXPECT_EQ(error_of([] { read_commit("{}", "w"); }), "[w] key \"commitOid\" is missing");
  EXPECT_EQ(read_history(R"([{"id":")" + kCommit + R"(","title":"t","message":"m"}])", "w")[0].message, "m");
  const Refs refs = read_refs(
      R"({"branches":[{"name":"main","ref":"refs/heads/main","targetCommit":")" + kCommit + R"("}],"tags":null})", "w");
  EXPECT_EQ(refs.branches[0].name, "main");
  EXPECT_TRUE(refs.tags.empty());
}

TEST(Answers, ErrorTextOfAllForms) {
  EXPECT_EQ(read_error_text(R"({"error":"one"})"), "one");
  EXPECT_EQ(read_error_text(R"({"error":["one","two"]})"), "one; two");
  EXPECT_EQ(read_error_text(R"({"errors":[{"message":"a"},{"x":1},{"message":"b"}]})"), "a; b");
  EXPECT_EQ(read_error_text(R"({"error_description":"d"})"), "d");
  EXPECT_EQ(read_error_text(R"({"error":"a\nb\u001b[31m"})"), "a b [31m");
  EXPECT_EQ(read_error_text("not json"), "");
  EXPECT_LE(read_error_text(R"({"error":")" + std::string(5000, 'x') + "\"}").size(), 300u);
}

}  // namespace
}  // namespace attune
