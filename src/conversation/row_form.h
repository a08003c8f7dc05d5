// The forms that a row of training data may have (see dataset.h) and their reading into a Conversation.
#pragma once

#include <string>

#include "conversation/conversation.h"

namespace attune {

enum class RowForm { kMessages, kShareGpt, kAlpaca, kPromptCompletion };

// The form that the row's keys name. Throws BadFile with the nearest known key when there is none.
RowForm detect_row_form(const Json& row, const std::string& where);

// Throws BadFile, or Unsupported for what a row may say and attune does not train on.
Conversation conversation_from_row(const Json& row, RowForm form, const std::string& where);

}  // namespace attune
