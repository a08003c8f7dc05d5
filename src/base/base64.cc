#include "base/base64.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace attune {

std::string base64(std::string_view bytes) {
  if (bytes.size() > 1000000000) throw InternalError("[base64] {} bytes are too many", bytes.size());
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a zero byte
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace attune
