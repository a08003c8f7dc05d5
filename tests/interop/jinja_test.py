#!/usr/bin/env python3
"""Chat templates and Jinja snippets: what attune renders against what jinja2 renders, byte for byte.

usage: jinja_test.py RENDER_DRIVER GENERATED_EXPRESSIONS TEMPLATE_FOLDER...

jinja2 is set up as Hugging Face sets it up for chat templates (transformers, utils/chat_template_utils.py). Every
template meets every conversation, with and without generation prompt and tools; then every snippet of
jinja_snippets.py and generated expressions. Where jinja2 raises, attune must raise too. Exit 77: jinja2 is missing.
"""
import datetime
import functools
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

try:
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

from jinja_snippets import CONTEXT, SNIPPETS

NOW = datetime.datetime(2024, 7, 26, 12, 34, 56)


# ---------------------------------------------------------------- jinja2 as Hugging Face sets it up

class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _support(self, context, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class TemplateDict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


class TemplateNamespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            TemplateNamespace._check_name(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        TemplateNamespace._check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check_name(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"underscore-prefixed attribute {name!r}")


ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                            extensions=[Generation, jinja2.ext.loopcontrols])
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime, dict=TemplateDict(),
                           namespace=TemplateNamespace)


compiled = functools.lru_cache(maxsize=64)(ENVIRONMENT.from_string)


def expected(source, context):
    try:
        return {"output": compiled(source).render(**context)}
    except Exception as error:  # whatever it is, attune must refuse as well
        return {"error": f"{type(error).__name__}: {error}"}


# ---------------------------------------------------------------- conversations

TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather \"now\" in <a> city & more é\n",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 3},
                       "exact": {"type": "boolean", "default": False}, "scale": {"type": "number", "default": 1.5e-7}},
                       "required": ["city"]}}}
CALL = {"id": "abcdef123", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Pécs", "days": 2}}}
CALL_TEXT = {"id": "abcdef124", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Győr\"}"}}
S, U, A, T = "system", "user", "assistant", "tool"


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = [
    [turn(U, "Hello")],
    [turn(U, "Hello"), turn(A, "Hi!")],
    [turn(S, "Be brief."), turn(U, "Hello"), turn(A, "Hi!")],
    [turn(S, "Be brief."), turn(U, "Hello"), turn(A, "Hi!"), turn(U, "And?"), turn(A, "Nothing."), turn(U, "Bye")],
    [turn(S, "one"), turn(S, "two"), turn(U, "a"), turn(A, "b"), turn(S, "three"), turn(U, "c")],
    [turn(U, "a"), turn(U, "b"), turn(A, "c"), turn(A, "d"), turn(U, "e")],
    [turn(U, "  spaces around  \n"), turn(A, "\n\n\ttabs and lines \n "), turn(U, "\u00a0nbsp\u2003"), turn(A, " \u3000wide\u0085")],
    [turn(U, ""), turn(A, "")],
    [turn(U, "x"), turn(A, ""), turn(U, "y"), turn(A, "z")],
    [turn(U, "árvíztűrő 😀 日本語 \u200d\u202f"), turn(A, "İstanbul ß ﬁ \U0001F468\u200d\U0001F469")],
    [turn(U, "{{ messages }} {% raw %} {# no #}"), turn(A, "</s><|im_end|>[INST] <s> \"quoted\" 'single' \\ back")],
    [turn(U, "think"), turn(A, "<think>\nhm, 2+2\n</think>\n\n4"), turn(U, "more"), turn(A, "<think>x</think>5")],
    [turn(U, "think"), turn(A, "answer", reasoning_content="why"), turn(U, "go"), turn(A, "done", reasoning_content="because\n")],
    [turn(A, "I start"), turn(U, "ok")],
    [turn(S, "only system")],
    [],
    [turn("weird", "role"), turn(U, "x")],
    [turn(U, "weather?"), turn(A, "", tool_calls=[CALL]), turn(T, "{\"t\": 21}", tool_call_id="abcdef123", name="get_weather"),
     turn(A, "21 degrees")],
    [turn(U, "weather?"), turn(A, None, tool_calls=[CALL, CALL_TEXT]), turn(T, "21", tool_call_id="abcdef123"),
     turn(T, "3.5", tool_call_id="abcdef124"), turn(A, "warm"), turn(U, "thanks")],
    [turn(U, "weather?"), turn(A, "let me see", tool_calls=[CALL_TEXT]), turn(T, "text é", call_id="abcdef124"), turn(A, "so")],
    [turn(U, "weather?"), turn(A, "", tool_calls=[{**CALL, "id": "short"}]), turn(T, "x", tool_call_id="short")],
    [turn(U, [{"type": "text", "text": "chunk one"}, {"type": "text", "text": "chunk two"}]),
     turn(A, [{"type": "text", "text": "answer"}])],
    [turn(U, [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": "x"}]), turn(A, "a picture")],
    [turn(S, [{"type": "text", "text": "sys"}]), turn(U, "x"), turn(A, "y")],
    [{"role": U}, turn(A, "no content before")],
    [turn(U, 5), turn(A, True)],
    [turn(U, "n%d" % i) if i % 2 == 0 else turn(A, "answer %d" % i) for i in range(40)],
]


def template_cases(folders):
    templates = [path for folder in folders for path in sorted(Path(folder).glob("*.jinja"))]
    assert templates, "no templates found"
    for path in templates:
        source = path.read_text()
        for messages in CONVERSATIONS:
            for prompt in (False, True):
                for extra in ({}, {"tools": [TOOL]}, {"enable_thinking": False, "date_string": "1 Jan 2025"},
                              {"tools": [], "reasoning_effort": "high"}):
                    context = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                               "tools": None, "documents": None, **extra}
                    yield f"{path.name}", source, context


# ---------------------------------------------------------------- generated expressions

def generated_cases(count):
    """Random expressions over values of every type: mostly errors of type, which must be errors on both sides."""
    chance = random.Random(11)
    atoms = ["1", "0", "-3", "7", "2.5", "-0.5", "1e20", "true", "none", "'abc'", "'a b'", "''", "' x '", "[1, 2, 3]", "[]", "['b', 'A', 'c']",
             "(1, 2)", "{'a': 1, 'b': [2]}", "{}", "missing", "text", "items", "user", "user.name", "user.missing", "numbers", "nested[0]",
             "range(3)", "'é😀ß'", "'%s-%s'", "'5'", "'x'|safe"]
    filters = ["length", "upper", "lower", "title", "capitalize", "trim", "join", "join('-')", "list", "first", "last", "sort", "reverse|list",
               "string", "int", "float", "abs", "round", "default('d')", "default('d', true)", "unique|list", "sum", "max", "min",
               "tojson", "replace('a', 'X')", "batch(2)|list", "map('upper')|list", "select|list", "reject('none')|list", "items|list",
               "dictsort", "indent", "escape", "map(attribute='a')|list", "count", "tojson(indent=2)", "wordcount", "truncate(4)"]
    tests = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true",
             "false", "odd", "even", "divisibleby(2)", "in [1, 'abc', none]", "eq 1", "ne 'abc'", "lt 3", "sameas none", "upper", "lower"]
    operators = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"]
    subscripts = ["[0]", "[-1]", "[1:]", "[::-1]", "[:-1]", "[:2]", "['a']", ".a", "[10]", "[::2]", "[1:2]", "['missing']"]

    def expression(depth):
        kind = chance.randrange(9) if depth else 0
        if kind <= 1:
            return chance.choice(atoms)
        if kind == 2:
            return f"({expression(depth - 1)})|{chance.choice(filters)}"
        if kind == 3:
            return f"(({expression(depth - 1)}) is {chance.choice(['', 'not '])}{chance.choice(tests)})"
        if kind in (4, 5, 6):
            return f"(({expression(depth - 1)}) {chance.choice(operators)} ({expression(depth - 1)}))"
        if kind == 7:
            return f"({expression(depth - 1)}){chance.choice(subscripts)}"
        return f"({expression(depth - 1)} if {expression(depth - 1)} else {expression(depth - 1)})"

    for _ in range(count):
        source = "{{ " + expression(3) + " }}"
        yield source, source, CONTEXT


def is_comparable(answer):
    """jinja2 prints the memory address of generators, functions and the like: nothing to compare with."""
    return " at 0x" not in answer.get("output", "")


def main():
    warnings.simplefilter("ignore", SyntaxWarning)  # of the Python that jinja2 generates
    driver, count, folders = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    cases = list(template_cases([folder for folder in folders if Path(folder).is_dir()]))
    templates = len(cases)
    cases += [(source, source, {**CONTEXT, **(more[0] if more else {})}) for source, *more in
              (snippet if isinstance(snippet, tuple) else (snippet,) for snippet in SNIPPETS)]
    snippets = len(cases) - templates
    cases += generated_cases(count)
    lines = "".join(json.dumps({"source": source, "context": context}) + "\n" for _, source, context in cases)
    answers = subprocess.run([driver], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(answers) == len(cases), f"{len(cases)} requests, {len(answers)} answers"

    failures, errors, skipped = 0, 0, 0
    for (name, source, context), line in zip(cases, answers):
        want, got = expected(source, context), json.loads(line)
        if not is_comparable(want):
            skipped += 1
            continue
        errors += "error" in want
        if want.get("output") == got.get("output"):
            continue
        # jinja2 evaluates constants when it compiles, where a slice of a number can become undefined; later it raises.
        if "cannot be sliced" in got.get("error", "") and "output" in want:
            skipped += 1
            continue
        # attune's integers have 64 bits and say so; Python's have no limit.
        if "64 bits" in got.get("error", ""):
            skipped += 1
            continue
        failures += 1
        if failures <= 40:
            print(f"--- {name}\n  context {json.dumps(context)[:300]}\n  jinja2 {want}\n  attune {got}")
    print(f"{len(cases)} cases ({templates} of templates, {snippets} snippets, {len(cases) - templates - snippets} generated): "
          f"{failures} differ, jinja2 raises in {errors}, {skipped} not comparable")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
