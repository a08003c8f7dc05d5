// What of a path is pushed: an adapter's, a model's or a data set's files, and not what a run keeps for itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace attune {

struct PushFile {
  std::string path;                 // in the repository
  fs::path source;                  // on disk
  std::optional<std::string> text;  // pushed in place of the source's bytes (a card, a config without a local path)
  std::uint64_t size = 0;
};

struct PushFiles {
  std::vector<PushFile> files;        // by path
  std::vector<std::string> left_out;  // "path (why)"
};

// A file, or a folder with all below it. Left out: hidden files and folders, optimizer state and positions of a checkpoint,
// files of keys. UserError when nothing is left, when a name cannot be a path of a repository, or when the folder is a whole
// run (its result is named instead).
PushFiles collect_push_files(const fs::path& path);

// Adds, or replaces by path.
void put_file(PushFiles& files, PushFile file);

// The text of a file that is to be pushed, at most max_bytes of it.
std::string text_of(const PushFile& file, std::uint64_t max_bytes);

}  // namespace attune
