#include "synth/document.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/error.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "synth/readers.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;

struct Reader {
  std::string_view extension;
  TextBlocks (*read)(std::string_view bytes, const std::string& where);
};

constexpr std::array kReaders = {
    Reader{".txt", text_blocks},          Reader{".text", text_blocks}, Reader{".md", markdown_blocks},
    Reader{".markdown", markdown_blocks}, Reader{".html", html_blocks}, Reader{".htm", html_blocks},
    Reader{".xhtml", html_blocks},        Reader{".pdf", pdf_blocks},   Reader{".docx", docx_blocks},
    Reader{".csv", csv_blocks},           Reader{".tsv", csv_blocks},
};

const Reader* reader_of(const fs::path& path) {
  const std::string extension = lower_ascii(path.extension().string());
  const auto found = std::find_if(kReaders.begin(), kReaders.end(),
                                  [&](const Reader& reader) { return reader.extension == extension; });
  return found == kReaders.end() ? nullptr : &*found;
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

void add_folder(DocumentFiles& found, const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (is_hidden(entry->path())) {
      entry.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  if (error) throw UserError("[{}] the folder cannot be read: {}", folder.string(), error.message());
  std::sort(files.begin(), files.end());
  for (fs::path& file : files) (reader_of(file) ? found.files : found.ignored).push_back(std::move(file));
}

}  // namespace

DocumentFiles find_documents(const std::vector<fs::path>& paths) {
  DocumentFiles found;
  for (const fs::path& path : paths) {
    if (!fs::exists(path)) throw UserError("[{}] no such file; check the path", path.string());
    if (fs::is_directory(path)) {
      add_folder(found, path);
      continue;
    }
    if (reader_of(path) == nullptr) {
      throw UserError("[{}] expected a .txt, .md, .html, .pdf, .docx or .csv document; convert it to one of them",
                      path.string());
    }
    found.files.push_back(path);
  }
  if (found.files.empty()) {
    throw UserError("[{}] holds no .txt, .md, .html, .pdf, .docx or .csv document", paths.front().string());
  }
  return found;
}

Document read_document(const fs::path& path) {
  const std::string bytes = read_file(path, kMaxFileBytes);
  Document document{to_valid_utf8(path.string()), reader_of(path)->read(bytes, path.string())};
  if (document.blocks.empty()) throw BadFile("[{}] the document has no words; leave it out", path.string());
  return document;
}

void add_block(TextBlocks& blocks, int level, std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    i = step.next;
    const char32_t c = step.code_point;
    const bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) || c == 0xAD;
    if (!control && !is_mark(c)) append_utf8(clean, c);
  }
  const std::string_view trimmed = trim(clean);
  if (!trimmed.empty()) blocks.push_back({level, std::string(trimmed)});
}

}  // namespace attune
