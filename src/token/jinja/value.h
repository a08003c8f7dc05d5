// Values of the Jinja interpreter: Python's objects as far as a chat template can see them.
// A Value is 16 bytes and trivially copyable; objects live in a Heap until it dies, so there is no reference counting,
// no cycle to leak and no deep destructor. Lists, tuples, dicts and strings never change once a template can see them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace attune::jinja {

// What a template did wrong, without the line; Template turns it into a UserError that names the line.
class TemplateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw TemplateError(fmt::format(format, std::forward<Args>(args)...));
}

enum class Type : std::uint8_t {
  kMissing,  // no value at all: an unassigned slot, an argument that was not given
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kView,  // dict.keys(), .values(), .items()
  kRange,
  kIterator,
  kNamespace,
  kLoop,
  kMacro,
  kFunction,
};

struct Object {
  virtual ~Object() = default;
};

struct Str;
struct Sequence;
struct Dict;

struct Value {
  Type type = Type::kMissing;
  union {
    bool boolean;
    std::int64_t integer = 0;
    double real;
    Object* object;
  };

  Value() = default;
  Value(Type object_type, Object* value) : type(object_type), object(value) {}
  static Value none();
  static Value of(bool value);
  static Value of(std::int64_t value);
  static Value of(double value);

  bool is(Type other) const { return type == other; }
  bool missing() const { return type == Type::kMissing; }
  bool is_integral() const { return type == Type::kInt || type == Type::kBool; }  // Python's bool is an int
  bool is_number() const { return is_integral() || type == Type::kFloat; }
  bool is_sequence() const { return type == Type::kList || type == Type::kTuple; }

  std::int64_t as_integer() const { return type == Type::kBool ? boolean : integer; }  // is_integral() only
  double as_real() const { return type == Type::kFloat ? real : static_cast<double>(as_integer()); }
  const Str& string() const;
  std::string_view text() const;
  const Sequence& sequence() const;
  const Dict& dict() const;
  template <typename T>
  T& as() const {
    return *static_cast<T*>(object);
  }
};

struct Str : Object {
  Str(std::string_view value, bool is_markup);
  std::string text;    // UTF-8
  std::size_t length;  // code points
  bool markup;         // markupsafe.Markup: escapes what it is combined with
  bool ascii() const { return length == text.size(); }
};

// Items of a list or a tuple. Concatenation appends to the buffer in place when the left operand ends where the
// buffer ends: "list = list + [item]" in a loop, the idiom of chat templates, then costs linear memory.
struct Buffer : Object {
  std::vector<Value> values;
  bool growable = false;  // made by this render (never a constant that renders share)
};
struct Sequence : Object {
  Buffer* buffer = nullptr;
  std::size_t begin = 0, size = 0;
  std::size_t weight = 1;  // see weight()
  Value at(std::size_t i) const { return buffer->values[begin + i]; }
  std::span<const Value> items() const { return {buffer->values.data() + begin, size}; }
};

// Insertion-ordered; an index is kept once there are more than a few keys.
struct Dict : Object {
  std::vector<std::pair<Value, Value>> entries;
  const Value* find(const Value& key) const;  // the key must be hashable
  const Value* find(std::string_view key) const;
  void set(const Value& key, const Value& value);  // only while it is being built
  std::size_t weight = 1;                          // see weight()

 private:
  std::size_t position(const Value& key) const;
  std::unordered_multimap<std::size_t, std::size_t> index_;
};

struct View : Object {
  enum Kind { kKeys, kValues, kItems } kind = kKeys;
  Value dict;
};

struct Range : Object {
  std::int64_t start = 0, stop = 0, step = 1, size = 0;
  // Also one step beyond the items, where the value may wrap around.
  std::int64_t at(std::int64_t i) const {
    const auto offset = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(step);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(start) + offset);
  }
};

// A Python iterator: lazy and consumed once. next() is false at the end.
struct Iterator : Object {
  explicit Iterator(std::function<bool(Value&)> function) : next(std::move(function)) {}
  std::function<bool(Value&)> next;
};

// jinja2's Undefined: prints as nothing; `reason` is what every other use of it raises.
struct Undefined : Object {
  std::string hint;   // the message, when it is fixed
  Value owner, name;  // else "owner has no attribute name" or, without an owner, "name is undefined"
  std::string reason() const;
};

struct Namespace : Object {
  std::vector<std::pair<std::string, Value>> attributes;
  Value* find(std::string_view name);
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Runtime;

// A callable of ours: a global, or a method bound to its object.
struct Function : Object {
  std::string name;
  std::function<Value(Runtime&, Arguments&)> call;
};

// Owns objects until it dies and counts their bytes against a limit.
class Heap {
 public:
  explicit Heap(std::size_t limit) : limit_(limit) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  template <typename T, typename... Args>
  T* make(Args&&... args) {
    charge(sizeof(T) + 2 * sizeof(void*));
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T* object = owned.get();
    objects_.push_back(std::move(owned));
    return object;
  }
  void charge(std::size_t bytes);  // throws TemplateError beyond the limit

  Value string(std::string_view text, bool markup = false);
  Value list(std::vector<Value> values);
  Value tuple(std::vector<Value> values);
  Value undefined(std::string hint);
  Value undefined(const Value& owner, const Value& name);

 private:
  Value sequence(Type type, std::vector<Value> values);
  std::vector<std::unique_ptr<Object>> objects_;
  std::size_t limit_, used_ = 0;
};

inline Value Value::none() { return {Type::kNone, nullptr}; }
inline Value Value::of(bool value) {
  Value v;
  v.type = Type::kBool;
  v.boolean = value;
  return v;
}
inline Value Value::of(std::int64_t value) {
  Value v;
  v.type = Type::kInt;
  v.integer = value;
  return v;
}
inline Value Value::of(double value) {
  Value v;
  v.type = Type::kFloat;
  v.real = value;
  return v;
}
inline const Str& Value::string() const { return as<Str>(); }
inline std::string_view Value::text() const { return string().text; }
inline const Sequence& Value::sequence() const { return as<Sequence>(); }
inline const Dict& Value::dict() const { return as<Dict>(); }

// Python's type name, as error messages spell it ("str", "list", ...).
std::string type_name(const Value& value);

// Python's hash()/== agree: equal values have equal hashes. hash_value throws TemplateError for unhashable values.
std::size_t hash_value(const Value& value);
bool is_hashable(const Value& value);

// What visiting all of a value costs. Shared parts count every time they are reached: thirty lists, each twice in
// the next, are soon as large as memory never gets. Saturates.
std::size_t weight(const Value& value);
inline constexpr std::size_t kMaxWeight = 1'000'000'000'000;

// Values nested deeper than this (equality, printing, JSON) are refused instead of overflowing the stack.
inline constexpr int kMaxNesting = 200;
bool equal(const Value& a, const Value& b, int nesting = 0);
// -1, 0, 1 as Python orders; throws TemplateError for types without an order. NaN is unordered: returns 2.
int compare(const Value& a, const Value& b, int nesting = 0);

bool truth(const Value& value);
// len(value), or nullopt for a type without a length.
std::optional<std::int64_t> length_of(const Value& value);

// str(value) and repr(value), appended; throws TemplateError when the text grows beyond `limit` bytes.
void append_str(std::string& out, const Value& value, std::size_t limit);
void append_repr(std::string& out, const Value& value, std::size_t limit, int nesting = 0);
std::string float_repr(double value);

}  // namespace attune::jinja
