// A libcuda.so.1 for the tests, which says what the environment tells it to: FAKE_CUDA_VERSION (13000), FAKE_CUDA_GPUS
// (how many), FAKE_CUDA_FAILS (the name of a function that answers CUDA_ERROR_UNKNOWN).
#include <cuda.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

int number(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

CUresult answer(std::string_view function) {
  const char* const failing = std::getenv("FAKE_CUDA_FAILS");
  return failing && function == failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult CUDAAPI cuInit(unsigned) { return number("FAKE_CUDA_GPUS", 2) == 0 ? CUDA_ERROR_NO_DEVICE : answer("cuInit"); }

CUresult CUDAAPI cuDriverGetVersion(int* version) {
  *version = number("FAKE_CUDA_VERSION", CUDA_VERSION);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetCount(int* count) {
  *count = number("FAKE_CUDA_GPUS", 2);
  return answer("cuDeviceGetCount");
}

CUresult CUDAAPI cuDeviceGet(CUdevice* device, int index) {
  *device = index;
  return answer("cuDeviceGet");
}

CUresult CUDAAPI cuDeviceGetName(char* name, int size, CUdevice device) {
  std::strncpy(name, device == 0 ? "NVIDIA Fake 9000" : "NVIDIA Old 1000", static_cast<std::size_t>(size));
  return answer("cuDeviceGetName");
}

CUresult CUDAAPI cuDeviceTotalMem(std::size_t* bytes, CUdevice device) {
  *bytes = std::size_t{device == 0 ? 140u : 8u} << 30;
  return answer("cuDeviceTotalMem");
}

CUresult CUDAAPI cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  const bool major = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
  *value = device == 0 ? (major ? 9 : 0) : (major ? 7 : 5);
  return answer("cuDeviceGetAttribute");
}

CUresult CUDAAPI cuGetErrorName(CUresult error, const char** text) {
  *text = "CUDA_ERROR_UNKNOWN";
  return error == CUDA_ERROR_UNKNOWN ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
}
