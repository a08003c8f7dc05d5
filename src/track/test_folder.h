// A folder of a test's own, removed with what is in it.
#pragma once

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

namespace attune {

struct TestFolder {
  fs::path path;
  TestFolder() {
    static int count = 0;
    path = fs::temp_directory_path() / fmt::format("attune_track_test_{}_{}", ::getpid(), count++);
    fs::create_directories(path);
  }
  ~TestFolder() { fs::remove_all(path); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
};

}  // namespace attune
