#include "track/mlflow_limits.h"

#include <algorithm>

namespace attune {
namespace {

bool allowed(unsigned char c) {
  const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  return word || c == '-' || c == '.' || c == ' ' || c == '/';
}

// The most bytes that a text can take as a JSON string.
std::size_t json_bytes(const std::string& text) {
  std::size_t bytes = 2;
  for (const char c : text) bytes += static_cast<unsigned char>(c) < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
  return bytes;
}

constexpr std::size_t kPairFrame = 24, kPointFrame = 110;  // names of the fields, numbers, punctuation

}  // namespace

std::string mlflow_key(const std::string& key) {
  std::string clean;
  std::string part;
  const auto end_part = [&] {
    // "." and ".." would lead elsewhere, an empty part would double the slash.
    if (part == "." || part == "..") part = "_";
    if (!part.empty()) clean += (clean.empty() ? "" : "/") + part;
    part.clear();
  };
  for (const char c : key) {
    if (c == '/') {
      end_part();
    } else {
      part += allowed(static_cast<unsigned char>(c)) ? c : '_';
    }
  }
  end_part();
  if (clean.size() > kMlflowKeyBytes) clean.resize(kMlflowKeyBytes);
  if (clean.ends_with('/')) clean.back() = '_';
  return clean.empty() ? "_" : clean;
}

std::string shortened(const std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  std::size_t end = bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

TextPairs mlflow_pairs(const TextPairs& pairs, std::size_t value_bytes) {
  TextPairs clean;
  for (const auto& [key, value] : pairs) {
    std::string name = mlflow_key(key);
    const bool taken = std::any_of(clean.begin(), clean.end(), [&](const auto& other) { return other.first == name; });
    if (!taken) clean.emplace_back(std::move(name), shortened(value, value_bytes));
  }
  return clean;
}

std::vector<MlflowBatch> mlflow_batches(std::span<const MlflowPoint> points, const TextPairs& params,
                                        const TextPairs& tags) {
  std::vector<MlflowBatch> batches;
  std::size_t bytes = kMlflowBatchBytes, entries = 0;
  const auto room_for = [&](std::size_t size) -> MlflowBatch& {
    if (bytes + size > kMlflowBatchBytes || entries == kMlflowBatchMetrics) {
      batches.emplace_back();
      bytes = entries = 0;
    }
    bytes += size;
    ++entries;
    return batches.back();
  };
  const auto add_pairs = [&](const TextPairs& pairs, TextPairs MlflowBatch::*member) {
    for (const auto& pair : pairs) {
      if (!batches.empty() && (batches.back().*member).size() == kMlflowBatchPairs) bytes = kMlflowBatchBytes;
      (room_for(kPairFrame + json_bytes(pair.first) + json_bytes(pair.second)).*member).push_back(pair);
    }
  };
  add_pairs(params, &MlflowBatch::params);
  add_pairs(tags, &MlflowBatch::tags);
  for (const MlflowPoint& point : points) room_for(kPointFrame + json_bytes(point.key)).points.push_back(point);
  return batches;
}

}  // namespace attune
