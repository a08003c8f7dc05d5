#include "token/stream_decoder.h"

#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kKept = 4, kMost = 16;  // ids kept as context, and ids at which the older ones are dropped

}  // namespace

std::string StreamDecoder::push(TokenId id) {
  if (skip_special_ && tokenizer_.is_special(id)) return "";
  recent_.push_back(id);
  if (tokenizer_.is_byte_fallback(id)) return "";
  std::string bytes;
  for (std::size_t i = recent_.size(); i > 0 && bytes.size() < 8; --i) {
    bytes.insert(0, tokenizer_.token_bytes(recent_[i - 1]));
  }
  if (incomplete_utf8_tail(bytes) > 0) return "";
  return take();
}

std::string StreamDecoder::finish() {
  std::string rest = take();
  recent_.clear();
  shown_ = 0;
  return rest;
}

std::string StreamDecoder::take() {
  const std::string text = tokenizer_.decode(recent_, skip_special_);
  std::string fresh = text.size() > shown_ ? text.substr(shown_) : "";
  shown_ = text.size();
  // Every id in recent_ is settled here, so the older ones may go. Enough must stay to show some text, so that a
  // space which decode() takes from the beginning is taken from what was returned already.
  if (recent_.size() >= kMost) {
    auto begin = recent_.end() - static_cast<std::ptrdiff_t>(kKept);
    while (begin != recent_.begin() && tokenizer_.is_byte_fallback(*begin)) --begin;  // runs of bytes stay whole
    std::vector<TokenId> kept(begin, recent_.end());
    const std::string context = tokenizer_.decode(kept, skip_special_);
    if (context.find_first_not_of(' ') != std::string::npos && text.ends_with(context)) {
      recent_ = std::move(kept);
      shown_ = context.size();
    }
  }
  return fresh;
}

}  // namespace attune
