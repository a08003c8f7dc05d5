// The text forms of Signal's tools (signal.h).
#pragma once

#include "conversation/importer.h"

namespace attune {

bool is_signal_markdown(const std::string& name, std::string_view head);
bool is_signal_envelopes(std::string_view head);

// signal-export's chat.md. BadFile naming the line when no line is a message or a date does not exist.
ChatLog read_signal_markdown(ExportText& file, const std::string& me);
// What `signal-cli receive` prints: one log for each person and group. BadFile naming the line when a time does not exist.
std::vector<ChatLog> read_signal_envelopes(ExportText& file, const std::string& me);

}  // namespace attune
