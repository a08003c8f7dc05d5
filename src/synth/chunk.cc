#include "synth/chunk.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "synth/words.h"

namespace attune {
namespace {

// What is never cut again.
struct Piece {
  std::string text;
  std::size_t length = 0;
  int level = 0;          // of a heading
  bool goes_on = false;   // a sentence of the block before
  bool repeated = false;  // overlap
};

void add_piece(std::vector<Piece>& pieces, std::string_view text, bool goes_on) {
  pieces.push_back({std::string(text), length_of(text), 0, goes_on, false});
}

// A sentence longer than `size`, cut at its last space that fits, or where `size` ends.
void cut_hard(std::vector<Piece>& pieces, std::string_view sentence, std::size_t size) {
  while (!sentence.empty()) {
    std::size_t end = 0, space = 0;
    for (std::size_t count = 0; end < sentence.size() && count < size; ++count) {
      if (sentence[end] == ' ' && end > 0) space = end;
      end = decode_utf8(sentence, end).next;
    }
    if (end < sentence.size() && space > 0) end = space;
    const std::string_view part = trim(sentence.substr(0, end));
    if (!part.empty()) add_piece(pieces, part, !pieces.empty());
    sentence.remove_prefix(end);
  }
}

std::vector<Piece> pieces_of(const TextBlock& block, std::size_t size) {
  std::vector<Piece> pieces;
  if (length_of(block.text) <= size) {
    pieces.push_back({block.text, length_of(block.text), block.level, false, false});
    return pieces;
  }
  for (const std::string_view sentence : sentences_of(block.text)) {
    if (length_of(sentence) <= size) {
      add_piece(pieces, sentence, !pieces.empty());
    } else {
      cut_hard(pieces, sentence, size);
    }
  }
  return pieces;
}

class Chunker {
 public:
  Chunker(const Document& document, const ChunkOptions& options)
      : document_(document),
        size_(static_cast<std::size_t>(options.size)),
        overlap_(static_cast<std::size_t>(options.overlap)) {}

  std::vector<Chunk> cut() {
    for (const TextBlock& block : document_.blocks) {
      for (Piece& piece : pieces_of(block, size_)) add(std::move(piece));
    }
    close(false);
    return std::move(chunks_);
  }

 private:
  static std::size_t gap(const Piece& piece) { return piece.goes_on ? 1 : 2; }

  bool fits(const Piece& piece) const { return length_ + gap(piece) + piece.length <= size_ || pieces_.empty(); }

  void add(Piece piece) {
    if (piece.level > 0) {
      if (length_ >= size_ / 2) close(false);
      std::erase_if(path_, [&](const auto& heading) { return heading.first >= piece.level; });
    } else if (has_words() && !fits(piece)) {
      close(true);
    }
    if (!fits(piece)) drop_overlap();
    if (!fits(piece)) {  // headings that leave no room: they are in heading_ already
      close(false);
      pieces_.clear();
      length_ = 0;
    }
    if (piece.level > 0) path_.emplace_back(piece.level, piece.text);
    if (std::all_of(pieces_.begin(), pieces_.end(), [](const Piece& before) { return before.repeated; })) {
      heading_ = path();
    }
    push(std::move(piece));
  }

  void push(Piece piece) {
    length_ += piece.length + (pieces_.empty() ? 0 : gap(piece));
    pieces_.push_back(std::move(piece));
  }

  // Whether there is more than headings and what was in the chunk before.
  bool has_words() const {
    return std::any_of(pieces_.begin(), pieces_.end(),
                       [](const Piece& piece) { return piece.level == 0 && !piece.repeated; });
  }

  // Makes a chunk of the pieces up to now. Headings at the end open the next one, after the overlap.
  void close(bool with_overlap) {
    if (!has_words()) return;
    std::vector<Piece> headings;
    while (pieces_.back().level > 0) {
      headings.insert(headings.begin(), std::move(pieces_.back()));
      pieces_.pop_back();
    }
    Chunk chunk{document_.name, static_cast<std::int64_t>(chunks_.size()) + 1, heading_, {}};
    for (const Piece& piece : pieces_) {
      if (!chunk.text.empty()) chunk.text += piece.goes_on ? " " : "\n\n";
      chunk.text += piece.text;
    }
    const std::string last = pieces_.back().text;
    chunks_.push_back(std::move(chunk));
    pieces_.clear();
    length_ = 0;
    if (with_overlap && headings.empty()) repeat(last);
    if (!headings.empty()) heading_ = path();
    for (Piece& heading : headings) push(std::move(heading));
  }

  // The last sentences of the chunk before, as many as the overlap has room for.
  void repeat(const std::string& last) {
    std::vector<std::string_view> sentences = sentences_of(last);
    std::size_t from = sentences.size(), length = 0;
    while (from > 0 && length + length_of(sentences[from - 1]) <= overlap_) length += length_of(sentences[--from]) + 1;
    for (; from < sentences.size(); ++from) {
      push({std::string(sentences[from]), length_of(sentences[from]), 0, !pieces_.empty(), true});
    }
  }

  void drop_overlap() {
    std::erase_if(pieces_, [](const Piece& piece) { return piece.repeated; });
    length_ = 0;
    for (const Piece& piece : pieces_) length_ += piece.length + (length_ == 0 ? 0 : gap(piece));
  }

  std::string path() const {
    std::string text;
    for (const auto& [level, heading] : path_) text += (text.empty() ? "" : " > ") + heading;
    return text;
  }

  const Document& document_;
  const std::size_t size_, overlap_;
  std::vector<Piece> pieces_;
  std::size_t length_ = 0;                         // of their text together
  std::vector<std::pair<int, std::string>> path_;  // the headings above the next piece
  std::string heading_;                            // those above the first piece
  std::vector<Chunk> chunks_;
};

}  // namespace

void check_chunk_options(const ChunkOptions& options) {
  if (options.size < 100 || options.size > 1'000'000) {
    throw UserError("[--chunk-size] expected 100 to 1000000 characters, got {}", options.size);
  }
  if (options.overlap < 0 || options.overlap > options.size / 2) {
    throw UserError("[--chunk-overlap] expected 0 to {}, half a chunk, got {}", options.size / 2, options.overlap);
  }
}

std::vector<Chunk> chunks_of(const Document& document, const ChunkOptions& options) {
  check_chunk_options(options);
  return Chunker(document, options).cut();
}

}  // namespace attune
