// SHA-256 (through OpenSSL), the digest that names data sets, models and checkpoints.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace attune {

// Incremental SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::string_view bytes);
  std::string hex();  // 64 lower-case digits; the object must not be used afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace attune
