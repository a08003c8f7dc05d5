// A long column of numbers that is owned, or lies in a mapped file and is read from there as it is needed: data sets
// larger than memory look like small ones.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace attune {

template <typename T>
class Column {
 public:
  Column() = default;
  // `view` lies in `file`, which lives as long as this.
  Column(std::span<const T> view, std::shared_ptr<const MappedFile> file) : view_(view), file_(std::move(file)) {}

  std::size_t size() const { return file_ ? view_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  const T* begin() const { return file_ ? view_.data() : own_.data(); }
  const T* end() const { return begin() + size(); }
  const T& operator[](std::size_t i) const { return begin()[i]; }
  const T& back() const { return begin()[size() - 1]; }

  // To append to. A mapped column never changes: InternalError.
  std::vector<T>& own() {
    if (file_) throw InternalError("[column] a mapped column cannot be written");
    return own_;
  }
  void push_back(T value) { own().push_back(value); }

 private:
  std::vector<T> own_;
  std::span<const T> view_;
  std::shared_ptr<const MappedFile> file_;
};

}  // namespace attune
