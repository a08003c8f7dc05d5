#include "token/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

constexpr std::size_t kIndexFrom = 8;  // dicts below this size are searched linearly
constexpr std::size_t kNotFound = static_cast<std::size_t>(-1);

void check_nesting(int nesting) {
  if (nesting > kMaxNesting) fail("values are nested deeper than {} levels", kMaxNesting);
}

int sign(bool less, bool greater) { return less ? -1 : greater ? 1 : 0; }

// Exact comparison of an integer with a double (a conversion of the integer would round it).
int compare_mixed(std::int64_t a, double b) {
  if (std::isnan(b)) return 2;
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  const double whole = std::trunc(b);
  const auto integer = static_cast<std::int64_t>(whole);
  if (a != integer) return a < integer ? -1 : 1;
  return sign(whole<b, whole> b);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return sign(a.as_integer() < b.as_integer(), a.as_integer() > b.as_integer());
  if (a.is_integral()) return compare_mixed(a.as_integer(), b.real);
  if (b.is_integral()) {
    const int reversed = compare_mixed(b.as_integer(), a.real);
    return reversed == 2 ? 2 : -reversed;
  }
  if (std::isnan(a.real) || std::isnan(b.real)) return 2;
  return sign(a.real<b.real, a.real> b.real);
}

bool equal_dicts(const Dict& a, const Dict& b, int nesting) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(entry.second, *other, nesting + 1);
  });
}

void check_size(const std::string& out, std::size_t limit) {
  if (out.size() > limit) fail("the template needs more than {} MiB of memory", limit >> 20);
}

}  // namespace

std::size_t weight(const Value& value) {
  switch (value.type) {
    case Type::kString:
      return 1 + value.text().size() / 64;
    case Type::kList:
    case Type::kTuple:
      return value.sequence().weight;
    case Type::kDict:
      return value.dict().weight;
    case Type::kView:
      return value.as<View>().dict.dict().weight;
    default:
      return 1;
  }
}

Str::Str(std::string_view value, bool is_markup) : text(value), length(count_code_points(value)), markup(is_markup) {}

std::size_t Dict::position(const Value& key) const {
  if (entries.size() < kIndexFrom) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (equal(entries[i].first, key)) return i;
    }
    return kNotFound;
  }
  const auto [first, last] = index_.equal_range(hash_value(key));
  for (auto it = first; it != last; ++it) {
    if (equal(entries[it->second].first, key)) return it->second;
  }
  return kNotFound;
}

const Value* Dict::find(const Value& key) const {
  const std::size_t at = position(key);
  return at == kNotFound ? nullptr : &entries[at].second;
}

const Value* Dict::find(std::string_view key) const {
  if (entries.size() < kIndexFrom) {
    for (const auto& [name, value] : entries) {
      if (name.is(Type::kString) && name.text() == key) return &value;
    }
    return nullptr;
  }
  const auto [first, last] = index_.equal_range(std::hash<std::string_view>{}(key));
  for (auto it = first; it != last; ++it) {
    const Value& name = entries[it->second].first;
    if (name.is(Type::kString) && name.text() == key) return &entries[it->second].second;
  }
  return nullptr;
}

void Dict::set(const Value& key, const Value& value) {
  weight = std::min(kMaxWeight, weight + jinja::weight(key) + jinja::weight(value));
  const std::size_t hash = hash_value(key);
  const std::size_t at = position(key);
  if (at != kNotFound) {
    entries[at].second = value;
    return;
  }
  entries.emplace_back(key, value);
  if (entries.size() == kIndexFrom) {
    for (std::size_t i = 0; i < entries.size(); ++i) index_.emplace(hash_value(entries[i].first), i);
  } else if (entries.size() > kIndexFrom) {
    index_.emplace(hash, entries.size() - 1);
  }
}

std::string Undefined::reason() const {
  if (!hint.empty()) return hint;
  if (owner.missing()) return fmt::format("'{}' is undefined", name.text());
  std::string key;
  append_repr(key, name, 10000);
  return owner.is(Type::kNone) ? fmt::format("None has no {} {}", name.is(Type::kString) ? "attribute" : "element", key)
                               : fmt::format("'{} object' has no {} {}", type_name(owner),
                                             name.is(Type::kString) ? "attribute" : "element", key);
}

Value* Namespace::find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Heap::charge(std::size_t bytes) {
  used_ += bytes;
  if (bytes > limit_ || used_ > limit_) fail("the template needs more than {} MiB of memory", limit_ >> 20);
}

Value Heap::string(std::string_view text, bool markup) {
  charge(text.size());
  return {Type::kString, make<Str>(text, markup)};
}

Value Heap::sequence(Type type, std::vector<Value> values) {
  charge(values.size() * sizeof(Value));
  auto* buffer = make<Buffer>();
  buffer->values = std::move(values);
  auto* sequence = make<Sequence>();
  sequence->buffer = buffer;
  sequence->size = buffer->values.size();
  for (const Value& value : buffer->values) sequence->weight = std::min(kMaxWeight, sequence->weight + weight(value));
  return {type, sequence};
}

Value Heap::list(std::vector<Value> values) { return sequence(Type::kList, std::move(values)); }
Value Heap::tuple(std::vector<Value> values) { return sequence(Type::kTuple, std::move(values)); }

Value Heap::undefined(std::string hint) {
  auto* object = make<Undefined>();
  object->hint = std::move(hint);
  return {Type::kUndefined, object};
}

Value Heap::undefined(const Value& owner, const Value& name) {
  auto* object = make<Undefined>();
  object->owner = owner;
  object->name = name;
  return {Type::kUndefined, object};
}

std::string type_name(const Value& value) {
  switch (value.type) {
    case Type::kMissing:
      return "missing";
    case Type::kUndefined:
      return "Undefined";
    case Type::kNone:
      return "NoneType";
    case Type::kBool:
      return "bool";
    case Type::kInt:
      return "int";
    case Type::kFloat:
      return "float";
    case Type::kString:
      return value.string().markup ? "Markup" : "str";
    case Type::kList:
      return "list";
    case Type::kTuple:
      return "tuple";
    case Type::kDict:
      return "dict";
    case Type::kView: {
      const View::Kind kind = value.as<View>().kind;
      return kind == View::kKeys ? "dict_keys" : kind == View::kValues ? "dict_values" : "dict_items";
    }
    case Type::kRange:
      return "range";
    case Type::kIterator:
      return "generator";
    case Type::kNamespace:
      return "Namespace";
    case Type::kLoop:
      return "LoopContext";
    case Type::kMacro:
      return "Macro";
    case Type::kFunction:
      return "function";
  }
  return "object";
}

bool is_hashable(const Value& value) {
  if (value.is(Type::kTuple)) {
    const auto items = value.sequence().items();
    return std::all_of(items.begin(), items.end(), is_hashable);
  }
  return !value.is(Type::kList) && !value.is(Type::kDict) && !value.is(Type::kView);
}

std::size_t hash_value(const Value& value) {
  switch (value.type) {
    case Type::kString:
      return std::hash<std::string_view>{}(value.text());
    case Type::kBool:
    case Type::kInt:
    case Type::kFloat:
      return std::hash<double>{}(value.as_real());
    case Type::kNone:
      return 1;
    case Type::kUndefined:
      return 2;
    case Type::kTuple: {
      std::size_t hash = 3;
      for (const Value& item : value.sequence().items()) hash = hash * 1000003 ^ hash_value(item);
      return hash;
    }
    case Type::kList:
    case Type::kDict:
    case Type::kView:
      fail("unhashable type: '{}'", type_name(value));
    default:
      return std::hash<const void*>{}(value.object);
  }
}

bool equal(const Value& a, const Value& b, int nesting) {
  check_nesting(nesting);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::kMissing:
    case Type::kUndefined:
    case Type::kNone:
      return true;
    case Type::kString:
      return a.text() == b.text();
    case Type::kList:
    case Type::kTuple: {
      const Sequence &left = a.sequence(), &right = b.sequence();
      if (left.size != right.size) return false;
      for (std::size_t i = 0; i < left.size; ++i) {
        if (!equal(left.at(i), right.at(i), nesting + 1)) return false;
      }
      return true;
    }
    case Type::kDict:
      return a.object == b.object || equal_dicts(a.dict(), b.dict(), nesting);
    case Type::kRange: {
      const Range &left = a.as<Range>(), &right = b.as<Range>();
      return left.size == right.size &&
             (left.size == 0 || (left.start == right.start && (left.size == 1 || left.step == right.step)));
    }
    case Type::kView: {
      const View &left = a.as<View>(), &right = b.as<View>();
      if (left.kind == View::kValues || left.kind != right.kind) return a.object == b.object;
      if (left.kind == View::kItems) return equal_dicts(left.dict.dict(), right.dict.dict(), nesting);
      const auto &keys = left.dict.dict().entries, &others = right.dict.dict().entries;
      return keys.size() == others.size() && std::all_of(keys.begin(), keys.end(), [&](const auto& entry) {
               return right.dict.dict().find(entry.first) != nullptr;
             });
    }
    default:
      return a.object == b.object;
  }
}

int compare(const Value& a, const Value& b, int nesting) {
  check_nesting(nesting);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is(Type::kUndefined)) fail("{}", a.as<Undefined>().reason());
  if (b.is(Type::kUndefined)) fail("{}", b.as<Undefined>().reason());
  if (a.type == b.type && a.is(Type::kString)) {
    const int order = a.text().compare(b.text());  // UTF-8 sorts as code points do
    return sign(order<0, order> 0);
  }
  if (a.type == b.type && a.is_sequence()) {
    const Sequence &left = a.sequence(), &right = b.sequence();
    for (std::size_t i = 0; i < std::min(left.size, right.size); ++i) {
      if (!equal(left.at(i), right.at(i), nesting + 1)) return compare(left.at(i), right.at(i), nesting + 1);
    }
    return sign(left.size<right.size, left.size> right.size);
  }
  fail("'{}' and '{}' cannot be ordered", type_name(a), type_name(b));
}

std::optional<std::int64_t> length_of(const Value& value) {
  switch (value.type) {
    case Type::kUndefined:
      return 0;
    case Type::kString:
      return static_cast<std::int64_t>(value.string().length);
    case Type::kList:
    case Type::kTuple:
      return static_cast<std::int64_t>(value.sequence().size);
    case Type::kDict:
      return static_cast<std::int64_t>(value.dict().entries.size());
    case Type::kView:
      return static_cast<std::int64_t>(value.as<View>().dict.dict().entries.size());
    case Type::kRange:
      return value.as<Range>().size;
    default:
      return std::nullopt;
  }
}

bool truth(const Value& value) {
  switch (value.type) {
    case Type::kMissing:
    case Type::kNone:
      return false;
    case Type::kBool:
      return value.boolean;
    case Type::kInt:
      return value.integer != 0;
    case Type::kFloat:
      return value.real != 0;
    default:
      return length_of(value).value_or(1) != 0;
  }
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const char* mantissa_end = std::find(static_cast<const char*>(text), end, 'e');
  int exponent = 0;
  std::from_chars(mantissa_end + (mantissa_end[1] == '+' ? 2 : 1), end, exponent);
  std::string out = value < 0 || std::signbit(value) ? "-" : "";
  std::string digits;
  std::copy_if(static_cast<const char*>(text), mantissa_end, std::back_inserter(digits),
               [](char c) { return c >= '0' && c <= '9'; });
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) (out += '.') += digits.substr(1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  const auto point = static_cast<std::size_t>(exponent + 1);
  return out + digits.substr(0, point) + "." + digits.substr(point);
}

void append_str(std::string& out, const Value& value, std::size_t limit) {
  if (value.is(Type::kString))
    out += value.text();
  else if (!value.is(Type::kUndefined))
    append_repr(out, value, limit);
  check_size(out, limit);
}

void append_repr(std::string& out, const Value& value, std::size_t limit, int nesting) {
  check_nesting(nesting);
  check_size(out, limit);
  const auto append_items = [&](const auto& items, auto&& append_item) {
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += ", ";
      first = false;
      append_item(item);
    }
  };
  const auto append_value = [&](const Value& item) { append_repr(out, item, limit, nesting + 1); };
  const auto append_pair = [&](const auto& entry) {
    append_value(entry.first);
    out += ": ";
    append_value(entry.second);
  };
  switch (value.type) {
    case Type::kMissing:
      out += "missing";
      break;
    case Type::kUndefined:
      out += "Undefined";
      break;
    case Type::kNone:
      out += "None";
      break;
    case Type::kBool:
      out += value.boolean ? "True" : "False";
      break;
    case Type::kInt:
      out += fmt::format("{}", value.integer);
      break;
    case Type::kFloat:
      out += float_repr(value.real);
      break;
    case Type::kString:
      out += value.string().markup ? fmt::format("Markup({})", quote(value.text())) : quote(value.text());
      break;
    case Type::kList:
      out += '[';
      append_items(value.sequence().items(), append_value);
      out += ']';
      break;
    case Type::kTuple:
      out += '(';
      append_items(value.sequence().items(), append_value);
      out += value.sequence().size == 1 ? ",)" : ")";
      break;
    case Type::kDict:
      out += '{';
      append_items(value.dict().entries, append_pair);
      out += '}';
      break;
    case Type::kView: {
      const View& view = value.as<View>();
      out += fmt::format("{}([", type_name(value));
      append_items(view.dict.dict().entries, [&](const auto& entry) {
        if (view.kind == View::kKeys) return append_value(entry.first);
        if (view.kind == View::kValues) return append_value(entry.second);
        out += '(';
        append_value(entry.first);
        out += ", ";
        append_value(entry.second);
        out += ')';
      });
      out += "])";
      break;
    }
    case Type::kRange: {
      const Range& range = value.as<Range>();
      out += fmt::format("range({}, {}", range.start, range.stop);
      out += range.step == 1 ? std::string(")") : fmt::format(", {})", range.step);
      break;
    }
    case Type::kNamespace:
      out += "<Namespace {";
      append_items(value.as<Namespace>().attributes, [&](const auto& entry) {
        out += quote(entry.first) + ": ";
        append_value(entry.second);
      });
      out += "}>";
      break;
    default:
      out += fmt::format("<{} object>", type_name(value));
  }
}

}  // namespace attune::jinja
