#include "base/digest.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace attune {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* const type = kind == DigestKind::kSha1 ? EVP_sha1() : EVP_sha256();
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, type, nullptr) != 1) {
    throw InternalError("[digest] OpenSSL refused to start a digest");
  }
}

Digest::~Digest() = default;

void Digest::update(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string Digest::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(state_->context, digest, &length);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

}  // namespace attune
