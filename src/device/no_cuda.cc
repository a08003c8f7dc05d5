// In place of cuda_driver.cc where CUDA is not built in.
#include "device/gpu.h"

namespace attune {

GpuSurvey survey_gpus() {
  return {{}, "", "this build has no CUDA, so it looks for no GPU; cmake --preset cuda makes one that does"};
}

}  // namespace attune
