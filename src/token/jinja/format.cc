// Python's two ways to format text: "..." % values and "...".format(values).
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "token/jinja/runtime.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

constexpr std::size_t kMaxWidth = 1'000'000;
constexpr std::size_t kMaxValue = std::size_t{1} << 24;

struct Spec {
  std::string fill = " ";
  char align = '\0', sign = '\0', type = '\0', grouping = '\0';
  bool alternate = false, zero = false;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
};

std::size_t read_number(std::string_view text, std::size_t& at) {
  std::size_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + static_cast<std::size_t>(text[at++] - '0');
    if (value > kMaxWidth) fail("a width or precision is larger than {}", kMaxWidth);
  }
  return value;
}

std::string group(std::string digits, char separator, std::size_t every) {
  std::size_t end = std::min(digits.find('.'), digits.size());
  end = std::min(end, digits.find('e'));
  for (std::size_t i = end; i > every; i -= every) digits.insert(i - every, 1, separator);
  return digits;
}

std::string integer_digits(std::uint64_t magnitude, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string float_digits(double magnitude, char type, std::size_t precision, bool alternate) {
  if (std::isnan(magnitude) || std::isinf(magnitude)) {
    const std::string name = std::isnan(magnitude) ? "nan" : "inf";
    return type >= 'A' && type <= 'Z' ? to_upper(name) : name;
  }
  if (precision > 1000) fail("a precision is larger than 1000");
  const int digits = static_cast<int>(precision);
  const auto print = [&](const char* pattern) {
    char text[1400];
    const int size = std::snprintf(text, sizeof text, pattern, digits, magnitude);
    return std::string(text, static_cast<std::size_t>(size));
  };
  switch (type) {
    case 'e':
      return alternate ? print("%#.*e") : print("%.*e");
    case 'E':
      return alternate ? print("%#.*E") : print("%.*E");
    case 'g':
      return alternate ? print("%#.*g") : print("%.*g");
    case 'G':
      return alternate ? print("%#.*G") : print("%.*G");
    default:
      return alternate ? print("%#.*f") : print("%.*f");
  }
}

// Sign, prefix and digits within the width.
std::string pad_number(const Spec& spec, std::string sign, const std::string& digits) {
  const std::size_t length = sign.size() + count_code_points(digits);
  if (spec.width <= length) return sign + digits;
  std::string padding;
  for (std::size_t i = length; i < spec.width; ++i) padding += spec.fill;
  switch (spec.align) {
    case '<':
      return sign + digits + padding;
    case '=':
      return sign + padding + digits;
    case '^': {
      const std::size_t left = (spec.width - length) / 2;
      return padding.substr(0, left * spec.fill.size()) + sign + digits + padding.substr(left * spec.fill.size());
    }
    default:
      return padding + sign + digits;
  }
}

std::string sign_text(const Spec& spec, bool negative) {
  if (negative) return "-";
  return spec.sign == '+' || spec.sign == ' ' ? std::string(1, spec.sign) : "";
}

std::string format_integer(const Spec& spec, std::int64_t value) {
  const std::uint64_t magnitude = value < 0 ? -static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string sign = sign_text(spec, value < 0);
  std::string digits = integer_digits(magnitude, spec.type);
  if (spec.precision && digits.size() < *spec.precision) digits.insert(0, *spec.precision - digits.size(), '0');
  if (spec.grouping != '\0') {
    const bool decimal = spec.type == '\0' || spec.type == 'd';
    digits = group(digits, spec.grouping, decimal ? 3 : 4);
  }
  if (spec.alternate && (spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b')) {
    (sign += '0') += spec.type;
  }
  return pad_number(spec, sign, digits);
}

std::string format_float(const Spec& spec, double value) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::fabs(value);
  std::string digits;
  if (spec.type == '%')
    digits = float_digits(magnitude * 100, 'f', spec.precision.value_or(6), spec.alternate) + "%";
  else if (spec.type != '\0')
    digits = float_digits(magnitude, spec.type, spec.precision.value_or(6), spec.alternate);
  else if (spec.precision) {
    digits = float_digits(magnitude, 'g', std::max<std::size_t>(1, *spec.precision), false);
    if (digits.find_first_of(".en") == digits.npos) digits += ".0";
  } else {
    digits = float_repr(magnitude);
  }
  if (spec.grouping != '\0') digits = group(digits, spec.grouping, 3);
  return pad_number(spec, sign_text(spec, negative), digits);
}

std::string format_text(const Spec& spec, std::string_view text) {
  std::string shown(text);
  if (spec.precision) shown = encode(std::u32string_view(decode(text)).substr(0, *spec.precision));
  Spec padded = spec;
  if (padded.align == '\0' || padded.align == '=') padded.align = '<';
  return pad_number(padded, "", shown);
}

// -- %

class PercentFormat {
 public:
  PercentFormat(Runtime& runtime, std::string_view text, const Value& argument)
      : runtime_(runtime), text_(text), argument_(argument) {}

  std::string run() {
    std::string out;
    while (at_ < text_.size()) {
      runtime_.step();
      if (text_[at_] != '%') {
        out += text_[at_++];
        continue;
      }
      ++at_;
      out += conversion();
      runtime_.heap().charge(64);
      if (out.size() > kMaxValue) fail("a formatted text is larger than {} bytes", kMaxValue);
    }
    const bool mapping = argument_.is(Type::kDict) || argument_.is(Type::kList) || argument_.is(Type::kUndefined) ||
                         argument_.is(Type::kRange);
    const bool unused = argument_.is(Type::kTuple) ? next_ < argument_.sequence().size : next_ == 0 && !mapping;
    if (unused && !used_mapping_) fail("not all arguments converted during string formatting");
    return out;
  }

 private:
  Value next() {
    if (argument_.is(Type::kTuple)) {
      if (next_ >= argument_.sequence().size) fail("not enough arguments for format string");
      return argument_.sequence().at(next_++);
    }
    if (next_++ > 0) fail("not enough arguments for format string");
    return argument_;
  }

  std::size_t star_or_number(bool& negative) {
    if (at_ < text_.size() && text_[at_] == '*') {
      ++at_;
      const Value value = next();
      if (!value.is_integral()) fail("* wants int");
      negative = value.as_integer() < 0;
      const auto bits = static_cast<std::uint64_t>(value.as_integer());
      const std::uint64_t magnitude = negative ? -bits : bits;
      if (magnitude > kMaxWidth) fail("a width or precision is larger than {}", kMaxWidth);
      return magnitude;
    }
    return read_number(text_, at_);
  }

  std::string conversion() {
    const std::size_t begin = at_;
    std::optional<Value> keyed;
    if (at_ < text_.size() && text_[at_] == '(') {
      const std::size_t close = text_.find(')', at_);
      if (close == text_.npos) fail("incomplete format key");
      if (!argument_.is(Type::kDict)) fail("format requires a mapping");
      const Value* found = argument_.dict().find(text_.substr(at_ + 1, close - at_ - 1));
      if (found == nullptr) fail("the format key '{}' is missing", text_.substr(at_ + 1, close - at_ - 1));
      keyed = *found;
      used_mapping_ = true;
      at_ = close + 1;
    }
    Spec spec;
    spec.align = '>';
    bool left = false;
    for (; at_ < text_.size() && std::string_view("#0- +").find(text_[at_]) != std::string_view::npos; ++at_) {
      if (text_[at_] == '#')
        spec.alternate = true;
      else if (text_[at_] == '0')
        spec.zero = true;
      else if (text_[at_] == '-')
        left = true;
      else if (spec.sign != '+')
        spec.sign = text_[at_];
    }
    bool negative = false;
    spec.width = star_or_number(negative);
    left = left || negative;
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      bool negative_precision = false;
      spec.precision = star_or_number(negative_precision);
      if (negative_precision) spec.precision = 0;
    }
    while (at_ < text_.size() && std::string_view("hlL").find(text_[at_]) != std::string_view::npos) ++at_;
    if (at_ >= text_.size()) fail("incomplete format");
    const char type = text_[at_++];
    if (type == '%' && at_ - begin == 1) return "%";
    if (left) spec.align = '<';
    const Value value = keyed ? *keyed : next();
    return convert(spec, type, value, left);
  }

  std::string convert(Spec spec, char type, const Value& value, bool left) {
    if (type == 's' || type == 'r' || type == 'a') {
      std::string text;
      if (type == 's')
        text = runtime_.str(value);
      else
        append_repr(text, value, kMaxValue);
      return format_text(spec, text);
    }
    if (type == 'c') {
      std::string text;
      if (value.is(Type::kString) && value.string().length == 1)
        text = value.text();
      else if (value.is_integral() && value.as_integer() >= 0 && value.as_integer() < 0x110000) {
        append_utf8(text, static_cast<char32_t>(value.as_integer()));
      } else {
        fail("%c requires int or char");
      }
      return format_text(spec, text);
    }
    if (value.is(Type::kUndefined)) fail("{}", value.as<Undefined>().reason());
    if (spec.zero && !left) {
      spec.fill.assign(1, '0');
      spec.align = '=';
    }
    if (std::string_view("diuxXo").find(type) != std::string_view::npos) {
      spec.type = type == 'i' || type == 'u' ? 'd' : type;
      if (value.is_integral()) return format_integer(spec, value.as_integer());
      if (!value.is(Type::kFloat) || spec.type != 'd')
        fail("%{} format: a number is required, not {}", type, type_name(value));
      return format_integer(spec, float_to_integer(value.real).integer);
    }
    if (std::string_view("eEfFgG").find(type) == std::string_view::npos) {
      fail("unsupported format character '{}'", quote(std::string_view(&type, 1)));
    }
    if (!value.is_number()) fail("must be real number, not {}", type_name(value));
    spec.type = type;
    return format_float(spec, value.as_real());
  }

  Runtime& runtime_;
  std::string_view text_;
  const Value& argument_;
  std::size_t at_ = 0, next_ = 0;
  bool used_mapping_ = false;
};

// -- format()

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '=' || c == '^'; };
  if (!text.empty()) {
    const std::size_t after = decode_utf8(text, 0).next;
    if (after < text.size() && is_align(text[after])) {
      spec.fill = text.substr(0, after);
      spec.align = text[after];
      at = after + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](std::string_view characters) {
    return at < text.size() && characters.find(text[at]) != characters.npos ? text[at++] : '\0';
  };
  spec.sign = take("+- ");
  spec.alternate = take("#") != '\0';
  if (take("0") != '\0') {
    spec.zero = true;
    if (spec.align == '\0') {
      spec.align = '=';
      spec.fill.assign(1, '0');
    }
  }
  spec.width = read_number(text, at);
  spec.grouping = take(",_");
  if (take(".") != '\0') {
    const std::size_t before = at;
    spec.precision = read_number(text, at);
    if (at == before) fail("Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) fail("Invalid format specifier");
  return spec;
}

std::string format_value(Runtime& runtime, const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return runtime.str(value);
  const Spec spec = parse_spec(spec_text);
  const bool float_type = spec.type != '\0' && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is(Type::kString)) {
    if ((spec.type != '\0' && spec.type != 's') || spec.sign != '\0' || spec.alternate || spec.grouping != '\0' ||
        (spec.align == '=' && !spec.zero)) {
      fail("Invalid format specifier for object of type 'str'");
    }
    return format_text(spec, value.text());
  }
  if (value.is(Type::kFloat) || (value.is_integral() && float_type)) {
    if (spec.type != '\0' && !float_type) fail("Unknown format code '{}' for object of type 'float'", spec.type);
    return format_float(spec, value.as_real());
  }
  if (value.is_integral()) {
    if (spec.type != '\0' && std::string_view("dxXob").find(spec.type) == std::string_view::npos) {
      fail("Unknown format code '{}' for object of type 'int'", spec.type);
    }
    if (spec.precision) fail("Precision not allowed in integer format specifier");
    return format_integer(spec, value.as_integer());
  }
  fail("unsupported format string passed to {}.__format__", type_name(value));
}

class BraceFormat {
 public:
  BraceFormat(Runtime& runtime, const Arguments& arguments) : runtime_(runtime), arguments_(arguments) {}

  std::string run(std::string_view text, int nesting = 0) {
    if (nesting > 1) fail("Max string recursion exceeded");
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      runtime_.step();
      const char c = text[at];
      if ((c == '{' || c == '}') && at + 1 < text.size() && text[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        fail("Single '}}' encountered in format string");
      } else if (c != '{') {
        out += c;
        ++at;
      } else {
        const std::size_t close = matching(text, at);
        out += field(text.substr(at + 1, close - at - 1), nesting);
        at = close + 1;
        runtime_.heap().charge(64);
        if (out.size() > kMaxValue) fail("a formatted text is larger than {} bytes", kMaxValue);
      }
    }
    return out;
  }

 private:
  static std::size_t matching(std::string_view text, std::size_t open) {
    int depth = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
      depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
      if (depth == 0) return i;
    }
    fail("expected '}}' before end of string");
  }

  std::string field(std::string_view text, int nesting) {
    const std::size_t bracket_end = text.rfind(']');
    const std::size_t from = bracket_end == text.npos ? 0 : bracket_end;
    const std::size_t colon = text.find(':', text.find('[') < text.find(':') ? from : 0);
    std::string_view name = text.substr(0, colon);
    char conversion = '\0';
    if (const std::size_t mark = name.find('!'); mark != name.npos) {
      if (mark + 2 != name.size()) fail("expected ':' after conversion specifier");
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    Value value = lookup(name);
    const std::string spec = colon == text.npos ? "" : run(text.substr(colon + 1), nesting + 1);
    if (conversion == 's') {
      value = runtime_.string(runtime_.str(value));
    } else if (conversion == 'r' || conversion == 'a') {
      std::string repr;
      append_repr(repr, value, kMaxValue);
      value = runtime_.string(repr);
    } else if (conversion != '\0') {
      fail("Unknown conversion specifier '{}'", conversion);
    }
    return format_value(runtime_, value, spec);
  }

  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    Value value;
    if (first.empty()) {
      value = positional(automatic_++);
    } else if (first.find_first_not_of("0123456789") == first.npos) {
      std::size_t at = 0;
      value = positional(read_number(first, at));
    } else {
      const auto found = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                      [&](const auto& entry) { return entry.first == first; });
      if (found == arguments_.named.end()) fail("the format key '{}' is missing", first);
      value = found->second;
    }
    std::string_view rest = name.substr(end);
    while (!rest.empty()) {
      if (rest[0] == '.') {
        const std::size_t stop = std::min(rest.find_first_of(".[", 1), rest.size());
        value = runtime_.get_attribute(value, runtime_.string(rest.substr(1, stop - 1)));
        rest = rest.substr(stop);
      } else {
        const std::size_t close = rest.find(']');
        if (rest[0] != '[' || close == rest.npos) fail("Missing ']' in format string");
        const std::string_view key = rest.substr(1, close - 1);
        const bool number = !key.empty() && key.find_first_not_of("0123456789") == key.npos;
        std::size_t at = 0;
        value = runtime_.get_item(
            value, number ? Value::of(static_cast<std::int64_t>(read_number(key, at))) : runtime_.string(key));
        rest = rest.substr(close + 1);
      }
    }
    return value;
  }

  Value positional(std::size_t i) const {
    if (i >= arguments_.positional.size()) fail("Replacement index {} out of range for positional args tuple", i);
    return arguments_.positional[i];
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  std::size_t automatic_ = 0;
};

}  // namespace

std::string format_percent(Runtime& runtime, std::string_view text, const Value& argument) {
  return PercentFormat(runtime, text, argument).run();
}

std::string format_braces(Runtime& runtime, std::string_view text, const Arguments& arguments) {
  return BraceFormat(runtime, arguments).run(text);
}

}  // namespace attune::jinja
