#include "token/turns.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "token/jinja/text.h"

namespace attune {
namespace {

constexpr char32_t kFirstMark = 0xF0000, kLastMark = 0xFFFFD;  // a plane for private use

bool is_blank(std::string_view text) { return jinja::strip(text, jinja::kBoth).empty(); }

// `count` consecutive code points of the plane that occur in no message; nullopt when the plane is full.
std::optional<char32_t> unused_marks(const std::vector<Message>& messages, std::size_t count) {
  std::vector<char32_t> used;
  for (const Message& message : messages) {
    // All of the plane begins with F3 B0..BF in UTF-8.
    for (std::size_t at = message.content.find('\xF3'); at != std::string::npos;
         at = message.content.find('\xF3', at + 1)) {
      const char32_t code_point = decode_utf8(message.content, at).code_point;
      if (code_point >= kFirstMark && code_point <= kLastMark) used.push_back(code_point);
    }
  }
  std::sort(used.begin(), used.end());
  char32_t first = kFirstMark;
  for (char32_t code_point : used) {
    if (code_point >= first + count) break;
    first = code_point + 1;
  }
  return first + count <= kLastMark ? std::optional(first) : std::nullopt;
}

// The message between mark 2i and mark 2i+1. Templates often strip contents: `inside` puts the marks within
// the outer white space, so that it is stripped as it is without them.
std::string marked(const Message& message, char32_t mark, bool inside) {
  const std::string_view content = message.content;
  const std::string_view rest = inside ? jinja::strip(content, jinja::kLeft) : content;
  const std::string_view core = inside ? jinja::strip(rest, jinja::kRight) : content;
  std::string text(content.substr(0, content.size() - rest.size()));
  append_utf8(text, mark);
  text += core;
  append_utf8(text, mark + 1);
  return text += rest.substr(core.size());
}

enum class Who { kEveryone, kAssistant };

std::optional<std::vector<MarkedMessage>> locate(const std::vector<Message>& messages, const std::string& text,
                                                 const RenderFunction& render, Who who, bool inside) {
  const auto first = unused_marks(messages, 2 * messages.size());
  if (!first) return std::nullopt;
  std::vector<Message> copies = messages;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    // Templates treat an empty message specially; it has nothing to mark.
    if (is_blank(copies[i].content) || (who == Who::kAssistant && copies[i].role != "assistant")) continue;
    copies[i].content = marked(copies[i], *first + static_cast<char32_t>(2 * i), inside);
  }
  std::string rendered;
  try {
    rendered = render(copies);
  } catch (const UserError&) {
    return std::nullopt;  // the marks made the template refuse
  }
  std::vector<MarkedMessage> found(messages.size());
  std::string plain;
  std::size_t at = 0;
  for (std::size_t lead = rendered.find('\xF3'); lead != std::string::npos; lead = rendered.find('\xF3', lead + 1)) {
    const Utf8Step step = decode_utf8(rendered, lead);
    if (step.code_point < *first || step.code_point >= *first + 2 * messages.size()) continue;
    plain.append(rendered, at, lead - at);
    at = step.next;
    const std::size_t mark = step.code_point - *first;
    std::optional<std::size_t>& place = mark % 2 == 0 ? found[mark / 2].begin : found[mark / 2].end;
    place = plain.size();  // of a message that is shown twice, the last one
    found[mark / 2].inside = inside;
  }
  plain.append(rendered, at);
  return plain == text ? std::optional(std::move(found)) : std::nullopt;
}

class TurnFinder {
 public:
  TurnFinder(std::vector<Message> messages, const ChatTemplate& chat_template, bool prompt)
      : messages_(std::move(messages)), template_(chat_template), prompt_(prompt) {
    turns_.text = template_.render(messages_, prompt_);
    const auto render = [&](const std::vector<Message>& copies) { return template_.render(copies, prompt_); };
    auto located = locate_messages(messages_, turns_.text, render);
    marks_are_exact_ = located.has_value();
    places_ = located ? std::move(*located) : search_messages(messages_, turns_.text);
  }

  RenderedTurns run() {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].role == "assistant") add_answer(i);
    }
    add_contents();
    return std::move(turns_);
  }

 private:
  // The prompt that asked for message i, when the text begins with it.
  std::optional<std::size_t> prompt_end(std::size_t i) const {
    try {
      const std::vector<Message> before(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(i));
      const std::string prompt = template_.render(before, true);
      if (turns_.text.starts_with(prompt)) return prompt.size();
    } catch (const UserError&) {
      // The template does not take this beginning alone.
    }
    return std::nullopt;
  }

  // Where the content of message i begins less what this template always puts between prompt and content.
  std::optional<std::size_t> usual_begin(std::size_t i) const {
    const std::string& lead = template_.habits().lead;
    const std::optional<std::size_t> content = places_[i].begin;
    if (!content || *content < lead.size()) return content;
    return turns_.text.compare(*content - lead.size(), lead.size(), lead) == 0 ? *content - lead.size() : content;
  }

  std::optional<std::size_t> answer_begin(std::size_t i) const {
    const MarkedMessage& place = places_[i];
    const std::string& content = messages_[i].content;
    const bool exact = place.begin && (!place.inside || jinja::strip(content, jinja::kLeft).size() == content.size());
    if (template_.habits().steady && exact) return usual_begin(i);
    const std::size_t earliest = turns_.answers.empty() ? 0 : turns_.answers.back().end;
    const std::optional<std::size_t> prompt = prompt_end(i);
    if (!prompt || *prompt < earliest || *prompt > place.begin.value_or(place.end.value_or(turns_.text.size()))) {
      return usual_begin(i);
    }
    // What stands between prompt and content is the model's to write, except the header of a template that has
    // no generation prompt (render_prompt() adds it).
    const std::string& header = template_.habits().header;
    const bool headed = turns_.text.compare(*prompt, header.size(), header) == 0;
    return *prompt + (headed ? header.size() : 0);
  }

  // The end of what ends the turn, from the end of message i's content on.
  std::size_t turn_end(std::size_t i, std::size_t content_end) const {
    const std::string_view rest = std::string_view(turns_.text).substr(content_end);
    const std::string& mark = template_.habits().end_of_turn;
    const std::string_view content = messages_[i].content;
    // White space after the content's end mark may have been kept, or a part of it.
    const std::string_view space = content.substr(jinja::strip(content, jinja::kRight).size());
    for (std::size_t kept = places_[i].inside && !mark.empty() ? space.size() : 0;; --kept) {
      if (rest.starts_with(space.substr(0, kept)) && rest.substr(kept).starts_with(mark)) {
        return content_end + kept + mark.size();
      }
      if (kept == 0) return content_end;
    }
  }

  // Of an empty answer, which has no marks: where the end of its turn begins.
  std::size_t empty_end(std::size_t i, std::size_t begin) const {
    const std::string& mark = template_.habits().end_of_turn;
    const std::size_t at = mark.empty() ? std::string::npos : turns_.text.find(mark, begin);
    std::size_t limit = turns_.text.size();
    for (std::size_t next = i + 1; next < places_.size(); ++next) {
      if (places_[next].begin) limit = std::min(limit, *places_[next].begin);
    }
    return at == std::string::npos || at > limit ? begin : at;
  }

  void add_answer(std::size_t i) {
    const std::optional<std::size_t> begin = answer_begin(i);
    std::optional<std::size_t> end = places_[i].end;
    if (begin && !end && is_blank(messages_[i].content)) end = empty_end(i, *begin);
    if (!end && !begin && marks_are_exact_) return;  // the template left the message out
    if (!begin || !end || *end < *begin) {
      throw UserError(
          "[chat template] cannot find where assistant message {} begins and ends in the rendered "
          "conversation; use a template that renders its content unchanged",
          i + 1);
    }
    end = turn_end(i, *end);
    std::vector<ByteRange>& answers = turns_.answers;
    if (!answers.empty() && *begin < answers.back().end) return;
    // Answers that the template joins into one turn: the joint is the assistant's as well.
    const bool joined =
        !answers.empty() && i > 0 && messages_[i - 1].role == "assistant" &&
        is_blank(std::string_view(turns_.text).substr(answers.back().end, *begin - answers.back().end)) &&
        !ends_turn(answers.back());
    if (joined)
      answers.back().end = *end;
    else
      answers.push_back({*begin, *end});
  }

  bool ends_turn(const ByteRange& answer) const {
    const std::string& mark = template_.habits().end_of_turn;
    return !mark.empty() && std::string_view(turns_.text).substr(0, answer.end).ends_with(mark);
  }

  void add_contents() {
    for (const MarkedMessage& place : places_) {
      if (place.begin && place.end && *place.begin < *place.end) turns_.contents.push_back({*place.begin, *place.end});
    }
    // A template may show messages in another order, or one inside another.
    std::sort(turns_.contents.begin(), turns_.contents.end(),
              [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
    std::vector<ByteRange> disjoint;
    for (const ByteRange& range : turns_.contents) {
      if (!disjoint.empty() && range.begin < disjoint.back().end)
        disjoint.back().end = std::max(disjoint.back().end, range.end);
      else
        disjoint.push_back(range);
    }
    turns_.contents = std::move(disjoint);
  }

  const std::vector<Message> messages_;
  const ChatTemplate& template_;
  const bool prompt_;
  RenderedTurns turns_;
  std::vector<MarkedMessage> places_;
  bool marks_are_exact_ = false;
};

std::vector<Message> valid_messages(const std::vector<Message>& messages) {
  std::vector<Message> valid = messages;
  for (Message& message : valid) message.content = to_valid_utf8(message.content);
  return valid;
}

}  // namespace

std::vector<MarkedMessage> search_messages(const std::vector<Message>& messages, const std::string& text) {
  std::vector<MarkedMessage> found(messages.size());
  std::size_t from = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string_view core = jinja::strip(messages[i].content, jinja::kBoth);
    const std::size_t at = core.empty() ? std::string::npos : text.find(core, from);
    if (at == std::string::npos) continue;
    found[i] = {at, at + core.size(), true};
    from = at + core.size();
  }
  return found;
}

std::optional<std::vector<MarkedMessage>> locate_messages(const std::vector<Message>& messages, const std::string& text,
                                                          const RenderFunction& render) {
  const bool outer_space = std::any_of(messages.begin(), messages.end(), [](const Message& message) {
    return jinja::strip(message.content, jinja::kBoth).size() != message.content.size();
  });
  for (const Who who : {Who::kEveryone, Who::kAssistant}) {
    for (const bool inside : {false, true}) {
      if (inside && !outer_space) continue;
      auto found = locate(messages, text, render, who, inside);
      if (!found) continue;
      if (who == Who::kAssistant) {
        const std::vector<MarkedMessage> searched = search_messages(messages, text);
        for (std::size_t i = 0; i < messages.size(); ++i) {
          if (messages[i].role != "assistant") (*found)[i] = searched[i];
        }
      }
      return found;
    }
  }
  return std::nullopt;
}

RenderedTurns render_conversation(const std::vector<Message>& messages, const ChatTemplate& chat_template) {
  return TurnFinder(valid_messages(messages), chat_template, false).run();
}

RenderedTurns render_prompt(const std::vector<Message>& messages, const ChatTemplate& chat_template) {
  RenderedTurns turns = TurnFinder(valid_messages(messages), chat_template, true).run();
  turns.text += chat_template.habits().header;
  return turns;
}

}  // namespace attune
