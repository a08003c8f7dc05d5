// metrics.jsonl: one JSON object per logged event, appended as it happens, readable while the run goes on.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>

#include "base/file.h"
#include "base/freed.h"
#include "base/json.h"

namespace attune {

class MetricsLog {
 public:
  // Opens the log of a run. Lines of steps beyond `after_step` (written after the checkpoint that a run resumes from)
  // and a torn last line are dropped, so that no step appears twice.
  MetricsLog(const fs::path& path, std::int64_t after_step);

  void append(const Json& line);  // one line, flushed; UserError on a full disk

 private:
  fs::path path_;
  std::unique_ptr<std::FILE, FreedBy<std::fclose>> file_;
};

}  // namespace attune
