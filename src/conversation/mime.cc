#include "conversation/mime.h"

#include <algorithm>
#include <map>

#include "base/ascii.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr int kMaxDepth = 12;
constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;

using Headers = std::map<std::string, std::string>;  // by name in lower case; the first of each, unfolded

// Reads headers up to the empty line; `body` is what follows.
Headers parse_headers(std::string_view part, std::string_view& body) {
  Headers headers;
  std::string* last = nullptr;
  std::size_t at = 0;
  while (at < part.size() && at < kMaxHeaderBytes) {
    const std::size_t end = std::min(part.find('\n', at), part.size());
    std::string_view line = part.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at = end + 1;
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') {
      if (last != nullptr) last->append(" ").append(trim(line));
      continue;
    }
    const std::size_t colon = line.find(':');
    last = nullptr;
    if (colon == std::string_view::npos) continue;
    const auto [entry, added] =
        headers.try_emplace(lower_ascii(trim(line.substr(0, colon))), trim(line.substr(colon + 1)));
    if (added) last = &entry->second;
  }
  body = part.substr(std::min(at, part.size()));
  return headers;
}

std::string get(const Headers& headers, const std::string& name) {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

// A parameter of a header: charset in `text/plain; charset="utf-8"`.
std::string parameter(std::string_view value, std::string_view name) {
  const std::string folded = lower_ascii(value);
  for (std::size_t at = folded.find(name); at != std::string::npos; at = folded.find(name, at + 1)) {
    const bool whole = at > 0 && (folded[at - 1] == ';' || folded[at - 1] == ' ' || folded[at - 1] == '\t');
    std::size_t begin = at + name.size();
    if (!whole || begin >= value.size() || value[begin] != '=') continue;
    ++begin;
    if (begin < value.size() && value[begin] == '"') {
      return std::string(value.substr(begin + 1, value.find('"', begin + 1) - begin - 1));
    }
    return std::string(trim(value.substr(begin, std::min(value.find_first_of("; \t", begin), value.size()) - begin)));
  }
  return "";
}

struct Body {
  std::string plain, html;
  bool attachments = false;
};

void read_part(std::string_view part, int depth, Body& found);

void read_parts(std::string_view body, const std::string& boundary, int depth, Body& found) {
  const std::string mark = "--" + boundary;
  std::size_t begin = std::string_view::npos;
  for (std::size_t at = 0; at <= body.size();) {
    const std::size_t line = body.substr(at).starts_with(mark) ? at : body.find("\n" + mark, at);
    const std::size_t end = std::min(line, body.size());
    if (begin != std::string_view::npos) read_part(body.substr(begin, end - begin), depth + 1, found);
    if (line == std::string_view::npos) return;
    const std::size_t behind = (line == at ? line : line + 1) + mark.size();
    if (body.substr(std::min(behind, body.size())).starts_with("--")) return;
    at = std::min(body.find('\n', behind), body.size()) + 1;
    begin = std::min(at, body.size());
  }
}

void read_part(std::string_view part, int depth, Body& found) {
  if (depth > kMaxDepth) return;
  std::string_view body;
  const Headers headers = parse_headers(part, body);
  const std::string content = get(headers, "content-type");
  const std::string type =
      content.empty() ? "text/plain" : lower_ascii(trim(std::string_view(content).substr(0, content.find(';'))));
  if (type.starts_with("multipart/")) {
    const std::string boundary = parameter(content, "boundary");
    if (!boundary.empty()) read_parts(body, boundary, depth, found);
    return;
  }
  const bool attached = lower_ascii(get(headers, "content-disposition")).starts_with("attachment");
  if (attached || (type != "text/plain" && type != "text/html")) {
    found.attachments = true;
    return;
  }
  std::string& text = type == "text/plain" ? found.plain : found.html;
  const std::string encoding = lower_ascii(get(headers, "content-transfer-encoding"));
  std::string bytes = encoding == "base64"             ? decode_base64(body)
                      : encoding == "quoted-printable" ? decode_quoted_printable(body)
                                                       : std::string(body);
  bytes = decode_charset(bytes, parameter(content, "charset"));
  std::erase(bytes, '\r');
  if (!text.empty() && !bytes.empty()) text += '\n';
  text += bytes;
}

// "Anna Kiss" <anna@example.com>, anna@example.com (Anna Kiss), anna@example.com
void read_sender(const std::string& from, Mail& mail) {
  const std::size_t open = from.find('<');
  const std::size_t close = open == std::string::npos ? open : from.find('>', open);
  std::string name;
  if (close != std::string::npos) {
    name = from.substr(0, open);
    mail.address = from.substr(open + 1, close - open - 1);
  } else {
    const std::size_t comment = from.find('(');
    mail.address = from.substr(0, comment);
    if (comment != std::string::npos) name = from.substr(comment + 1, from.rfind(')') - comment - 1);
  }
  mail.address = lower_ascii(to_valid_utf8(trim(mail.address)));
  std::string decoded = decode_header(trim(name));
  std::erase(decoded, '"');
  std::erase(decoded, '\n');
  mail.name = clean_name(decoded);
}

std::vector<std::string> message_ids(const std::string& text) {
  std::vector<std::string> ids;
  for (std::size_t open = text.find('<'); open != std::string::npos; open = text.find('<', open + 1)) {
    const std::size_t close = text.find('>', open);
    if (close == std::string::npos) break;
    ids.push_back(text.substr(open + 1, close - open - 1));
  }
  return ids;
}

// The offset of a Date header, "+0130" -> 5400.
std::int64_t zone_seconds(const std::string& date) {
  const std::size_t sign = date.find_last_of("+-");
  if (sign == std::string::npos || sign + 5 > date.size() || sign < 10) return 0;
  const std::string digits = date.substr(sign + 1, 4);
  if (digits.find_first_not_of("0123456789") != std::string::npos) return 0;
  const int value = std::stoi(digits);
  return (value / 100 * 3600 + value % 100 * 60) * (date[sign] == '-' ? -1 : 1);
}

}  // namespace

Mail parse_mail(std::string_view message) {
  Mail mail;
  std::string_view body;
  const Headers headers = parse_headers(message, body);
  read_sender(get(headers, "from"), mail);
  mail.subject = decode_header(get(headers, "subject"));
  const auto ids = message_ids(get(headers, "message-id"));
  if (!ids.empty()) mail.id = ids.front();
  mail.references = message_ids(get(headers, "references"));
  for (std::string& id : message_ids(get(headers, "in-reply-to"))) mail.references.push_back(std::move(id));
  mail.date = get(headers, "date");
  if (const auto wall = parse_worded_time(mail.date)) mail.time = *wall - zone_seconds(mail.date);
  const std::string automatic = lower_ascii(get(headers, "auto-submitted"));
  mail.automatic = (!automatic.empty() && automatic != "no") ||
                   lower_ascii(get(headers, "precedence")) == "auto_reply" ||
                   mail.address.starts_with("mailer-daemon@");
  Body found;
  read_part(message, 0, found);
  mail.attachments = found.attachments;
  mail.text = trim(found.plain).empty() ? html_text(found.html) : found.plain;
  return mail;
}

}  // namespace attune
