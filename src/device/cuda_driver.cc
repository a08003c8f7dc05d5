// The driver is opened when asked for and not linked, so that the program also starts where there is none.
#include <cuda.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

#include "device/gpu.h"

namespace attune {
namespace {

// libcuda.so.1, closed at the end.
class DriverLibrary {
 public:
  DriverLibrary() : handle_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}
  DriverLibrary(const DriverLibrary&) = delete;
  DriverLibrary& operator=(const DriverLibrary&) = delete;
  ~DriverLibrary() {
    if (handle_) dlclose(handle_);
  }
  explicit operator bool() const { return handle_ != nullptr; }

  // nullptr: the driver is older than the function.
  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

struct Driver {
  decltype(cuInit)* init;
  decltype(cuDriverGetVersion)* version;
  decltype(cuDeviceGetCount)* count;
  decltype(cuDeviceGet)* get;
  decltype(cuDeviceGetName)* name;
  decltype(cuDeviceTotalMem)* memory;  // cuda.h renames it to its second version
  decltype(cuDeviceGetAttribute)* attribute;
  decltype(cuGetErrorName)* error_name;

  explicit Driver(const DriverLibrary& library)
      : init(library.find<decltype(cuInit)>("cuInit")),
        version(library.find<decltype(cuDriverGetVersion)>("cuDriverGetVersion")),
        count(library.find<decltype(cuDeviceGetCount)>("cuDeviceGetCount")),
        get(library.find<decltype(cuDeviceGet)>("cuDeviceGet")),
        name(library.find<decltype(cuDeviceGetName)>("cuDeviceGetName")),
        memory(library.find<decltype(cuDeviceTotalMem)>("cuDeviceTotalMem_v2")),
        attribute(library.find<decltype(cuDeviceGetAttribute)>("cuDeviceGetAttribute")),
        error_name(library.find<decltype(cuGetErrorName)>("cuGetErrorName")) {}
  bool complete() const { return init && version && count && get && name && memory && attribute && error_name; }

  std::string name_of(CUresult error) const {
    const char* text = nullptr;
    return error_name(error, &text) == CUDA_SUCCESS && text ? text : fmt::format("error {}", static_cast<int>(error));
  }
};

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// CUDA_SUCCESS, or what the driver refused.
CUresult describe(const Driver& driver, int index, Gpu& gpu) {
  CUdevice device = 0;
  std::array<char, 256> name{};
  std::size_t bytes = 0;
  CUresult result = driver.get(&device, index);
  if (result == CUDA_SUCCESS) result = driver.name(name.data(), static_cast<int>(name.size()) - 1, device);
  if (result == CUDA_SUCCESS) result = driver.memory(&bytes, device);
  if (result == CUDA_SUCCESS)
    result = driver.attribute(&gpu.compute_major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
  if (result == CUDA_SUCCESS)
    result = driver.attribute(&gpu.compute_minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
  gpu.name = name.data();
  gpu.memory_bytes = bytes;
  return result;
}

}  // namespace

GpuSurvey survey_gpus() {
  const DriverLibrary library;
  if (!library) return {{}, "", "this machine has no NVIDIA driver (libcuda.so.1)"};
  const Driver driver(library);
  int version = 0;
  // A driver of one major version runs every program that was built with it: NVIDIA's minor version compatibility.
  if (!driver.complete() || driver.version(&version) != CUDA_SUCCESS || version / 1000 < CUDA_VERSION / 1000) {
    return {
        {},
        version ? version_text(version) : "",
        fmt::format("the NVIDIA driver is too old: it speaks CUDA {}, and this build needs {}.0; install a newer one",
                    version ? version_text(version) : "of an unknown version", CUDA_VERSION / 1000)};
  }
  GpuSurvey survey{{}, version_text(version), ""};
  int count = 0;
  CUresult result = driver.init(0);
  if (result == CUDA_SUCCESS) result = driver.count(&count);
  if (result == CUDA_ERROR_NO_DEVICE || (result == CUDA_SUCCESS && count == 0)) {
    survey.problem =
        "the NVIDIA driver sees no GPU here; is it given to this container, and not hidden by "
        "CUDA_VISIBLE_DEVICES?";
    return survey;
  }
  for (int i = 0; i < count && result == CUDA_SUCCESS; ++i) {
    Gpu gpu;
    result = describe(driver, i, gpu);
    if (result == CUDA_SUCCESS) survey.gpus.push_back(std::move(gpu));
  }
  if (result != CUDA_SUCCESS)
    survey.problem = fmt::format("the NVIDIA driver fails with {}; see what nvidia-smi says", driver.name_of(result));
  return survey;
}

}  // namespace attune
