#include "track/tensorboard.h"

#include <utility>

#include "track/event.h"

namespace attune {

std::string board_tag(const std::string& key) {
  if (key.find('/') != std::string::npos) return key;
  return key.starts_with("eval_") ? "eval/" + key.substr(5) : "train/" + key;
}

TensorBoard::TensorBoard(fs::path folder) : folder_(std::move(folder)) {}

std::string TensorBoard::name() const { return "TensorBoard in " + folder_.string(); }

std::int64_t TensorBoard::open() {
  there_ = count_events(folder_);
  return 0;
}

void TensorBoard::deliver(std::span<const SpoolRecord> records) {
  try {
    put(records);
  } catch (const UserError&) {
    // A full disk may have taken a part: begin another file after what is whole.
    file_.reset();
    there_ = count_events(folder_) - passed_;
    throw;
  }
}

void TensorBoard::put(std::span<const SpoolRecord> records) {
  std::int64_t passed = passed_, there = there_;
  for (const SpoolRecord& record : records) {
    const auto event = event_of(record);
    const auto* const points = event ? std::get_if<Points>(&*event) : nullptr;
    if (points == nullptr) continue;
    ++passed;
    if (there > 0) {
      --there;
      continue;
    }
    std::vector<Scalar> scalars;
    for (const auto& [key, value] : points->values) scalars.push_back({board_tag(key), static_cast<float>(value)});
    if (!file_) file_.emplace(folder_);
    file_->add(static_cast<double>(points->time_ms) / 1e3, points->step, scalars);
  }
  if (file_) file_->flush();
  passed_ = passed;
  there_ = there;
  if (!records.empty()) acknowledged_ = records.back().sequence;
}

}  // namespace attune
