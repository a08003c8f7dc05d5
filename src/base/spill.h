// Arrays that may outgrow memory: small ones live on the heap; large ones move to a temporary file without a name
// (in $TMPDIR, else /var/tmp; readable by the owner only, gone with the process), of which only the pages in use
// stay resident. For data that is written once and then read mostly in order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace attune {

// Which parts of a file mapping were touched last; the pages of all others are handed back to the kernel, which
// reads them again from the file when they are needed. Addresses stay valid. One thread at a time.
class ResidentPages {
 public:
  // Keeps the block around `offset` of the mapping [data, data+size) and the few touched before it.
  void touch(const std::byte* data, std::size_t size, std::size_t offset) const {
    if (offset / kBlockBytes != last_) turn_to(data, size, offset / kBlockBytes);
  }
  // Hands back everything.
  void settle(const std::byte* data, std::size_t size) const;

 private:
  static constexpr std::size_t kBlockBytes = std::size_t{1} << 20, kNone = SIZE_MAX;
  void turn_to(const std::byte* data, std::size_t size, std::size_t block) const;
  mutable std::size_t last_ = kNone;
  mutable std::array<std::size_t, 4> recent_{kNone, kNone, kNone, kNone};
  mutable std::size_t oldest_ = 0;
};

// Text in a file mapping that does not stay resident as it is read.
class PagedText {
 public:
  PagedText() = default;
  // `mapped`: the text lies in a mapping of a file and its pages may be dropped.
  PagedText(std::string_view text, bool mapped) : text_(text), mapped_(mapped) {}

  std::string_view view(std::size_t offset, std::size_t length) const {
    touch(offset);
    return text_.substr(offset, length);
  }
  void touch(std::size_t offset) const {
    if (mapped_) pages_.touch(reinterpret_cast<const std::byte*>(text_.data()), text_.size(), offset);
  }
  std::string_view all() const { return text_; }
  std::size_t size() const { return text_.size(); }

 private:
  std::string_view text_;
  bool mapped_ = false;
  ResidentPages pages_;
};

// Bytes that grow at the end. Views are valid until the next append. Movable.
class SpillBuffer {
 public:
  SpillBuffer() = default;
  ~SpillBuffer();
  SpillBuffer(SpillBuffer&& other) noexcept;
  SpillBuffer& operator=(SpillBuffer&& other) noexcept;

  // UserError when memory or the disk of the temporary file is full.
  void append(const void* bytes, std::size_t count);
  void append(std::string_view text) { append(text.data(), text.size()); }

  std::size_t size() const { return size_; }
  std::string_view view(std::size_t offset, std::size_t length) const {
    touch(offset);
    return {reinterpret_cast<const char*>(data_) + offset, length};
  }
  PagedText text() const { return {{reinterpret_cast<const char*>(data_), size_}, file_ >= 0}; }
  std::byte* at(std::size_t offset) {
    touch(offset);
    return data_ + offset;
  }
  const std::byte* at(std::size_t offset) const {
    touch(offset);
    return data_ + offset;
  }
  // No page of the file stays resident until it is touched again.
  void settle() const {
    if (file_ >= 0) pages_.settle(data_, size_);
  }
  // Empty again; gives memory and file back.
  void clear();

 private:
  void touch(std::size_t offset) const {
    if (file_ >= 0) pages_.touch(data_, size_, offset);
  }
  void grow(std::size_t capacity);
  void move_to_file(std::size_t capacity);
  void swap(SpillBuffer& other) noexcept;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
  int file_ = -1;  // -1: on the heap
  ResidentPages pages_;
};

// The same for values of one plain type.
template <typename T>
class SpillVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  void push_back(const T& value) { bytes_.append(&value, sizeof(T)); }
  std::size_t size() const { return bytes_.size() / sizeof(T); }
  bool empty() const { return bytes_.size() == 0; }
  T& operator[](std::size_t i) { return *reinterpret_cast<T*>(bytes_.at(i * sizeof(T))); }
  const T& operator[](std::size_t i) const { return *reinterpret_cast<const T*>(bytes_.at(i * sizeof(T))); }
  const T& back() const { return (*this)[size() - 1]; }
  void settle() const { bytes_.settle(); }
  void clear() { bytes_.clear(); }

 private:
  SpillBuffer bytes_;
};

}  // namespace attune
