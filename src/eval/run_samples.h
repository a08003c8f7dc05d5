// RUN/samples.json: a few held-out answers of a run under way, for its report. Like the samples of eval.json they are
// somebody's words and stay in the folder and in the report:
//
//   {"step": 120, "samples": [{"prompt", "base", "tuned", "person"}]}
//
// "base" is the answer before the first step, "tuned" that at `step`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "token/chat_template.h"

namespace attune {

struct RunSample {
  std::string prompt, answer, person;
};

// Replaces the file. At step 0 the answers are those before; later ones stand beside those that the file has of the same
// prompts, which outlives a resume. Throws UserError when the file cannot be written.
void write_run_samples(const fs::path& file, std::int64_t step, const std::vector<RunSample>& samples);

// What the user said last in a rendered prompt that ends where the answer begins; the whole prompt where the template does
// not tell.
std::string last_question(const std::string& prompt, const ChatTemplate& chat_template);

}  // namespace attune
