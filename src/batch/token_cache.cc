#include "batch/token_cache.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/digest.h"
#include "base/error.h"

static_assert(std::endian::native == std::endian::little, "the columns of the file are mapped as they are");

namespace attune {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::string_view kMagic = "ATTUNETK";
constexpr std::size_t kDigits = 64, kTail = 8 + kDigits + 8;
constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 24;
constexpr std::int64_t kMost = std::int64_t{1} << 48;  // rows or tokens; keeps sums of sizes within 64 bits
constexpr std::size_t kCopy = std::size_t{1} << 20;

std::uint64_t padding_of(std::int64_t tokens) { return static_cast<std::uint64_t>(8 - tokens * 5 % 8) % 8; }

CachedPart read_part(const Json& header, const char* name) {
  const std::string where = std::string("token cache: ") + name;
  const auto found = header.find(name);
  if (found == header.end() || !found->is_object()) throw BadFile("[{}] expected an object", where);
  CachedPart part;
  const auto number = [&](const char* key) {
    const auto value = json_require<std::int64_t>(*found, key, where);
    if (value < 0 || value > kMost) throw BadFile("[{}] key \"{}\": {} cannot be", where, key, value);
    return value;
  };
  part.rows = number("rows");
  part.tokens = number("tokens");
  part.cut_rows = number("cut_rows");
  part.cut_tokens = number("cut_tokens");
  part.untrained_rows = number("untrained_rows");
  return part;
}

Json to_json(const CachedPart& part) {
  return {{"rows", part.rows},
          {"tokens", part.tokens},
          {"cut_rows", part.cut_rows},
          {"cut_tokens", part.cut_tokens},
          {"untrained_rows", part.untrained_rows}};
}

template <typename T>
std::string_view bytes_of(const T* data, std::size_t count) {
  return {reinterpret_cast<const char*>(data), count * sizeof(T)};
}

// The part that begins at `offset` of the mapped file.
TokenizedDataset map_part(const std::shared_ptr<const MappedFile>& file, const CachedPart& part, std::uint64_t offset) {
  const auto rows = static_cast<std::size_t>(part.rows), tokens = static_cast<std::size_t>(part.tokens);
  const std::byte* at = file->bytes().data() + offset;
  const auto* starts = reinterpret_cast<const std::int64_t*>(at);
  const auto* ids = reinterpret_cast<const TokenId*>(at + (rows + 1) * sizeof(std::int64_t));
  const auto* mask = reinterpret_cast<const std::uint8_t*>(ids + tokens);
  TokenizedDataset dataset;
  dataset.starts = {std::span(starts, rows + 1), file};
  dataset.tokens = {std::span(ids, tokens), file};
  dataset.mask = {std::span(mask, tokens), file};
  dataset.cut_rows = part.cut_rows;
  dataset.cut_tokens = part.cut_tokens;
  dataset.untrained_rows = part.untrained_rows;
  return dataset;
}

// What a checksum cannot promise when the writer was wrong: positions and ids that are safe to use.
bool is_sound(const TokenizedDataset& dataset, std::int64_t vocab_size) {
  if (dataset.starts[0] != 0 || dataset.starts.back() != static_cast<std::int64_t>(dataset.tokens.size())) return false;
  if (!std::is_sorted(dataset.starts.begin(), dataset.starts.end())) return false;
  return std::all_of(dataset.tokens.begin(), dataset.tokens.end(),
                     [&](TokenId id) { return id >= 0 && id < vocab_size; });
}

}  // namespace

// Bytes that are put down for later, in a file without a name.
class TokenSpool {
 public:
  explicit TokenSpool(const fs::path& folder) : folder_(folder) {
    std::string name = (folder / "spool-XXXXXX").string();
    fd_ = ::mkstemp(name.data());
    if (fd_ < 0) fail();
    ::unlink(name.c_str());
  }
  ~TokenSpool() { ::close(fd_); }
  TokenSpool(const TokenSpool&) = delete;
  TokenSpool& operator=(const TokenSpool&) = delete;

  void write(std::string_view bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t count = ::write(fd_, bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno != EINTR) fail();
      done += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
  }
  template <typename Visit>
  void read_all(const Visit& visit) {
    std::vector<char> buffer(kCopy);
    if (::lseek(fd_, 0, SEEK_SET) != 0) fail();
    for (;;) {
      const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
      if (count < 0 && errno != EINTR) fail();
      if (count == 0) return;
      if (count > 0) visit(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw UserError("[{}] cannot be written: {}", folder_.string(), std::strerror(errno));
  }
  fs::path folder_;
  int fd_ = -1;
};

std::uint64_t part_bytes(const CachedPart& part) {
  return static_cast<std::uint64_t>(part.rows + 1) * 8 + static_cast<std::uint64_t>(part.tokens) * 5 +
         padding_of(part.tokens);
}

CacheHeader read_cache_header(std::string_view json, std::uint64_t payload_bytes) {
  const std::string where = "token cache";
  const Json value = parse_json(json, where);
  if (!value.is_object()) throw BadFile("[{}] expected an object", where);
  const auto version = json_require<std::int64_t>(value, "version", where);
  if (version != kVersion) throw BadFile("[{}] expected version {}, got {}", where, kVersion, version);
  CacheHeader header;
  header.key = json_require<std::string>(value, "key", where);
  header.train = read_part(value, "train");
  header.valid = read_part(value, "valid");
  header.payload_sha256 = json_require<std::string>(value, "payload_sha256", where);
  const auto extra = value.find("extra");
  if (extra == value.end() || !extra->is_object()) throw BadFile("[{}] key \"extra\": expected an object", where);
  header.extra = *extra;
  const std::uint64_t expected = part_bytes(header.train) + part_bytes(header.valid);
  if (expected != payload_bytes) {
    throw BadFile("[{}] expected {} bytes of tokens, got {}", where, expected, payload_bytes);
  }
  return header;
}

CacheHeader read_cache_tail(std::string_view file) {
  if (file.size() < kTail || !file.ends_with(kMagic)) throw BadFile("[token cache] the end of the file is missing");
  std::uint64_t size = 0;
  std::memcpy(&size, file.data() + file.size() - kTail, sizeof size);
  if (size > kMaxHeader || size > file.size() - kTail)
    throw BadFile("[token cache] a header of {} bytes cannot be", size);
  const std::string_view json = file.substr(file.size() - kTail - size, size);
  if (sha256_hex(json) != file.substr(file.size() - 8 - kDigits, kDigits)) {
    throw BadFile("[token cache] the header is damaged");
  }
  return read_cache_header(json, file.size() - kTail - size);
}

std::optional<CachedTokens> open_token_cache(const fs::path& path, const std::string& key, std::int64_t vocab_size) {
  if (!fs::is_regular_file(path)) return std::nullopt;
  try {
    const auto file = std::make_shared<const MappedFile>(path);
    const std::string_view bytes(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
    const CacheHeader header = read_cache_tail(bytes);
    if (header.key != key) return std::nullopt;
    const std::uint64_t payload = part_bytes(header.train) + part_bytes(header.valid);
    Sha256 digest;
    for (std::uint64_t at = 0; at < payload; at += kCopy) {
      digest.update(bytes.substr(at, std::min<std::uint64_t>(kCopy, payload - at)));
    }
    if (digest.hex() != header.payload_sha256) return std::nullopt;
    CachedTokens tokens{map_part(file, header.train, 0), map_part(file, header.valid, part_bytes(header.train)),
                        header.extra};
    if (!is_sound(tokens.train, vocab_size) || !is_sound(tokens.valid, vocab_size)) return std::nullopt;
    file->release(0, payload);
    return tokens;
  } catch (const UserError&) {
    return std::nullopt;  // to be written anew
  }
}

struct TokenCacheWriter::State {
  State(const fs::path& path, std::string k)
      : key(std::move(k)), path(path), tokens(path.parent_path()), mask(path.parent_path()) {
    starts.push_back(0);
  }
  std::string key;
  fs::path path;
  std::vector<std::int64_t> starts;
  TokenSpool tokens, mask;
  CachedPart train;
};

TokenCacheWriter::TokenCacheWriter(const fs::path& path, std::string key) {
  create_folder(path.parent_path());
  state_ = std::make_unique<State>(path, std::move(key));
}

TokenCacheWriter::~TokenCacheWriter() = default;

void TokenCacheWriter::append(TokenizedDataset& rows) {
  State& s = *state_;
  const std::int64_t offset = s.starts.back();
  for (std::size_t i = 1; i < rows.starts.size(); ++i) s.starts.push_back(rows.starts[i] + offset);
  s.tokens.write(bytes_of(rows.tokens.begin(), rows.tokens.size()));
  s.mask.write(bytes_of(rows.mask.begin(), rows.mask.size()));
  s.train.rows += rows.rows();
  s.train.tokens += static_cast<std::int64_t>(rows.tokens.size());
  s.train.cut_rows += rows.cut_rows;
  s.train.cut_tokens += rows.cut_tokens;
  s.train.untrained_rows += rows.untrained_rows;
  rows = make_tokenized_dataset();
}

void TokenCacheWriter::commit(const TokenizedDataset& valid, const Json& extra) {
  State& s = *state_;
  AtomicFile file(s.path, 0600);  // the words of a private chat, in other letters
  Sha256 digest;
  const auto put = [&](std::string_view bytes) {
    digest.update(bytes);
    file.write(bytes);
  };
  const std::string zeros(8, '\0');
  put(bytes_of(s.starts.data(), s.starts.size()));
  s.tokens.read_all(put);
  s.mask.read_all(put);
  put(std::string_view(zeros).substr(0, padding_of(s.train.tokens)));
  const CachedPart part{valid.rows(), static_cast<std::int64_t>(valid.tokens.size()), valid.cut_rows, valid.cut_tokens,
                        valid.untrained_rows};
  put(bytes_of(valid.starts.begin(), valid.starts.size()));
  put(bytes_of(valid.tokens.begin(), valid.tokens.size()));
  put(bytes_of(valid.mask.begin(), valid.mask.size()));
  put(std::string_view(zeros).substr(0, padding_of(part.tokens)));
  const std::string header = to_json_line(Json{{"version", kVersion},
                                               {"key", s.key},
                                               {"train", to_json(s.train)},
                                               {"valid", to_json(part)},
                                               {"payload_sha256", digest.hex()},
                                               {"extra", extra}});
  const std::uint64_t size = header.size();
  file.write(header);
  file.write(bytes_of(&size, 1));
  file.write(std::string_view(sha256_hex(header)));
  file.write(kMagic);
  file.commit();
}

}  // namespace attune
