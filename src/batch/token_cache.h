// Tokens of a data set on disk, mapped when they are used: tokenizing is done once, and the data may be larger than
// memory. One file:
//
//   train   starts i64[rows + 1] | tokens i32[n] | mask u8[n] | zeros up to a multiple of 8
//   valid   the same
//   header  one line of JSON: version, key, counts of both parts, SHA-256 of the payload, and what the caller adds
//   tail    u64 bytes of the header | 64 hex digits: SHA-256 of the header | "ATTUNETK"; numbers are little-endian
//
// The header comes last because sizes are known last; the file is written under a temporary name and renamed. A file
// that does not say what is expected, down to the checksum, is not used but written anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "batch/batch.h"

namespace attune {

struct CachedPart {
  std::int64_t rows = 0, tokens = 0, cut_rows = 0, cut_tokens = 0, untrained_rows = 0;
};

struct CacheHeader {
  std::string key;  // what the tokens were made from: data, tokenizer, template, options
  CachedPart train, valid;
  std::string payload_sha256;
  Json extra;  // the caller's own, an object
};

// Bytes of a part in the file.
std::uint64_t part_bytes(const CachedPart& part);

// The header and its checks: version, counts that cannot be, and whether the payload has the size that it says. BadFile.
CacheHeader read_cache_header(std::string_view json, std::uint64_t payload_bytes);
// The header of a whole file. BadFile when the tail, the checksum of the header, or read_cache_header() refuse it.
CacheHeader read_cache_tail(std::string_view file);

struct CachedTokens {
  TokenizedDataset train, valid;
  Json extra;
};

// The tokens in `path`, mapped, or nullopt when there is no such file or it is not whole, not of `key`, or holds an id
// that is not below vocab_size. Reads the file once to check it; it does not stay in memory.
std::optional<CachedTokens> open_token_cache(const fs::path& path, const std::string& key, std::int64_t vocab_size);

// Writes a cache file row by row; commit() makes it visible. Nothing stays behind without it. The tokens go to one
// temporary file per column, so memory holds the starts only.
class TokenCacheWriter {
 public:
  // Creates the folder of `path`. UserError when it cannot be written.
  TokenCacheWriter(const fs::path& path, std::string key);
  ~TokenCacheWriter();
  TokenCacheWriter(const TokenCacheWriter&) = delete;
  TokenCacheWriter& operator=(const TokenCacheWriter&) = delete;

  // Moves the rows of `rows` to the end of the training part and empties it; its counts are added up.
  void append(TokenizedDataset& rows);
  // `valid` is written whole.
  void commit(const TokenizedDataset& valid, const Json& extra);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attune
