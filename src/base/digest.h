// Digests through OpenSSL: SHA-256, which names data sets, models and checkpoints, and SHA-1, which git names blobs by.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace attune {

enum class DigestKind { kSha1, kSha256 };

// An incremental digest. Not thread-safe.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  void update(std::string_view bytes);
  std::string hex();  // lower-case digits: 40 of SHA-1, 64 of SHA-256; the object must not be used afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Sha256 : public Digest {
 public:
  Sha256() : Digest(DigestKind::kSha256) {}
};

std::string sha256_hex(std::string_view bytes);

}  // namespace attune
