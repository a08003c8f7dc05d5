// A folder that `ollama create NAME -f FOLDER/Modelfile` takes: the model (and its adapter) as GGUF and a Modelfile with
// template, stop texts and parameters. INTEROP section 9.
#pragma once

#include <functional>

#include "export/gguf_model.h"
#include "export/turn_pattern.h"

namespace attune {

struct OllamaExport {
  fs::path model;
  std::optional<fs::path> adapter;
  bool separate_adapter = false;  // ADAPTER beside the base instead of merged weights
  GgufDType dtype = GgufDType::kQ8_0;
  fs::path output;  // the folder; must not exist
};

// Throws as export_gguf; Unsupported when the chat template cannot be written in Go's template language. Nothing is left
// behind then.
GgufExported export_ollama(const OllamaExport& options,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

// The pattern in the template language of Ollama (Go's text/template). `bos`, when not empty, is left out where the text
// begins with it: Ollama writes the token itself.
std::string to_go_template(const TurnPattern& pattern, const std::string& bos);

}  // namespace attune
