// Driver of tokenizer_test.py: loads a model folder's tokenizer and, for every document, writes its ids and the texts
// they decode to. Both files are sequences of blobs, a blob being its length in bytes (u32) and the bytes. Per document
// there is one blob of input, and of output: the ids (i32), the decoded text with special tokens, without them, and
// without them as it was streamed (only of documents up to kStreamed bytes: every step of a stream decodes anew).
// With --train it trains a tokenizer of 2000 pieces instead. ATTUNE_TOKENIZE_ROUNDS (1) is how often each document is
// encoded for the speed that is printed; the quickest time counts.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "token/stream_decoder.h"
#include "token/tokenizer.h"
#include "token/train_tokenizer.h"

namespace {

constexpr std::size_t kStreamed = 8192;

void append_blob(std::string& out, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace attune;
  if (argc != 4) {
    fmt::print(stderr, "usage: tokenize MODEL_FOLDER DOCUMENTS RESULTS | tokenize --train TEXT MODEL_FOLDER\n");
    return 2;
  }
  try {
    if (std::string_view(argv[1]) == "--train") {
      TokenizerRecipe recipe;
      recipe.vocab_size = 2000;
      recipe.special_tokens = {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
      recipe.eos_token = "<|end|>";
      recipe.chat_template = "{{ bos_token }}{{ messages[0].content }}";
      const std::vector<std::string> texts = {read_file(argv[2])};
      train_tokenizer(recipe, texts, argv[3]);
      return 0;
    }
    const auto tokenizer = load_tokenizer(argv[1]);
    const std::string documents = read_file(argv[2]);
    std::string results;
    double seconds = 0;
    const char* wanted = std::getenv("ATTUNE_TOKENIZE_ROUNDS");
    const int rounds = wanted ? std::max(1, std::atoi(wanted)) : 1;
    for (std::size_t at = 0; at < documents.size();) {
      std::uint32_t size = 0;
      std::memcpy(&size, documents.data() + at, sizeof size);
      const std::string_view text = std::string_view(documents).substr(at + sizeof size, size);
      at += sizeof size + size;
      std::vector<TokenId> ids;
      double quickest = 1e9;
      for (int round = 0; round < rounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        ids = tokenizer->encode(text);
        quickest = std::min(quickest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      }
      seconds += quickest;
      append_blob(results, {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(TokenId)});
      append_blob(results, tokenizer->decode(ids, false));
      append_blob(results, tokenizer->decode(ids, true));
      StreamDecoder stream(*tokenizer);
      std::string streamed;
      for (const TokenId id : ids) {
        if (text.size() > kStreamed) break;
        streamed += stream.push(id);
      }
      append_blob(results, streamed + stream.finish());
    }
    std::ofstream(argv[3], std::ios::binary) << results;
    const auto role = [](std::optional<TokenId> id) { return id.value_or(-1); };
    fmt::print(
        "{{\"bos\": {}, \"eos\": {}, \"pad\": {}, \"unk\": {}, \"add_bos\": {}, \"vocab_size\": {}, "
        "\"mb_per_s\": {:.1f}}}\n",
        role(tokenizer->bos), role(tokenizer->eos), role(tokenizer->pad), role(tokenizer->unknown), tokenizer->add_bos,
        tokenizer->vocab_size(), static_cast<double>(documents.size()) / 1e6 / std::max(seconds, 1e-9));
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
