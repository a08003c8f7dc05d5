// Syntax tree of a template. Made by parser.cc; scope.cc replaces names by slots; interpreter.cc runs it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "token/jinja/value.h"

namespace attune::jinja {

class Runtime;
using FilterFunction = Value (*)(Runtime&, const Value& input, Arguments&);
using TestFunction = bool (*)(Runtime&, const Value& input, Arguments&);

// A variable: `hops` functions outward, then the slot in that function's frame.
struct Slot {
  std::uint16_t hops = 0, index = 0;
};

// What happens to a variable when its scope is entered. On leaving, every target becomes missing again.
struct Load {
  enum Kind : std::uint8_t { kParameter, kResolve, kAlias, kUndefined } kind;
  Slot target;
  Slot source;       // kAlias
  std::string name;  // kResolve: looked up among the render's variables, then the globals
};
using Scope = std::vector<Load>;

// Code with a frame of its own: the template, a macro, the body of a recursive loop, the test of a loop.
struct FunctionInfo {
  std::size_t slot_count = 0;
};

enum class ExprKind : std::uint8_t {
  kConstant,
  kName,
  kNamespaceRef,
  kTuple,
  kList,
  kDict,
  kGetAttribute,
  kGetItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kNegative,
  kPositive,
  kNot,
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kConcat,
  kCompare,
  kConditional,
};
enum class Comparison : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
enum class NameUse : std::uint8_t { kLoad, kStore, kParameter };

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Keyword {
  std::string name;
  ExprPtr value;
};

struct Expr {
  ExprKind kind;
  int line = 0;
  int depth = 1;                 // of the tree below, bounded by the parser
  NameUse use = NameUse::kLoad;  // kName
  Slot slot;                     // kName, kNamespaceRef
  std::string text;              // name of the variable, attribute, filter or test
  Value constant;                // kConstant; kName, kGetAttribute, kNamespaceRef: the name as a string
  // Operands. kGetItem: object, key; kSlice: start, stop, step (null when absent); kDict: key, value, key, ...;
  // kConditional: condition, then, else (null when absent); kCall, kFilter, kTest: callee or input, arguments. The
  // input of the filter of a filter block or set block is null.
  std::vector<ExprPtr> children;
  std::vector<Keyword> keywords;
  ExprPtr star, double_star;
  std::vector<Comparison> comparisons;  // kCompare: one per operand after the first
  FilterFunction filter = nullptr;      // null: unknown, an error when it runs
  TestFunction test = nullptr;
};

enum class StmtKind : std::uint8_t {
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kBreak,
  kContinue,
  kGeneration,
  kUnavailable,
};

struct Stmt;
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

struct Branch {
  int line;
  ExprPtr condition;  // null: else
  Body body;
};

struct Stmt {
  StmtKind kind;
  int line = 0;
  std::string name;                  // kMacro, kUnavailable (the tag)
  std::vector<ExprPtr> pieces;       // kOutput; kWith: the values
  std::vector<Branch> branches;      // kIf
  ExprPtr target, value, condition;  // kFor: target, iterable, filter; kSet: target, value; kSetBlock: target,
                                     // filter (may be null); kCallBlock: value = the call; kFilterBlock: value
  std::vector<ExprPtr> parameters;   // kMacro, kCallBlock; kWith: the targets
  std::vector<ExprPtr> defaults;     // of the last parameters
  Body body, otherwise;
  bool recursive = false;  // kFor

  // Filled by scope.cc.
  Scope scope, else_scope, test_scope;
  FunctionInfo function, test_function;  // macro, call block, generation, recursive loop; loop test
  ExprPtr test_target;                   // kFor: the target with the slots of test_function
  bool uses_loop = false;                // kFor: the body reads `loop`
  Slot loop_slot;
  Slot name_slot;  // kMacro
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  Slot caller_slot, kwargs_slot, varargs_slot;
};

struct TemplateTree {
  Body body;
  Scope scope;
  FunctionInfo function;
  std::unique_ptr<Heap> constants;  // owns the constants of the tree
};

}  // namespace attune::jinja
