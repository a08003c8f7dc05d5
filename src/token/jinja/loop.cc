// Loops and macros: the parts of the interpreter that call template code.
#include <algorithm>

#include "token/jinja/interpreter.h"

namespace attune::jinja {

// -- The loop variable

bool advance(Loop& loop) {
  Value next;
  if (!loop.after.missing())
    next = std::exchange(loop.after, Value());
  else if (!loop.iterator->next(next))
    return false;
  ++loop.index0;
  loop.before = loop.current;
  loop.current = next;
  return true;
}

Value peek(Loop& loop) {
  if (loop.after.missing()) {
    Value next;
    if (loop.iterator->next(next)) loop.after = next;
  }
  return loop.after;
}

std::int64_t loop_length(Runtime& runtime, Loop& loop) {
  if (!loop.known_length) {
    std::vector<Value> rest;
    for (Value item; loop.iterator->next(item);) {
      runtime.heap().charge(sizeof(Value));
      rest.push_back(item);
    }
    loop.known_length = static_cast<std::int64_t>(rest.size()) + loop.index0 + 1 + !loop.after.missing();
    loop.iterator = runtime.iterate(runtime.heap().list(std::move(rest)));
  }
  return *loop.known_length;
}

Value Interpreter::loop_attribute(Loop& loop, const Value& self, std::string_view name) {
  Heap& heap = runtime_.heap();
  if (name == "index0") return Value::of(loop.index0);
  if (name == "index") return Value::of(loop.index0 + 1);
  if (name == "first") return Value::of(loop.index0 == 0);
  if (name == "last") return Value::of(peek(loop).missing());
  if (name == "length") return Value::of(loop_length(runtime_, loop));
  if (name == "revindex") return Value::of(loop_length(runtime_, loop) - loop.index0);
  if (name == "revindex0") return Value::of(loop_length(runtime_, loop) - loop.index0 - 1);
  if (name == "depth") return Value::of(loop.depth0 + 1);
  if (name == "depth0") return Value::of(loop.depth0);
  if (name == "previtem") return loop.index0 == 0 ? heap.undefined("there is no previous item") : loop.before;
  if (name == "nextitem") {
    const Value next = peek(loop);
    return next.missing() ? heap.undefined("there is no next item") : next;
  }
  if (name != "cycle" && name != "changed") return {};
  auto* function = heap.make<Function>();
  function->name = name;
  if (name == "cycle") {
    function->call = [self](Runtime&, Arguments& arguments) {
      if (arguments.positional.empty() || !arguments.named.empty()) fail("no items for cycling given");
      return arguments.positional[static_cast<std::size_t>(self.as<Loop>().index0) % arguments.positional.size()];
    };
  } else {
    function->call = [self](Runtime& runtime, Arguments& arguments) {
      if (!arguments.named.empty()) fail("changed() takes no keyword arguments");
      const Value seen = runtime.heap().tuple(arguments.positional);
      Value& last = self.as<Loop>().changed;
      if (!last.missing() && runtime.equal(last, seen)) return Value::of(false);
      last = seen;
      return Value::of(true);
    };
  }
  return {Type::kFunction, function};
}

// -- Loops

Iterator* Interpreter::filtered(const Stmt& node, Iterator* source, Frame& outer) {
  Frame* frame = runtime_.heap().make<Frame>(node.test_function.slot_count, &outer);
  enter(node.test_scope, *frame);
  return runtime_.heap().make<Iterator>([this, &node, source, frame](Value& out) {
    while (source->next(out)) {
      assign(*node.test_target, out, *frame);
      if (truth(evaluate(*node.condition, *frame))) return true;
    }
    return false;
  });
}

Interpreter::Flow Interpreter::execute_for(const Stmt& node, Frame& frame) {
  const Value iterable = evaluate(*node.value, frame);
  line_ = node.line;
  if (!node.recursive) return run_loop(node, frame, iterable, 0, frame);
  write(run_recursive(node, frame, iterable, 0));
  return Flow::kNext;
}

std::string Interpreter::run_recursive(const Stmt& node, Frame& closure, const Value& iterable, std::int64_t depth0) {
  std::string text;
  std::string* const outer = out_;
  out_ = &text;
  Frame& frame = *runtime_.heap().make<Frame>(node.function.slot_count, &closure);
  run_loop(node, frame, iterable, depth0, closure);
  out_ = outer;
  return text;
}

// `frame` holds the loop's variables, `outer` is where the filter of the loop looks for others.
Interpreter::Flow Interpreter::run_loop(const Stmt& node, Frame& frame, const Value& iterable, std::int64_t depth0,
                                        Frame& outer) {
  auto* loop = runtime_.heap().make<Loop>();
  loop->iterator = runtime_.iterate(iterable);
  if (node.condition)
    loop->iterator = filtered(node, loop->iterator, outer);
  else
    loop->known_length = length_of(iterable);
  loop->depth0 = depth0;
  loop->node = node.recursive ? &node : nullptr;
  loop->closure = &outer;
  bool iterated = false;
  while (advance(*loop)) {
    runtime_.step();
    if (node.uses_loop) slot(node.loop_slot, frame) = {Type::kLoop, loop};
    assign(*node.target, loop->current, frame);
    enter(node.scope, frame);
    const Flow flow = execute(node.body, frame);
    // jinja2 notes that the loop ran only after a body that reached its end.
    if (flow == Flow::kNext) iterated = true;
    if (flow == Flow::kBreak) break;
  }
  leave(node.scope, frame);
  if (!iterated && !node.otherwise.empty()) {
    enter(node.else_scope, frame);
    const Flow flow = execute(node.otherwise, frame);
    if (flow != Flow::kNext) return flow;
    leave(node.else_scope, frame);
  }
  return Flow::kNext;
}

Value Interpreter::call_loop(Loop& loop, Arguments& arguments) {
  if (loop.node == nullptr) fail("The loop must have the 'recursive' marker to be called recursively.");
  const Bound bound("loop()", arguments, {"iterable"}, 1);
  const Depth depth(*this);
  return runtime_.string(run_recursive(*loop.node, *loop.closure, bound[0], loop.depth0 + 1));
}

// -- Macros

Value Interpreter::make_macro(const Stmt& node, Frame& frame, bool anonymous) {
  auto* macro = runtime_.heap().make<Macro>();
  macro->node = &node;
  macro->closure = &frame;
  macro->anonymous = anonymous;
  return {Type::kMacro, macro};
}

Value Interpreter::macro_attribute(const Macro& macro, std::string_view name) {
  const Stmt& node = *macro.node;
  if (name == "name") return macro.anonymous ? Value::none() : runtime_.string(node.name);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const ExprPtr& parameter : node.parameters) names.push_back(parameter->constant);
    return runtime_.heap().tuple(std::move(names));
  }
  if (name == "caller") return Value::of(node.uses_caller);
  if (name == "catch_kwargs") return Value::of(node.uses_kwargs);
  if (name == "catch_varargs") return Value::of(node.uses_varargs);
  return {};
}

Value Interpreter::call_macro(const Macro& macro, Arguments& arguments) {
  const Depth depth(*this);
  const Stmt& node = *macro.node;
  const std::string name = macro.anonymous ? "None" : fmt::format("'{}'", node.name);
  Heap& heap = runtime_.heap();
  heap.charge(node.function.slot_count * sizeof(Value));
  Frame& frame = *heap.make<Frame>(node.function.slot_count, macro.closure);

  const auto take_named = [&](std::string_view key) -> Value {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& entry) { return entry.first == key; });
    if (found == arguments.named.end()) return {};
    const Value value = found->second;
    arguments.named.erase(found);
    return value;
  };
  std::vector<Value> values(node.parameters.size());
  const std::size_t given = std::min(values.size(), arguments.positional.size());
  bool explicit_caller = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (node.parameters[i]->text == "caller") explicit_caller = true;
    values[i] = i < given ? arguments.positional[i] : take_named(node.parameters[i]->text);
  }
  if (node.uses_caller && !explicit_caller) {
    Value caller = take_named("caller");
    if (caller.missing() || caller.is(Type::kNone)) caller = heap.undefined("No caller defined");
    slot(node.caller_slot, frame) = caller;
  }
  if (node.uses_kwargs) {
    auto* kwargs = heap.make<Dict>();
    for (const auto& [key, value] : arguments.named) kwargs->set(heap.string(key), value);
    slot(node.kwargs_slot, frame) = {Type::kDict, kwargs};
  } else if (!arguments.named.empty()) {
    fail("macro {} takes no keyword argument '{}'", name, arguments.named[0].first);
  }
  if (node.uses_varargs) {
    const auto first = arguments.positional.begin() + static_cast<std::ptrdiff_t>(given);
    slot(node.varargs_slot, frame) = heap.tuple({first, arguments.positional.end()});
  } else if (arguments.positional.size() > values.size()) {
    fail("macro {} takes not more than {} argument(s)", name, values.size());
  }

  // All parameters first: a default may name a later parameter, which is then what was passed for it.
  for (std::size_t i = 0; i < values.size(); ++i) slot(node.parameters[i]->slot, frame) = values[i];
  enter(node.scope, frame);
  const std::size_t first_default = values.size() - node.defaults.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].missing()) continue;
    slot(node.parameters[i]->slot, frame) =
        i >= first_default ? evaluate(*node.defaults[i - first_default], frame)
                           : heap.undefined(fmt::format("parameter '{}' was not provided", node.parameters[i]->text));
  }
  std::string text;
  capture(node.body, frame, text);
  return runtime_.string(text);
}

}  // namespace attune::jinja
