// Every rule of the safetensors format, each as a broken file with its exact message; and what we write.
#include "format/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace attune {
namespace {

const fs::path kGolden = fs::path(ATTUNE_SOURCE_DIR) / "tests/golden";

class SafetensorsTest : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune-format-{}", ::getpid());
  fs::path path_ = folder_ / "model.safetensors";
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A file of this header and so many bytes of data.
  void write(const std::string& header, std::size_t data_bytes, std::uint64_t length) const {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    write_file_atomic(path_, bytes + header + std::string(data_bytes, '\1'));
  }
  void write(const std::string& header, std::size_t data_bytes) const { write(header, data_bytes, header.size()); }

  // What opening says, without the "[path" that every message begins with.
  std::string error() const {
    try {
      const SafetensorsFile file(path_);
    } catch (const UserError& error) {
      const std::string message = error.what(), prefix = "[" + path_.string();
      return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
    }
    return "no error";
  }
  std::string error_of(const std::string& header, std::size_t data_bytes) const {
    write(header, data_bytes);
    return error();
  }
  std::string folder_error() const {
    try {
      const SafetensorsFolder folder(folder_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(SafetensorsTest, ReadsTensorsInAnyOrderWithMetadata) {
  write(
      R"({"b":{"dtype":"I8","shape":[2],"data_offsets":[4,6]},"__metadata__":{"format":"pt"},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"c":{"dtype":"BF16","shape":[3,0],"data_offsets":[6,6]}} )",
      6);
  const SafetensorsFile file(path_);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.find("a")->bytes.size(), 4u);
  EXPECT_TRUE(file.find("a")->has_shape({}));
  EXPECT_EQ(file.find("b")->dtype, DType::kI8);
  EXPECT_EQ(shape_text(file.find("c")->shape), "[3, 0]");
  EXPECT_EQ(file.find("d"), nullptr);
  EXPECT_EQ(file.metadata(), (std::vector<std::pair<std::string, std::string>>{{"format", "pt"}}));
}

TEST_F(SafetensorsTest, KnowsTypesThatItDoesNotComputeWith) {
  write(
      R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F4","shape":[4],"data_offsets":[3,5]}})",
      5);
  const SafetensorsFile file(path_);
  EXPECT_FALSE(file.find("a")->dtype.has_value());
  EXPECT_EQ(file.find("b")->dtype_name, "F4");
}

TEST_F(SafetensorsTest, MisalignedTensorsAreRecognised) {
  write(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
        5);
  const SafetensorsFile file(path_);
  EXPECT_TRUE(file.find("a")->aligned());
  EXPECT_FALSE(file.find("b")->aligned());
}

TEST_F(SafetensorsTest, Truncated) {
  write_file_atomic(path_, "12345");
  EXPECT_EQ(error(), "] has 5 bytes, expected a safetensors header; the file is cut short");
  write_file_atomic(path_, "");
  EXPECT_EQ(error(), "] has 0 bytes, expected a safetensors header; the file is cut short");
  write("{}", 0, 3);
  EXPECT_EQ(error(), "] header of 3 bytes reaches beyond the file of 10; the file is cut short");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 15),
            "] expected 16 bytes of data, got 15; the file is cut short");
}

TEST_F(SafetensorsTest, OversizedHeader) {
  write("{}", 0, 100'000'001);
  EXPECT_EQ(error(), "] header of 100000001 bytes, expected at most 100000000; not a safetensors file");
  write("{}", 0, ~std::uint64_t{0});
  EXPECT_EQ(error(), "] header of 18446744073709551615 bytes, expected at most 100000000; not a safetensors file");
}

TEST_F(SafetensorsTest, TrailingBytes) {
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2),
            "] expected 1 bytes of data, got 2; something follows the last tensor");
}

TEST_F(SafetensorsTest, OverlapAndGap) {
  EXPECT_EQ(
      error_of(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
          7),
      ": tensor b] expected data to begin at byte 4, got 3; tensors overlap");
  EXPECT_EQ(
      error_of(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
          9),
      ": tensor b] expected data to begin at byte 4, got 5; tensors leave a gap");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5),
            ": tensor a] expected data to begin at byte 0, got 1; tensors leave a gap");
  EXPECT_EQ(
      error_of(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
          4),
      ": tensor b] expected data to begin at byte 4, got 0; tensors overlap");
}

TEST_F(SafetensorsTest, SizeThatDoesNotFollowFromTypeAndShape) {
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20),
            ": tensor a] expected 24 bytes for F32 [2, 3], got 20");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
            ": tensor a] F32 [4611686018427387904, 4] is too large, or not a whole number of bytes");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", 1),
            ": tensor a] a dimension of 18446744073709551615 is too large");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2),
            ": tensor a] F4 [3] is too large, or not a whole number of bytes");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
            ": tensor a] data_offsets [1, 0] run backwards");
}

TEST_F(SafetensorsTest, HeaderThatIsNotWhatItShouldBe) {
  EXPECT_EQ(error_of(" {}", 0), "] header does not begin with {; not a safetensors file");
  EXPECT_EQ(error_of("", 0), "] header does not begin with {; not a safetensors file");
  EXPECT_EQ(error_of("{\"a\":", 0), "] not valid JSON near byte 6");
  EXPECT_EQ(
      error_of(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          1),
      "] JSON key \"a\" appears twice in one object");
  EXPECT_EQ(error_of(R"({"a":[]})", 0), ": tensor a] expected an object");
  EXPECT_EQ(error_of(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), ": tensor a] key \"dtype\" is missing");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), ": tensor a] key \"shape\" is missing");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[1]}})", 1), ": tensor a] key \"data_offsets\" is missing");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U9","shape":[1],"data_offsets":[0,1]}})", 1),
            ": tensor a] type \"U9\" is unknown");
  EXPECT_EQ(error_of(R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1),
            ": tensor a] key \"dtype\": expected a string");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
            ": tensor a] key \"shape\": expected non-negative integers");
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1),
            ": tensor a] key \"data_offsets\": expected two numbers");
  EXPECT_EQ(error_of(R"({"__metadata__":{"a":1}})", 0), "] __metadata__ key \"a\": expected a string");
}

TEST_F(SafetensorsTest, WritesWhatTheReferenceWriterWrites) {
  for (const char* const name : {"llama2/golden.safetensors", "nf4/golden.safetensors", "int8/golden.safetensors",
                                 "mistral/model_bf16/model.safetensors"}) {
    SCOPED_TRACE(name);
    const SafetensorsFile golden(kGolden / name);
    std::vector<TensorSource> tensors;
    for (const StoredTensor& tensor : golden.tensors()) {
      tensors.push_back(tensor_source(tensor.name, tensor.view(), *tensor.dtype));
    }
    std::reverse(tensors.begin(), tensors.end());
    write_safetensors(path_, std::move(tensors));
    const SafetensorsFile ours(path_);
    ASSERT_EQ(ours.tensors().size(), golden.tensors().size());
    for (std::size_t i = 0; i < golden.tensors().size(); ++i) {  // the order in the file as well
      const StoredTensor &a = golden.tensors()[i], &b = ours.tensors()[i];
      EXPECT_EQ(a.name, b.name);
      EXPECT_EQ(a.shape, b.shape);
      EXPECT_EQ(a.dtype_name, b.dtype_name);
      EXPECT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
    }
    if (!golden.metadata().empty()) {
      EXPECT_EQ(read_file(path_), read_file(kGolden / name));
    }
  }
}

TEST_F(SafetensorsTest, ConvertsWhileWriting) {
  std::vector<float> values(40'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.37f - 5000;
  const TensorView view{values.data(), DType::kF32, {200, 200}};
  write_safetensors(path_, {tensor_source("b", view, DType::kBF16), tensor_source("h", view, DType::kF16)},
                    {{"k", "v"}});
  const SafetensorsFile file(path_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(file.find("b")->view().as<bf16>()[i].bits, to_bf16(values[i]).bits);
    ASSERT_EQ(file.find("h")->view().as<f16>()[i].bits, to_f16(values[i]).bits);
  }
  EXPECT_EQ(file.metadata()[1], std::pair(std::string("k"), std::string("v")));
}

TEST_F(SafetensorsTest, AnInterruptedWriterLeavesTheOldFile) {
  write("{}", 0);
  const std::string before = read_file(path_);
  const TensorSource broken{"a", DType::kF32, {4}, [](const ByteSink&) { throw std::runtime_error("stop"); }};
  EXPECT_THROW(write_safetensors(path_, {broken}), std::runtime_error);
  EXPECT_EQ(read_file(path_), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(SafetensorsTest, ShardsAreOneFolder) {
  const SafetensorsFolder folder(kGolden / "qwen2/model");
  EXPECT_EQ(folder.names().size(), 26u);
  EXPECT_EQ(folder.file_of(*folder.find("model.norm.weight")).path().filename(), "model-00003-of-00003.safetensors");
  EXPECT_EQ(folder.find("lm_head.weight"), nullptr);
}

TEST_F(SafetensorsTest, BadIndexes) {
  fs::copy(kGolden / "qwen2/model", folder_, fs::copy_options::recursive);
  const fs::path index = folder_ / "model.safetensors.index.json";
  const Json good = parse_json(read_file(index), "index");
  const auto error_with = [&](const std::function<void(Json&)>& edit) {
    Json json = good;
    edit(json);
    write_file_atomic(index, json.dump());
    return folder_error();
  };
  EXPECT_EQ(error_with([](Json&) {}), "no error");
  for (const std::string name : {"../model-00001-of-00003.safetensors", "/etc/passwd", "sub/x.safetensors", "..",
                                 "x.bin", ".hidden.safetensors"}) {
    EXPECT_EQ(error_with([&](Json& json) { json["weight_map"]["model.norm.weight"] = name; }),
              fmt::format("[{}] tensor model.norm.weight: expected the name of a .safetensors file in the same folder, "
                          "got \"{}\"",
                          index.string(), name));
  }
  EXPECT_EQ(
      error_with([](Json& json) { json["weight_map"]["model.norm.weight"] = "model-00001-of-00003.safetensors"; }),
      fmt::format("[{}] tensor model.norm.weight is not in model-00001-of-00003.safetensors, where the index says "
                  "it is",
                  index.string()));
  EXPECT_EQ(error_with([](Json& json) { json["weight_map"]["x"] = "model-00009-of-00003.safetensors"; }),
            fmt::format("[{}] shard model-00009-of-00003.safetensors is missing; download the whole model folder",
                        folder_.string()));
  EXPECT_EQ(error_with([](Json& json) { json.erase("weight_map"); }),
            fmt::format("[{}] key \"weight_map\": expected an object of tensor and file names", index.string()));
}

}  // namespace
}  // namespace attune
