// Conversations by the million, each as the line that it is in a data set's file; on disk when they are many
// (base/spill.h). Numbered from 0 in the order in which they are added.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/spill.h"
#include "conversation/conversation.h"

namespace attune {

class ConversationStore {
 public:
  // Returns the number of the conversation.
  std::uint32_t add(const Conversation& conversation);
  std::size_t size() const { return lines_.size(); }
  bool empty() const { return lines_.empty(); }

  Conversation operator[](std::uint32_t number) const;
  // As JSON, with its line end; valid until the next add().
  std::string_view line(std::uint32_t number) const;

 private:
  struct Line {
    std::uint64_t offset;
    std::uint32_t length;
  };
  SpillBuffer text_;
  SpillVector<Line> lines_;
};

}  // namespace attune
