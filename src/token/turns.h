// Where the turns of a rendered conversation lie: which text came from messages, and which text the assistant
// must learn to produce.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conversation/conversation.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace attune {

struct RenderedTurns {
  std::string text;
  // Text of messages (ascending, disjoint). A special token in there was typed by someone and means nothing.
  std::vector<ByteRange> contents;
  // What follows the generation prompt of each assistant turn, up to the end of what ends the turn.
  std::vector<ByteRange> answers;
};

// A finished conversation. Throws UserError when the template refuses it or its turns cannot be found.
RenderedTurns render_conversation(const std::vector<Message>& messages, const ChatTemplate& chat_template);

// What a model continues to answer `messages`: a prefix of render_conversation() with the answer appended
// (unless the template itself writes the earlier turns differently then).
RenderedTurns render_prompt(const std::vector<Message>& messages, const ChatTemplate& chat_template);

// The method under both: every message is rendered between two marks, characters that occur nowhere else;
// without the marks the text must be what the messages alone render to, which proves that the marks changed
// nothing. Positions are bytes of that text; absent where the template dropped or moved the mark.
struct MarkedMessage {
  std::optional<std::size_t> begin, end;
  bool inside = false;  // of the message's outer white space, which the template may or may not have kept
};
using RenderFunction = std::function<std::string(const std::vector<Message>&)>;
// nullopt: no way to mark these messages leaves the text unchanged (a template that looks into contents).
std::optional<std::vector<MarkedMessage>> locate_messages(const std::vector<Message>& messages, const std::string& text,
                                                          const RenderFunction& render);

// Then the messages' texts are searched, one after the other, without outer white space.
std::vector<MarkedMessage> search_messages(const std::vector<Message>& messages, const std::string& text);

}  // namespace attune
