// Every rule of GGUF, each as a broken file with its exact message; and what we write reads back.
#include "format/gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

namespace attune {
namespace {

// A file put together byte by byte, right or wrong.
struct Bytes {
  std::string data;
  template <typename T>
  Bytes& put(T value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    data.append(raw, sizeof value);
    return *this;
  }
  Bytes& text(const std::string& value) {
    put(std::uint64_t{value.size()});
    data += value;
    return *this;
  }
  Bytes& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    data += "GGUF";
    return put(version).put(tensors).put(keys);
  }
  Bytes& key(const std::string& name, std::uint32_t type) { return text(name).put(type); }
  Bytes& tensor(const std::string& name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                std::uint64_t offset) {
    text(name).put(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) put(size);
    return put(type).put(offset);
  }
  Bytes& padded(std::size_t more, std::size_t alignment = 32) {
    data.resize((data.size() + alignment - 1) / alignment * alignment + more, '\1');
    return *this;
  }
};

class GgufTest : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune-gguf-{}", ::getpid());
  fs::path path_ = folder_ / "model.gguf";
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // What opening says, without the "[path" that every message begins with.
  std::string error_of(const std::string& bytes) const {
    write_file_atomic(path_, bytes);
    try {
      const GgufFile file(path_);
    } catch (const UserError& error) {
      const std::string message = error.what(), prefix = "[" + path_.string();
      return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
    }
    return "no error";
  }
};

GgufTensorSource source(const std::string& name, DType dtype, Shape shape, std::string bytes) {
  return {name, &gguf_type(dtype), shape,
          [bytes = std::move(bytes)](const ByteSink& sink) { sink(std::as_bytes(std::span(bytes))); }};
}

TEST_F(GgufTest, ReadsBackWhatItWrites) {
  const std::vector<GgufEntry> entries = {{"general.architecture", std::string("llama")},
                                          {"a.u8", std::uint8_t{200}},
                                          {"a.i8", std::int8_t{-3}},
                                          {"a.u16", std::uint16_t{60000}},
                                          {"a.i16", std::int16_t{-30000}},
                                          {"a.u32", std::uint32_t{4000000000}},
                                          {"a.i32", std::int32_t{-7}},
                                          {"a.f32", 1e-5f},
                                          {"a.bool", true},
                                          {"a.u64", std::uint64_t{1} << 60},
                                          {"a.i64", std::int64_t{-1}},
                                          {"a.f64", 0.25},
                                          {"list.text", GgufArray(std::vector<std::string>{"a", "", "\xe2\x96\x81z"})},
                                          {"list.f32", GgufArray(std::vector<float>{1, -2})},
                                          {"list.i32", GgufArray(std::vector<std::int32_t>{1, 3})},
                                          {"list.bool", GgufArray(std::vector<bool>{true, false})},
                                          {"list.empty", GgufArray(std::vector<std::string>{})}};
  std::uint64_t reported = 0;
  write_gguf(
      path_, entries,
      {source("w", DType::kF16, {2, 3}, std::string(12, '\2')), source("n", DType::kF32, {4}, std::string(16, '\3'))},
      [&](std::uint64_t done, std::uint64_t) { reported = done; });
  const GgufFile file(path_);
  ASSERT_EQ(file.entries().size(), entries.size() - 1);  // no empty arrays
  for (std::size_t i = 0; i + 1 < entries.size(); ++i) EXPECT_EQ(file.entries()[i], entries[i]);
  EXPECT_EQ(file.get<std::int64_t>("a.u8"), 200);
  EXPECT_EQ(file.get<std::int64_t>("a.u32"), 4000000000);
  EXPECT_EQ(file.get<double>("a.f32"), static_cast<double>(1e-5f));
  EXPECT_EQ(file.get<bool>("a.bool"), true);
  EXPECT_EQ(file.get<std::vector<float>>("list.f32"), (std::vector<float>{1, -2}));
  EXPECT_EQ(file.get<std::string>("nothing"), std::nullopt);
  EXPECT_EQ(file.value("list.empty"), nullptr);
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.find("w")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE(file.find("w")->has_shape({2, 3}));
  EXPECT_FALSE(file.find("w")->has_shape({3, 2}));
  EXPECT_EQ(file.find("w")->type->name, "F16");
  EXPECT_EQ(file.find("n")->bytes.size(), 16u);
  EXPECT_EQ(static_cast<int>(file.find("n")->bytes[0]), 3);
  EXPECT_EQ(file.find("x"), nullptr);
  EXPECT_EQ(fs::file_size(path_) % 32, 0u);
  EXPECT_EQ(reported, 32u + 16u);
}

TEST_F(GgufTest, GettersNameWhatTheyExpected) {
  write_gguf(path_, {{"a", std::string("x")}, {"b", std::uint64_t{1} << 63}}, {});
  const GgufFile file(path_);
  const auto error = [&](const auto& call) -> std::string {
    try {
      call();
    } catch (const BadFile& error) {
      return std::string(error.what()).substr(path_.string().size() + 1);
    }
    return "no error";
  };
  EXPECT_EQ(error([&] { file.get<std::int64_t>("a"); }), "] key a: expected an integer");
  EXPECT_EQ(error([&] { file.get<std::int64_t>("b"); }), "] key b: expected an integer");
  EXPECT_EQ(error([&] { file.get<bool>("b"); }), "] key b: expected true or false");
  EXPECT_EQ(error([&] { file.get<double>("b"); }), "] key b: expected a number");
  EXPECT_EQ(error([&] { file.get<std::string>("b"); }), "] key b: expected a text");
  EXPECT_EQ(error([&] { file.get<std::vector<std::string>>("a"); }), "] key a: expected a list of texts");
  EXPECT_EQ(error([&] { file.require<std::string>("c"); }), "] key c is missing");
}

TEST_F(GgufTest, NotAGgufFile) {
  EXPECT_EQ(error_of(""), "] does not begin with GGUF; not a GGUF file");
  EXPECT_EQ(error_of("GGU"), "] does not begin with GGUF; not a GGUF file");
  EXPECT_EQ(error_of("PK\3\4............"), "] does not begin with GGUF; not a GGUF file");
  EXPECT_EQ(error_of(Bytes().head(0, 0, 1).data), "] GGUF version 1 is not supported; expected 2 or 3, little-endian");
  EXPECT_EQ(error_of(Bytes().head(0, 0, 0x03000000).data),
            "] GGUF version 50331648 is not supported; expected 2 or 3, little-endian");
  EXPECT_EQ(error_of(Bytes().head(0, 0, 2).data), "no error");
}

TEST_F(GgufTest, Truncated) {
  EXPECT_EQ(error_of("GGUF"), "] ends at byte 4 within something of 4 bytes that begins at 4; the file is cut short");
  EXPECT_EQ(error_of(Bytes().head(0, 1).data),
            "] ends at byte 24 within something of 8 bytes that begins at 24; the file is cut short");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 8).put(std::uint64_t{100}).data),
            "] ends at byte 45 within something of 100 bytes that begins at 45; the file is cut short");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 9).put(4u).put(std::uint64_t{1} << 62).data),
            ": key k] an array of 4611686018427387904 elements reaches beyond the file; the file is cut short");
  EXPECT_EQ(error_of(Bytes().head(1, 0).tensor("w", {8}, 0, 0).padded(31).data),
            ": tensor w] its 32 bytes reach beyond the file of 95; the file is cut short");
  EXPECT_EQ(error_of(Bytes().head(1, 0).tensor("w", {8}, 0, 0).padded(32).data), "no error");
}

TEST_F(GgufTest, Counts) {
  EXPECT_EQ(error_of(Bytes().head(~std::uint64_t{0}, 0).data),
            "] 18446744073709551615 tensors and 0 keys, expected at most 1048576 each; the file is damaged");
}

TEST_F(GgufTest, KeysAndValues) {
  EXPECT_EQ(error_of(Bytes().head(0, 2).key("k", 0).put('\1').key("k", 0).put('\1').data), "] key k appears twice");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("", 0).put('\1').data), "] a key that is no text at byte 32");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key(std::string("a\0b", 3), 0).put('\1').data),
            "] a key that is no text at byte 32");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("\xff", 0).put('\1').data), "] a key that is no text at byte 32");
  EXPECT_EQ(error_of(Bytes().head(0, 1).put(std::uint64_t{70000}).data),
            "] a name of 70000 bytes, expected at most 65536");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 13).data), ": key k] value type 13 is unknown");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 7).put('\2').data), ": key k] a truth value of 2, expected 0 or 1");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 9).put(9u).put(std::uint64_t{0}).data),
            ": key k] an array of arrays, which GGUF does not have");
  EXPECT_EQ(error_of(Bytes().head(0, 1).key("k", 9).put(99u).put(std::uint64_t{0}).data),
            ": key k] value type 99 is unknown");
}

TEST_F(GgufTest, Alignment) {
  const auto file = [](std::uint32_t alignment) {
    return Bytes()
        .head(2, 1)
        .key("general.alignment", 4)
        .put(alignment)
        .tensor("a", {1}, 0, 0)
        .tensor("b", {1}, 0, 64)
        .padded(128, 64)
        .data;
  };
  EXPECT_EQ(error_of(file(64)), "no error");
  EXPECT_EQ(error_of(file(0)), "] general.alignment: expected a power of two, got 0");
  EXPECT_EQ(error_of(file(48)), "] general.alignment: expected a power of two, got 48");
  EXPECT_EQ(error_of(file(32)),
            ": tensor b] expected data to begin at byte 32, got 64; tensors must follow each other");
}

TEST_F(GgufTest, Tensors) {
  const auto one = [](const std::string& name, const std::vector<std::uint64_t>& sizes, std::uint32_t type) {
    return Bytes().head(1, 0).tensor(name, sizes, type, 0).padded(4096).data;
  };
  EXPECT_EQ(error_of(one("w", {256, 2}, 12)), "no error");
  EXPECT_EQ(error_of(one("w", {255}, 12)), ": tensor w] rows of 255 are not whole blocks of 256 for Q4_K");
  EXPECT_EQ(error_of(one("w", {256, 2}, 99)),
            ": tensor w] type 99 is unknown; expected one of ggml's, such as 0 (F32) or 12 (Q4_K)");
  EXPECT_EQ(error_of(one("w", {256, 2}, 4)),
            ": tensor w] type 4 is unknown; expected one of ggml's, such as 0 (F32) or 12 (Q4_K)");
  EXPECT_EQ(error_of(one("w", {}, 0)), ": tensor w] expected 1 to 4 dimensions, got 0");
  EXPECT_EQ(error_of(one("w", {1, 1, 1, 1, 1}, 0)), ": tensor w] expected 1 to 4 dimensions, got 5");
  EXPECT_EQ(error_of(one("w", {4, 0}, 0)), ": tensor w] a dimension of 0 is empty or too large");
  EXPECT_EQ(error_of(one("w", {~std::uint64_t{0}}, 0)),
            ": tensor w] a dimension of 18446744073709551615 is empty or too large");
  EXPECT_EQ(error_of(one("w", {std::uint64_t{1} << 40, std::uint64_t{1} << 40}, 0)),
            ": tensor w] a dimension of 1099511627776 is empty or too large");
  EXPECT_EQ(error_of(one(std::string(64, 'n'), {1}, 0)), "] a name of 64 bytes, expected at most 63");
  EXPECT_EQ(error_of(one("", {1}, 0)), "] a tensor's name that is no text at byte 32");
  EXPECT_EQ(error_of(Bytes().head(2, 0).tensor("w", {8}, 0, 0).tensor("w", {8}, 0, 32).padded(64).data),
            "] tensor w appears twice");
  EXPECT_EQ(error_of(Bytes().head(2, 0).tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).padded(64).data),
            ": tensor b] expected data to begin at byte 32, got 0; tensors must follow each other");
}

TEST_F(GgufTest, AnInterruptedWriterLeavesTheOldFile) {
  write_file_atomic(path_, "before");
  const GgufTensorSource broken{
      "a", &gguf_type(DType::kF32), {4}, [](const ByteSink&) { throw std::runtime_error("stop"); }};
  EXPECT_THROW(write_gguf(path_, {}, {broken}), std::runtime_error);
  EXPECT_EQ(read_file(path_), "before");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(GgufTest, ReadsALlamaCppVocabulary) {
  const fs::path vocabulary = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/tokenizers/gpt-2/ggml-vocab-gpt-2.gguf";
  if (!fs::exists(vocabulary)) GTEST_SKIP() << "no ../shared/data";
  const GgufFile file(vocabulary);
  EXPECT_EQ(file.require<std::string>("tokenizer.ggml.model"), "gpt2");
  const auto tokens = file.require<std::vector<std::string>>("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), 50257u);
  EXPECT_EQ(tokens.back(), "<|endoftext|>");
}

}  // namespace
}  // namespace attune
