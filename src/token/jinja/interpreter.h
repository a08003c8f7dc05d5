// Runs a resolved template tree.
#pragma once

#include <string>

#include "token/jinja/ast.h"
#include "token/jinja/runtime.h"
#include "token/jinja/template.h"

namespace attune::jinja {

// The slots of one call of a function. Macros keep the frame they were defined in, which the heap keeps alive.
struct Frame : Object {
  Frame(std::size_t slot_count, Frame* outer) : slots(slot_count), parent(outer) {}
  std::vector<Value> slots;
  Frame* parent;
};

struct Macro : Object {
  const Stmt* node = nullptr;
  Frame* closure = nullptr;
  bool anonymous = false;  // the body of a call block: `caller`
};

// The `loop` variable. Looking ahead (last, nextitem, length) reads from the iterator early, as in jinja2.
struct Loop : Object {
  Iterator* iterator = nullptr;
  std::optional<std::int64_t> known_length;  // of the iterable, when it has one
  std::int64_t index0 = -1, depth0 = 0;
  Value before, current, after;
  Value changed;               // what loop.changed() saw last
  const Stmt* node = nullptr;  // recursive loops only
  Frame* closure = nullptr;
};

class Interpreter {
 public:
  Interpreter(Runtime& runtime, const TemplateTree& tree, const Variables& variables);
  std::string run();
  int line() const { return line_; }  // of what was evaluated last, for errors

 private:
  enum class Flow { kNext, kBreak, kContinue };
  // Nested evaluations; deeper ones would overflow the stack.
  struct Depth {
    static constexpr int kMax = 1000;
    explicit Depth(Interpreter& i) : interpreter(i) {
      if (++interpreter.depth_ > kMax) fail("maximum recursion depth exceeded");
    }
    ~Depth() { --interpreter.depth_; }
    Interpreter& interpreter;
  };

  Flow execute(const Body& body, Frame& frame);
  Flow execute(const Stmt& node, Frame& frame);
  Flow execute_if(const Stmt& node, Frame& frame);
  Flow execute_for(const Stmt& node, Frame& frame);
  Flow run_loop(const Stmt& node, Frame& frame, const Value& iterable, std::int64_t depth0, Frame& outer);
  std::string run_recursive(const Stmt& node, Frame& closure, const Value& iterable, std::int64_t depth0);
  Iterator* filtered(const Stmt& node, Iterator* source, Frame& outer);
  Flow capture(const Body& body, Frame& frame, std::string& text);
  void write(std::string_view text);

  void enter(const Scope& scope, Frame& frame);
  void leave(const Scope& scope, Frame& frame);
  static Value& slot(const Slot& slot, Frame& frame);
  Value resolve(const std::string& name);
  void assign(const Expr& target, const Value& value, Frame& frame);
  void check_namespaces(const Expr& target, Frame& frame);

  Value evaluate(const Expr& node, Frame& frame);
  Value evaluate_binary(const Expr& node, Frame& frame);
  Value evaluate_compare(const Expr& node, Frame& frame);
  Value evaluate_call(const Expr& node, Frame& frame, const Value* caller);
  Value evaluate_dict(const Expr& node, Frame& frame);
  Value apply_filter(const Expr& node, const Value& input, Frame& frame);
  Value apply_block_filter(const Expr& node, const Value& text, Frame& frame);
  void evaluate_arguments(const Expr& node, Frame& frame, Arguments& arguments);

  Value make_macro(const Stmt& node, Frame& frame, bool anonymous);
  Value call_macro(const Macro& macro, Arguments& arguments);
  Value call_loop(Loop& loop, Arguments& arguments);
  Value loop_attribute(Loop& loop, const Value& self, std::string_view name);
  Value macro_attribute(const Macro& macro, std::string_view name);

  Runtime& runtime_;
  const TemplateTree& tree_;
  const Variables& variables_;
  std::string* out_ = nullptr;
  int line_ = 1;
  int depth_ = 0;
};

// loop.cc
bool advance(Loop& loop);
std::int64_t loop_length(Runtime& runtime, Loop& loop);
Value peek(Loop& loop);

}  // namespace attune::jinja
