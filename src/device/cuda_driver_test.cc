// What is said of GPUs, by a driver that answers as it is told (fake_cuda_driver.cc).
#include <cuda.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>

#include "device/gpu.h"

namespace attune {
namespace {

class CudaDriver : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"FAKE_CUDA_VERSION", "FAKE_CUDA_GPUS", "FAKE_CUDA_FAILS"}) unsetenv(name);
  }
};

TEST_F(CudaDriver, DescribesEachGpu) {
  setenv("FAKE_CUDA_VERSION", "99020", 1);
  const GpuSurvey survey = survey_gpus();
  EXPECT_EQ(survey.problem, "");
  EXPECT_EQ(survey.driver_cuda, "99.2");
  ASSERT_EQ(survey.gpus.size(), 2u);
  EXPECT_EQ(survey.gpus[0].name, "NVIDIA Fake 9000");
  EXPECT_EQ(survey.gpus[0].memory_bytes, std::uint64_t{140} << 30);
  EXPECT_EQ(survey.gpus[0].compute_major, 9);
  EXPECT_EQ(survey.gpus[0].compute_minor, 0);
  EXPECT_TRUE(survey.gpus[0].new_enough());
  EXPECT_EQ(survey.gpus[1].name, "NVIDIA Old 1000");
  EXPECT_FALSE(survey.gpus[1].new_enough());
}

TEST_F(CudaDriver, TooOldSaysBothVersions) {
  setenv("FAKE_CUDA_VERSION", "11080", 1);
  const GpuSurvey survey = survey_gpus();
  EXPECT_EQ(survey.problem, fmt::format("the NVIDIA driver is too old: it speaks CUDA 11.8, and this build needs {}.0; "
                                        "install a newer one",
                                        CUDA_VERSION / 1000));
  EXPECT_EQ(survey.driver_cuda, "11.8");
  EXPECT_TRUE(survey.gpus.empty());
}

TEST_F(CudaDriver, AnOlderMinorVersionServes) {
  setenv("FAKE_CUDA_VERSION", std::to_string(CUDA_VERSION / 1000 * 1000).c_str(), 1);
  EXPECT_EQ(survey_gpus().problem, "");
}

TEST_F(CudaDriver, SeesNoGpu) {
  setenv("FAKE_CUDA_GPUS", "0", 1);
  const GpuSurvey survey = survey_gpus();
  EXPECT_THAT(survey.problem, testing::StartsWith("the NVIDIA driver sees no GPU here"));
  EXPECT_NE(survey.driver_cuda, "");
}

TEST_F(CudaDriver, AFailureIsNamedWhereverItComes) {
  for (const char* function :
       {"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceTotalMem", "cuDeviceGetAttribute"}) {
    setenv("FAKE_CUDA_FAILS", function, 1);
    const GpuSurvey survey = survey_gpus();
    EXPECT_EQ(survey.problem, "the NVIDIA driver fails with CUDA_ERROR_UNKNOWN; see what nvidia-smi says") << function;
    EXPECT_TRUE(survey.gpus.empty()) << function;
  }
}

}  // namespace
}  // namespace attune
