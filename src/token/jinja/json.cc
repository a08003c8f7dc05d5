// json.dumps of Python, byte for byte.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "token/jinja/runtime.h"

namespace attune::jinja {
namespace {

void append_unit(std::string& out, unsigned unit) { out += fmt::format("\\u{:04x}", unit); }

void append_string(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
    const std::size_t escape = kEscaped.find(text[i]);
    if (escape != kEscaped.npos) {
      (out += '\\') += kLetters[escape];
    } else if (c < 0x20) {
      append_unit(out, c);
    } else if (ascii && c >= 0x80) {
      const Utf8Step step = decode_utf8(text, i);
      const char32_t point = step.code_point;
      if (point < 0x10000) {
        append_unit(out, point);
      } else {
        append_unit(out, 0xD800 + ((point - 0x10000) >> 10));
        append_unit(out, 0xDC00 + ((point - 0x10000) & 0x3FF));
      }
      i = step.next;
      continue;
    } else {
      out += text[i];
    }
    ++i;
  }
  out += '"';
}

std::string json_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return float_repr(value);
}

class Writer {
 public:
  Writer(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style) {}

  void write(const Value& value, int level) {
    if (level > kMaxNesting) fail("values are nested deeper than {} levels", kMaxNesting);
    runtime_.step();
    switch (value.type) {
      case Type::kNone:
        out += "null";
        break;
      case Type::kBool:
        out += value.boolean ? "true" : "false";
        break;
      case Type::kInt:
        out += fmt::format("{}", value.integer);
        break;
      case Type::kFloat:
        out += json_float(value.real);
        break;
      case Type::kString:
        runtime_.heap().charge(value.text().size());
        append_string(out, value.text(), style_.ascii);
        break;
      case Type::kList:
      case Type::kTuple: {
        const auto items = value.sequence().items();
        write_items('[', ']', items.size(), level, [&](std::size_t i) { write(items[i], level + 1); });
        break;
      }
      case Type::kDict:
        write_dict(value.dict(), level);
        break;
      default:
        fail("Object of type {} is not JSON serializable", type_name(value));
    }
  }

  std::string out;

 private:
  void new_line(int level) {
    if (!style_.indent) return;
    runtime_.heap().charge(style_.indent->size() * static_cast<std::size_t>(level) + 1);
    out += '\n';
    for (int i = 0; i < level; ++i) out += *style_.indent;
  }

  template <typename WriteItem>
  void write_items(char open, char close, std::size_t count, int level, WriteItem write_item) {
    out += open;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) out += style_.item_separator;
      new_line(level + 1);
      write_item(i);
    }
    if (count > 0) new_line(level);
    out += close;
  }

  static std::string key_text(const Value& key) {
    switch (key.type) {
      case Type::kString:
        return std::string(key.text());
      case Type::kNone:
        return "null";
      case Type::kBool:
        return key.boolean ? "true" : "false";
      case Type::kInt:
        return fmt::format("{}", key.integer);
      case Type::kFloat:
        return json_float(key.real);
      default:
        fail("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  void write_dict(const Dict& dict, int level) {
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto& a, const auto& b) { return runtime_.compared(a.first, b.first) < 0; });
    }
    write_items('{', '}', entries.size(), level, [&](std::size_t i) {
      append_string(out, key_text(entries[i].first), style_.ascii);
      out += style_.key_separator;
      write(entries[i].second, level + 1);
    });
  }

  Runtime& runtime_;
  const JsonStyle& style_;
};

}  // namespace

std::string to_json(Runtime& runtime, const Value& value, const JsonStyle& style) {
  Writer writer(runtime, style);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace attune::jinja
