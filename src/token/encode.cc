#include "token/encode.h"

#include <algorithm>

#include "token/jinja/text.h"
#include "token/turns.h"

namespace attune {
namespace {

void append_part(EncodedConversation& encoded, const RenderedTurns& turns, ByteRange part, bool trained,
                 const Tokenizer& tokenizer) {
  if (part.begin >= part.end) return;
  std::vector<ByteRange> plain;
  for (const ByteRange& content : turns.contents) {
    const std::size_t begin = std::max(content.begin, part.begin), end = std::min(content.end, part.end);
    if (begin < end) plain.push_back({begin - part.begin, end - part.begin});
  }
  const std::string_view text = std::string_view(turns.text).substr(part.begin, part.end - part.begin);
  const std::vector<TokenId> ids = tokenizer.encode_part(text, part.begin > 0, plain);
  encoded.tokens.insert(encoded.tokens.end(), ids.begin(), ids.end());
  encoded.mask.resize(encoded.tokens.size(), trained ? 1 : 0);
}

EncodedConversation encode_turns(const RenderedTurns& turns, const Tokenizer& tokenizer) {
  EncodedConversation encoded;
  std::size_t at = 0;
  for (const ByteRange& answer : turns.answers) {
    append_part(encoded, turns, {at, answer.begin}, false, tokenizer);
    append_part(encoded, turns, answer, true, tokenizer);
    at = answer.end;
  }
  append_part(encoded, turns, {at, turns.text.size()}, false, tokenizer);
  return encoded;
}

}  // namespace

EncodedConversation encode_conversation(const Conversation& conversation, const ChatTemplate& chat_template,
                                        const Tokenizer& tokenizer) {
  return encode_turns(render_conversation(conversation.messages, chat_template), tokenizer);
}

std::vector<TokenId> encode_prompt(const std::vector<Message>& messages, const ChatTemplate& chat_template,
                                   const Tokenizer& tokenizer) {
  return encode_turns(render_prompt(messages, chat_template), tokenizer).tokens;
}

std::vector<TokenId> stop_tokens(const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  std::vector<TokenId> stops;
  const auto add = [&](TokenId id) {
    if (std::find(stops.begin(), stops.end(), id) == stops.end()) stops.push_back(id);
  };
  const std::string& end = chat_template.habits().end_of_turn;
  const std::vector<TokenId> ids = tokenizer.encode_part(end, true, {});
  for (TokenId id : ids) {
    if (tokenizer.is_special(id)) add(id);
  }
  // An end that is one ordinary token also stops, but white space would stop inside of an answer.
  if (stops.empty() && ids.size() == 1 && !jinja::strip(end, jinja::kBoth).empty()) add(ids[0]);
  if (tokenizer.eos) add(*tokenizer.eos);
  return stops;
}

}  // namespace attune
