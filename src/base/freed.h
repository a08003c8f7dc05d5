// A C library's object in a std::unique_ptr: std::unique_ptr<pcre2_code, FreedBy<pcre2_code_free>>.
#pragma once

namespace attune {

template <auto Free>
struct FreedBy {
  void operator()(auto* object) const { Free(object); }
};

}  // namespace attune
