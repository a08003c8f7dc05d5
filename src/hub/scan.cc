#include "hub/scan.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::uint64_t kBinaryBytes = std::uint64_t{16} << 20;
constexpr std::size_t kLongestLine = std::size_t{1} << 20;  // longer ones are looked at in pieces
constexpr std::size_t kOverlap = 512;                       // so that nothing is missed where two pieces meet
constexpr std::array kPersonal = {PrivateKind::kEmail, PrivateKind::kPhone, PrivateKind::kIban, PrivateKind::kCard};

bool is_personal(PrivateKind kind) { return std::find(kPersonal.begin(), kPersonal.end(), kind) != kPersonal.end(); }

// Domains set aside for examples (RFC 2606), what looks like a domain and is a file name, and git's way to name a host.
bool is_no_address(std::string_view email) {
  const std::string_view domain = email.substr(email.rfind('@') + 1);
  for (const std::string_view end : {"example.com", "example.org", "example.net", ".example", ".invalid", ".test",
                                     ".localhost", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}) {
    if (domain == end || (domain.size() > end.size() && domain.ends_with(end) &&
                          (end.front() == '.' || domain[domain.size() - end.size() - 1] == '.'))) {
      return true;
    }
  }
  return email.starts_with("git@");
}

bool looks_binary(std::string_view head) { return head.find('\0') != head.npos; }

bool is_vocabulary(const std::string& path) {
  const std::string name = fs::path(path).filename();
  return name == "tokenizer.json" || name == "tokenizer.model" || name == "vocab.json" || name == "merges.txt" ||
         name == "added_tokens.json" || name == "vocab.txt";
}

bool is_json(const std::string& path) { return path.ends_with(".json") || path.ends_with(".jsonl"); }

// \u0040 and the like as the characters they are; \n, \t and \r as blanks. Places shift, lines do not.
std::string without_json_escapes(std::string_view line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      plain += line[i];
      continue;
    }
    const char escaped = line[++i];
    if (escaped == 'n' || escaped == 't' || escaped == 'r' || escaped == 'b' || escaped == 'f') {
      plain += ' ';
    } else if (escaped == 'u' && i + 4 < line.size() && line.substr(i + 1, 2) == "00" &&
               line.substr(i + 3, 2).find_first_not_of("0123456789abcdefABCDEF") == line.npos) {
      append_utf8(plain, static_cast<char32_t>(std::stoi(std::string(line.substr(i + 3, 2)), nullptr, 16)));
      i += 4;
    } else {
      plain += escaped;
    }
  }
  return plain;
}

std::string shown_part(std::string_view found) {
  std::size_t keep = std::min<std::size_t>(5, found.size() / 3);
  while (keep > 0 && (static_cast<unsigned char>(found[keep]) & 0xC0) == 0x80) --keep;
  return to_valid_utf8(found.substr(0, keep)) + "…";
}

// Kinds allowed for the whole push, files, and lines of files.
struct Allowances {
  std::set<PrivateKind> kinds;
  std::set<std::string> files;
  std::set<std::pair<std::string, std::uint64_t>> lines;

  bool covers(const PushFinding& finding) const {
    if (lines.contains({finding.path, finding.line})) return true;
    return is_personal(finding.kind) && (kinds.contains(finding.kind) || files.contains(finding.path));
  }
};

Allowances read_allowances(const PushFiles& files, const std::vector<std::string>& texts) {
  Allowances allowances;
  const auto pushed = [&](const std::string& path) {
    return std::any_of(files.files.begin(), files.files.end(), [&](const PushFile& file) { return file.path == path; });
  };
  for (const std::string& text : texts) {
    const std::size_t colon = text.rfind(':');
    const std::string number = colon == text.npos ? "" : text.substr(colon + 1);
    const bool numbered =
        !number.empty() && number.size() < 10 && number.find_first_not_of("0123456789") == number.npos;
    if (const auto kind = private_kind_named(text); kind && is_personal(*kind)) {
      allowances.kinds.insert(*kind);
    } else if (pushed(text)) {
      allowances.files.insert(text);
    } else if (numbered && pushed(text.substr(0, colon))) {
      allowances.lines.insert({text.substr(0, colon), std::stoull(number)});
    } else {
      throw UserError("[--allow] expected email, phone, iban, card, or FILE or FILE:LINE of a pushed file, got \"{}\"",
                      text);
    }
  }
  return allowances;
}

class Scanner {
 public:
  Scanner(const ScanOptions& options, const Allowances& allowances) : options_(options), allowances_(allowances) {}

  std::vector<PushFinding> findings;

  void file(const PushFile& file) {
    const bool binary = looks_binary(text_of(file, 8192));
    if (binary) {
      piece(file.path, 0, text_of(file, kBinaryBytes), false);
      return;
    }
    const bool personal = !is_vocabulary(file.path);
    if (file.text) {
      std::istringstream stream(*file.text);
      lines(file.path, stream, personal);
    } else {
      std::ifstream stream(file.source, std::ios::binary);
      lines(file.path, stream, personal);
    }
  }

 private:
  // Line by line, in blocks, so that a file of any size and a line of any length stay small in memory.
  void lines(const std::string& path, std::istream& stream, bool personal) {
    std::string pending, block(std::size_t{1} << 20, '\0');
    std::uint64_t line = 1;
    while (stream) {
      if (options_.cancelled && options_.cancelled()) throw Interrupted("[{}] stopped by you", path);
      stream.read(block.data(), static_cast<std::streamsize>(block.size()));
      pending.append(block, 0, static_cast<std::size_t>(stream.gcount()));
      std::size_t begin = 0;
      for (std::size_t end; (end = pending.find('\n', begin)) != pending.npos; begin = end + 1, ++line) {
        text_piece(path, line, std::string_view(pending).substr(begin, end - begin), personal);
      }
      pending.erase(0, begin);
      if (pending.size() > kLongestLine) {
        text_piece(path, line, pending, personal);
        pending.erase(0, pending.size() - kOverlap);
      }
    }
    if (!pending.empty()) text_piece(path, line, pending, personal);
  }

  void text_piece(const std::string& path, std::uint64_t line, std::string_view text, bool personal) {
    if (is_json(path) && text.find('\\') != text.npos) {
      piece(path, line, without_json_escapes(text), personal);
    } else {
      piece(path, line, text, personal);
    }
  }

  void piece(const std::string& path, std::uint64_t line, std::string_view text, bool personal) {
    for (const Finding& finding : find_unpushable(text, personal)) {
      add({path, line, finding.kind, shown_part(text.substr(finding.begin, finding.end - finding.begin))});
    }
    for (const Secret& secret : options_.own_secrets) {
      if (!secret.empty() && text.find(secret.reveal()) != text.npos)
        add({path, line, PrivateKind::kToken, "your own token"});
    }
  }

  void add(PushFinding finding) {
    const bool known = !findings.empty() && findings.back().path == finding.path &&
                       findings.back().line == finding.line && findings.back().kind == finding.kind;
    if (!known && !allowances_.covers(finding)) findings.push_back(std::move(finding));
  }

  const ScanOptions& options_;
  const Allowances& allowances_;
};

}  // namespace

std::vector<Finding> find_unpushable(std::string_view text, bool personal) {
  std::vector<Finding> found;
  find_secrets(text, found);
  if (personal) {
    find_emails(text, found);
    std::erase_if(found, [](const Finding& f) { return f.kind == PrivateKind::kEmail && is_no_address(f.value); });
    find_phones(text, found);
    find_bank_numbers(text, found);
  }
  std::sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) { return a.begin < b.begin; });
  return found;
}

std::vector<PushFinding> scan(const PushFiles& files, const ScanOptions& options) {
  const Allowances allowances = read_allowances(files, options.allowed);
  Scanner scanner(options, allowances);
  for (const PushFile& file : files.files) scanner.file(file);
  return std::move(scanner.findings);
}

std::string to_text(std::span<const PushFinding> findings) {
  constexpr std::size_t kMostShown = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kMostShown); ++i) {
    const PushFinding& f = findings[i];
    const std::string place = f.line == 0 ? f.path + " (binary)" : fmt::format("{}:{}", f.path, f.line);
    text += fmt::format("  {:<40} {:<12} {}\n", place, private_kind_name(f.kind), f.shown);
  }
  if (findings.size() > kMostShown) text += fmt::format("  … and {} more\n", findings.size() - kMostShown);
  return text;
}

}  // namespace attune
