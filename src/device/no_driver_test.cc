// A program that was built with CUDA, where there is no driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "device/gpu.h"

namespace attune {
namespace {

TEST(NoDriver, IsSaid) {
  if (dlopen("libcuda.so.1", RTLD_NOW)) GTEST_SKIP() << "this machine has an NVIDIA driver";
  const GpuSurvey survey = survey_gpus();
  EXPECT_TRUE(survey.gpus.empty());
  EXPECT_EQ(survey.driver_cuda, "");
  EXPECT_EQ(survey.problem, "this machine has no NVIDIA driver (libcuda.so.1)");
}

}  // namespace
}  // namespace attune
