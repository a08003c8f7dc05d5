// Driver of tokenizer_test.py: loads a model folder's tokenizer and, for every document, writes its ids and the texts
// they decode to. Both files are sequences of blobs, a blob being its length in bytes (u32) and the bytes. Per document
// there is one blob of input, and of output: the ids (i32), the decoded text with special tokens, without them, and
// without them as it was streamed (only of documents up to kStreamed bytes: every step of a stream decodes anew).
// With --train it trains a tokenizer of 2000 pieces instead. ATTUNE_TOKENIZE_ROUNDS (1) is how often all documents are
// encoded for the speed that is printed; the quickest round counts.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
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
    const std::string blobs = read_file(argv[2]);
    std::vector<std::string_view> documents;
    std::size_t bytes = 0;
    for (std::size_t at = 0; at < blobs.size();) {
      std::uint32_t size = 0;
      std::memcpy(&size, blobs.data() + at, sizeof size);
      documents.push_back(std::string_view(blobs).substr(at + sizeof size, size));
      at += sizeof size + size;
      bytes += size;
    }
    std::vector<std::vector<TokenId>> ids(documents.size());
    double quickest = 1e9;
    const char* wanted = std::getenv("ATTUNE_TOKENIZE_ROUNDS");
    for (int rounds = wanted ? std::max(1, std::atoi(wanted)) : 1; rounds > 0; --rounds) {
      const std::clock_t start = std::clock();  // of the processor, whatever else the machine does
      for (std::size_t i = 0; i < documents.size(); ++i) ids[i] = tokenizer->encode(documents[i]);
      quickest = std::min(quickest, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    std::string results;
    for (std::size_t i = 0; i < documents.size(); ++i) {
      append_blob(results, {reinterpret_cast<const char*>(ids[i].data()), ids[i].size() * sizeof(TokenId)});
      append_blob(results, tokenizer->decode(ids[i], false));
      append_blob(results, tokenizer->decode(ids[i], true));
      StreamDecoder stream(*tokenizer);
      std::string streamed;
      for (const TokenId id : ids[i]) {
        if (documents[i].size() > kStreamed) break;
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
        tokenizer->vocab_size(), static_cast<double>(bytes) / 1e6 / std::max(quickest, 1e-9));
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
