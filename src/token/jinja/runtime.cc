#include "token/jinja/runtime.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/utf8.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

std::tm local_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// Python removes single underscores between digits; nullopt when they stand elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !std::isalnum(static_cast<unsigned char>(text[i - 1])) ||
               !std::isalnum(static_cast<unsigned char>(text[i + 1]))) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

Runtime::Runtime(Heap& heap, const Limits& limits, const std::function<std::tm()>& clock)
    : heap_(heap), limits_(limits), clock_(clock ? clock : local_time) {}

void Runtime::out_of_steps() const { fail("the template runs for more than {} steps", limits_.steps); }

std::string Runtime::str(const Value& value) {
  std::string text;
  append_str(text, value, limits_.memory);
  heap_.charge(text.size());
  step(text.size() / 64);
  return text;
}

Value Runtime::iterator(std::function<bool(Value&)> next) {
  // Iterators over iterators can be stacked without end in a template's loop.
  return {Type::kIterator, heap_.make<Iterator>([this, next = std::move(next)](Value& out) {
            struct Guard {
              explicit Guard(int& d) : depth(d) { ++depth; }
              ~Guard() { --depth; }
              int& depth;
            } guard(iterator_depth_);
            if (iterator_depth_ > kMaxNesting) fail("iterators are nested deeper than {} levels", kMaxNesting);
            return next(out);
          })};
}

Iterator* Runtime::iterate(const Value& value) {
  step();
  switch (value.type) {
    case Type::kIterator:
      return &value.as<Iterator>();
    case Type::kUndefined:
      return heap_.make<Iterator>([](Value&) { return false; });
    case Type::kList:
    case Type::kTuple:
      return heap_.make<Iterator>([this, &items = value.sequence(), i = std::size_t{0}](Value& out) mutable {
        step();
        return i < items.size && (out = items.at(i++), true);
      });
    case Type::kString:
      return heap_.make<Iterator>([this, &source = value.string(), i = std::size_t{0}](Value& out) mutable {
        step();
        if (i >= source.text.size()) return false;
        const std::size_t next = decode_utf8(source.text, i).next;
        out = string(std::string_view(source.text).substr(i, next - i));
        i = next;
        return true;
      });
    case Type::kDict:
      return heap_.make<Iterator>([this, &entries = value.dict().entries, i = std::size_t{0}](Value& out) mutable {
        step();
        return i < entries.size() && (out = entries[i++].first, true);
      });
    case Type::kView:
      return heap_.make<Iterator>([this, &view = value.as<View>(), i = std::size_t{0}](Value& out) mutable {
        step();
        const auto& entries = view.dict.dict().entries;
        if (i >= entries.size()) return false;
        const auto& [key, item] = entries[i++];
        out = view.kind == View::kKeys ? key : view.kind == View::kValues ? item : heap_.tuple({key, item});
        return true;
      });
    case Type::kRange:
      return heap_.make<Iterator>([this, &range = value.as<Range>(), i = std::int64_t{0}](Value& out) mutable {
        step();
        return i < range.size && (out = Value::of(range.at(i++)), true);
      });
    case Type::kLoop:
      fail("a loop cannot be iterated over");
    default:
      fail("'{}' object is not iterable", type_name(value));
  }
}

std::vector<Value> Runtime::to_vector(const Value& value) {
  if (value.is_sequence()) {
    step(value.sequence().size);
    heap_.charge(value.sequence().size * sizeof(Value));
    return {value.sequence().items().begin(), value.sequence().items().end()};
  }
  std::vector<Value> values;
  Iterator* iterator = iterate(value);
  for (Value item; iterator->next(item);) {
    heap_.charge(sizeof(Value));
    values.push_back(item);
  }
  return values;
}

Value Runtime::call(const Value& callable, Arguments& arguments) {
  step();
  switch (callable.type) {
    case Type::kFunction:
      return callable.as<Function>().call(*this, arguments);
    case Type::kMacro:
    case Type::kLoop:
      return call_template_object(callable, arguments);
    case Type::kUndefined:
      fail("{}", callable.as<Undefined>().reason());
    default:
      fail("'{}' object is not callable", type_name(callable));
  }
}

Bound::Bound(std::string_view function, const Arguments& arguments, std::initializer_list<std::string_view> names,
             std::size_t required) {
  if (arguments.positional.size() > names.size()) {
    fail("{} takes at most {} arguments ({} given)", function, names.size(), arguments.positional.size());
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) fail("{} got an unexpected keyword argument '{}'", function, name);
    Value& slot = values_[static_cast<std::size_t>(found - names.begin())];
    if (!slot.missing()) fail("{} got multiple values for argument '{}'", function, name);
    slot = value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i].missing()) fail("{} is missing the argument '{}'", function, *(names.begin() + i));
  }
}

std::int64_t Bound::integer(std::size_t i, std::int64_t fallback) const {
  if (!has(i)) return fallback;
  if (values_[i].is(Type::kUndefined)) fail("{}", values_[i].as<Undefined>().reason());
  if (!values_[i].is_integral()) fail("expected an integer, got '{}'", type_name(values_[i]));
  return values_[i].as_integer();
}

std::optional<std::int64_t> parse_integer(std::string_view source, std::int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  std::string_view text = strip(source, kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    const std::int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == named || base == 0)) {
      base = named;
      text.remove_prefix(text.size() > 2 && text[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != text.npos) return std::nullopt;
  }
  const auto digits = without_underscores(text);
  if (!digits || digits->empty() || (*digits)[0] == '-') return std::nullopt;
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(digits->data(), digits->data() + digits->size(), magnitude, static_cast<int>(base));
  if (end != digits->data() + digits->size()) return std::nullopt;
  if (error != std::errc{} || magnitude > static_cast<std::uint64_t>(INT64_MAX)) {
    fail("the integer {} does not fit 64 bits", digits->size() > 40 ? digits->substr(0, 40) + "..." : *digits);
  }
  return negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
}

std::optional<double> parse_float(std::string_view source) {
  const std::string_view stripped = strip(source, kBoth);
  const auto digits = without_underscores(stripped);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view text = *digits;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string lower = to_lower(text);
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = HUGE_VAL;
  } else if (lower == "nan") {
    value = std::nan("");
  } else {
    if (lower.find_first_not_of("0123456789.e+-") != lower.npos || lower[0] == '-' || lower[0] == '+')
      return std::nullopt;
    char* end = nullptr;
    value = std::strtod(lower.c_str(), &end);
    if (end != lower.c_str() + lower.size()) return std::nullopt;
  }
  return negative ? -value : value;
}

Value float_to_integer(double value) {
  if (std::isnan(value)) fail("cannot convert float NaN to integer");
  if (std::isinf(value)) fail("cannot convert float infinity to integer");
  if (!(std::fabs(value) < 9223372036854775808.0)) fail("an integer does not fit 64 bits");
  return Value::of(static_cast<std::int64_t>(value));
}

}  // namespace attune::jinja
