// base/: files, JSON, random numbers, UTF-8, names.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "base/base64.h"
#include "base/digest.h"
#include "base/error_of.h"
#include "base/file.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/utf8.h"

namespace attune {
namespace {

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / fmt::format("attune_base_test_{}", ::getpid());
  TemporaryFolder() { fs::create_directories(path); }
  ~TemporaryFolder() { fs::remove_all(path); }
};

TEST(File, WriteIsAtomicAndLeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.txt";
  write_file_atomic(file, "one");
  {
    AtomicFile abandoned(file);
    abandoned.write(std::string_view("two"));
  }
  EXPECT_EQ(read_file(file), "one");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()), 1);
  EXPECT_EQ(error_of([&] { write_file_atomic(folder.path / "no" / "a.txt", "x"); }),
            fmt::format("[{}/no/a.txt] cannot be written: No such file or directory; the previous contents are "
                        "unchanged",
                        folder.path.string()));
}

TEST(File, FullDiskIsOneClearLine) {
  // /dev/full accepts open and refuses every write; a link makes it the temporary file's neighbour is not possible,
  // so the limit on file size plays the full disk.
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([] { read_file("/nonexistent/x"); }), "[/nonexistent/x] no such file; check the path");
  EXPECT_EQ(error_of([&] { read_file(folder.path); }),
            fmt::format("[{}] is a folder, expected a file", folder.path.string()));
}

TEST(File, FolderAppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  const fs::path target = folder.path / "out";
  {
    AtomicFolder abandoned(target);
    write_file_atomic(abandoned.temporary() / "x", "1");
  }
  EXPECT_FALSE(fs::exists(target));
  AtomicFolder kept(target);
  write_file_atomic(kept.temporary() / "x", "1");
  kept.commit();
  EXPECT_EQ(read_file(target / "x"), "1");
  EXPECT_EQ(error_of([&] { AtomicFolder again(target); }),
            fmt::format("[{}] already exists; choose another name or remove it", target.string()));
}

TEST(File, AFolderThatCannotBeMadeIsNamedAsItWasAskedFor) {
  EXPECT_EQ(error_of([] { AtomicFolder folder("/proc/attune"); }),
            "[/proc/attune] the folder cannot be created: No such file or directory");
  const TemporaryFolder place;
  const AtomicFolder folder(place.path / "out");
  EXPECT_EQ(error_of([&] { write_file_atomic(folder.temporary() / "no such folder/x", "1"); }),
            fmt::format("[{}/out/no such folder/x] cannot be written: No such file or directory; the previous contents "
                        "are unchanged",
                        place.path.string()));
}

TEST(File, TheNextWriterRemovesWhatAKilledOneLeft) {
  const TemporaryFolder folder;
  const fs::path target = folder.path / "out";
  const auto entries = [&] { return std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()); };
  int alive[2];
  ASSERT_EQ(::pipe(alive), 0);
  const auto writer = [&](bool dies) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const AtomicFolder out(target);
    AtomicFile file(folder.path / "a.txt");
    file.write(std::string_view("half"));
    if (::write(alive[1], "x", 1) == 1 && !dies) ::pause();
    ::_exit(0);  // as a kill would: no destructor runs
  };
  const pid_t dead = writer(true), living = writer(false);
  char started[2];
  for (std::ptrdiff_t got = 0; got < 2;) got += std::max<std::ptrdiff_t>(0, ::read(alive[0], started, 1));
  ASSERT_EQ(::waitpid(dead, nullptr, 0), dead);
  EXPECT_EQ(entries(), 4);
  write_file_atomic(folder.path / "a.txt", "whole");
  AtomicFolder out(target);
  out.commit();
  EXPECT_EQ(entries(), 4);  // what the living one writes, and the two finished ones
  ::kill(living, SIGKILL);
  ASSERT_EQ(::waitpid(living, nullptr, 0), living);
  write_file_atomic(folder.path / "a.txt", "again");
  EXPECT_EQ(entries(), 3);
}

TEST(File, MappingSeesTheBytes) {
  const TemporaryFolder folder;
  write_file_atomic(folder.path / "m", std::string(10000, 'x'));
  write_file_atomic(folder.path / "empty", "");
  const MappedFile mapped(folder.path / "m");
  EXPECT_EQ(mapped.bytes().size(), 10000u);
  mapped.release(0, 10000);
  EXPECT_EQ(static_cast<char>(mapped.bytes()[9999]), 'x');
  EXPECT_TRUE(MappedFile(folder.path / "empty").bytes().empty());
}

TEST(Json, RefusesWhatIsNotStrict) {
  EXPECT_EQ(error_of([] { parse_json("{\"a\":1,\"a\":2}", "f"); }), "[f] JSON key \"a\" appears twice in one object");
  EXPECT_EQ(error_of([] { parse_json("{\"a\":", "f"); }), "[f] not valid JSON near byte 6");
  EXPECT_EQ(error_of([] { parse_json(std::string(1000, '['), "f"); }), "[f] JSON is nested deeper than 256");
  const Json object = parse_json(R"({"n": 3, "s": "x", "z": null, "big": 18446744073709551615})", "f");
  EXPECT_EQ(json_require<std::int64_t>(object, "n", "f"), 3);
  EXPECT_EQ(json_get<std::string>(object, "z", "f"), std::nullopt);
  EXPECT_EQ(error_of([&] { json_require<std::int64_t>(object, "s", "f"); }),
            "[f] key \"s\": expected an integer, got string");
  EXPECT_EQ(error_of([&] { json_require<std::int64_t>(object, "big", "f"); }),
            "[f] key \"big\": expected an integer, got an integer");
  EXPECT_EQ(error_of([&] { json_require<bool>(object, "absent", "f"); }), "[f] key \"absent\" is missing");
}

// Known answers of the reference implementation (Random123 1.09, kat_vectors, philox4x32 10).
TEST(Rng, PhiloxKnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822ull, 0x0370734413198a2eull, 0x85a308d3243f6a88ull),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, MomentsAndRestart) {
  Rng rng{7, 1, 0};
  double sum = 0, squares = 0;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 0.03);
  EXPECT_NEAR(squares / n, 1.0, 0.05);
  Rng copy = rng;
  EXPECT_EQ(copy.next_u64(), rng.next_u64());
  std::vector<int> counts(3);
  for (int i = 0; i < 3000; ++i) ++counts[rng.below(3)];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 120);
}

TEST(Digest, Sha256KnownAnswer) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Utf8, ReplacesAsPythonDoes) {
  EXPECT_EQ(to_valid_utf8("a\xC3\xA1"), "aá");
  EXPECT_EQ(to_valid_utf8("\xF0\x9F\x98"), "\uFFFD");              // truncated: one mark
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate: one mark per byte
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(incomplete_utf8_tail("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incomplete_utf8_tail("a\xF0\x9F\x98\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("a\x80"), 0u);
}

TEST(Nearest, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> names = {"learning_rate", "lora_alpha", "model"};
  EXPECT_EQ(did_you_mean("learnig_rate", names), "; did you mean learning_rate?");
  EXPECT_EQ(did_you_mean("quantization", names), "");
}

TEST(Format, Durations) {
  EXPECT_EQ(format_duration(3725), "1h02m");
  EXPECT_EQ(format_duration(65), "1m05s");
  EXPECT_EQ(format_bytes(5e9), "5.00 GB");
  EXPECT_EQ(with_commas(-1234567), "-1,234,567");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(-999), "-999");
  EXPECT_EQ(counted(1, "row"), "1 row");
  EXPECT_EQ(counted(1000, "row"), "1,000 rows");
}

TEST(Base64, OfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar\xff\xfe"), "Zm9vYmFy//4=");
}

}  // namespace
}  // namespace attune
