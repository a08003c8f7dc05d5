// Tables of machines from outside: any text is either refused with a UserError or gives machines whose numbers are usable.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "plan/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const attune::MachineProfile& machine :
         attune::parse_machines({reinterpret_cast<const char*>(data), size}, "fuzz")) {
      const attune::MachineSpeed& s = machine.speed;
      for (const double rate : {s.flops, s.attention, s.bandwidth, s.decode, s.disk}) {
        if (!(rate > 0) || !std::isfinite(rate)) std::abort();
      }
      if (machine.cores < 1 || !(machine.price_per_hour >= 0)) std::abort();
    }
  } catch (const attune::UserError&) {
  }
  return 0;
}
