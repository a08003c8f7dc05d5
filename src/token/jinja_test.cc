// The interpreter's bounds and error messages. What it renders is compared with jinja2 in tests/interop/jinja_test.py.
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "token/jinja/template.h"

namespace attune::jinja {
namespace {

std::string render(std::string_view source, const Limits& limits = {}) {
  Heap heap(limits.memory);
  return Template(source).render(heap, {}, limits);
}

std::string error_of(std::string_view source, const Limits& limits = {}) {
  try {
    return "no error, but: " + render(source, limits).substr(0, 100);
  } catch (const UserError& error) {
    return error.what();
  }
}

TEST(JinjaTest, RendersAndNamesTheLineOfErrors) {
  EXPECT_EQ(render("{% for x in [1, 2] %}{{ x * 2 }};{% endfor %}"), "2;4;");
  EXPECT_EQ(error_of("a\n{{ 1 + 'x' }}"), "[chat template, line 2] unsupported operand types for +: 'int' and 'str'");
  EXPECT_EQ(error_of("\n\n{{ nobody.name }}"), "[chat template, line 3] 'nobody' is undefined");
  EXPECT_EQ(error_of("{% if true %}\n{{ raise_exception('roles must\nalternate') }}{% endif %}"),
            "[chat template, line 2] roles must alternate");
  EXPECT_EQ(error_of("\n{% endif %}"), "[chat template, line 2] Encountered unknown tag 'endif'");
  EXPECT_EQ(error_of("{% if x %}"), "[chat template, line 1] Unexpected end of template: 'endif' is missing");
  EXPECT_EQ(error_of("{{ x|nope }}"), "[chat template, line 1] No filter named 'nope'.");
  EXPECT_EQ(error_of("{{ x|urlize }}"), "[chat template] the filter 'urlize' is not available in this version");
  EXPECT_EQ(error_of("{% block a %}{% endblock %}"),
            "[chat template, line 1] the tag 'block' is not available in chat templates");
}

TEST(JinjaTest, MacroErrorsNameTheLineInsideTheMacro) {
  EXPECT_EQ(error_of("{% macro m() %}\n{{ [] + 1 }}{% endmacro %}\n\n{{ m() }}"),
            "[chat template, line 2] unsupported operand types for +: 'list' and 'int'");
}

TEST(JinjaTest, TimeIsBounded) {
  const Limits limits{.steps = 1'000'000, .memory = std::size_t{64} << 20};
  const std::string message = "the template runs for more than 1000000 steps";
  for (const char* source :
       {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set x = range(100000)|list %}{% for a in x %}{{ 1 if a in x }}{% endfor %}",
        "{% set x = range(90000)|list %}{% for a in x %}{% set b = x == x %}{% endfor %}",
        "{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{% set b = 'x' in s %}{% endfor %}",
        "{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{% set b = s == s %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000)|map('string') %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% set b = range(100000)|sum %}{% endfor %}"}) {
    EXPECT_NE(error_of(source, limits).find(message), std::string::npos) << source << "\n" << error_of(source, limits);
  }
}

TEST(JinjaTest, MemoryIsBounded) {
  const Limits limits{.memory = std::size_t{16} << 20};
  const std::string message = "the template needs more than 16 MiB of memory";
  for (const char* source :
       {"{{ 'a' * 1000000000000 }}", "{{ [1] * 1000000000000 }}", "{{ 'a' * 9223372036854775807 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% for i in range(100000) %}{{ 'abcdefghij' * 1000 }}{% endfor %}", "{{ 'a'.center(99999999999) }}",
        "{{ 'a'.zfill(99999999999) }}", "{{ (['a' * 100000] * 1000)|join(',') }}",
        "{{ ('a' * 10000).replace('a', 'b' * 10000) }}", "{{ ('b' * 100000).join('a' * 1000) }}",
        "{% set ns = namespace(s=[]) %}{% for i in range(30) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{{ (range(100000)|list * 20)|tojson(indent=8) }}"}) {
    EXPECT_NE(error_of(source, limits).find(message), std::string::npos) << source << "\n" << error_of(source, limits);
  }
}

TEST(JinjaTest, DepthIsBounded) {
  const auto repeated = [](const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  const auto refused = [](const std::string& source) {
    EXPECT_THROW(render(source), UserError) << source.substr(0, 80);
  };
  refused("{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}");
  refused("{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}");
  refused("{{ " + repeated("{1:", 5000) + "1" + repeated("}", 5000) + " }}");
  refused("{{ " + repeated("not ", 5000) + "1 }}");
  refused("{{ " + repeated("-", 5000) + "1 }}");
  refused("{{ 1" + repeated(" + 1", 5000) + " }}");
  refused("{{ 1" + repeated("|string", 5000) + " }}");
  refused("{{ a" + repeated(".b", 5000) + " }}");
  refused("{{ 1" + repeated(" if 1 else 1", 5000) + " }}");
  refused(repeated("{% if 1 %}", 5000) + repeated("{% endif %}", 5000));
  refused(repeated("{% for a in [1] %}", 5000) + repeated("{% endfor %}", 5000));
  EXPECT_EQ(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
            "[chat template, line 1] maximum recursion depth exceeded");
  EXPECT_EQ(error_of("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}"),
            "[chat template, line 1] maximum recursion depth exceeded");
  // Values that nest without nested source.
  const std::string nest =
      "{% set ns = namespace(s=[]) %}{% for i in range(100000) %}{% set ns.s = [ns.s] %}{% endfor %}";
  EXPECT_EQ(render(nest), "");
  for (const char* use : {"{{ ns.s }}", "{{ ns.s == [ns.s] }}", "{{ ns.s|tojson }}", "{{ ns.s < [ns.s] }}"}) {
    EXPECT_NE(error_of(nest + use).find("nested deeper than 200 levels"), std::string::npos) << use;
  }
  EXPECT_NE(error_of("{% set ns = namespace(i=[1]) %}{% for i in range(10000) %}{% set ns.i = ns.i|map('string') %}"
                     "{% endfor %}{{ ns.i|list }}")
                .find("nested deeper"),
            std::string::npos);
  // A cycle: printing it must end, and nothing may leak (the leak check of the sanitizer run).
  EXPECT_NE(error_of("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}").find("nested deeper"),
            std::string::npos);
}

TEST(JinjaTest, NumbersBeyond64BitsAreRefused) {
  for (const char* source : {"{{ 9223372036854775807 + 1 }}", "{{ 10 ** 19 }}", "{{ 9223372036854775808 }}",
                             "{{ '9223372036854775808'|int }}", "{{ 1e300|int }}", "{{ 3037000500 * 3037000500 }}",
                             "{{ -9223372036854775807 - 2 }}"}) {
    EXPECT_NE(error_of(source).find("not fit 64 bits"), std::string::npos) << source << error_of(source);
  }
  EXPECT_EQ(render("{{ (-9223372036854775807 - 1) // -1 if false else 9223372036854775807 }}"), "9223372036854775807");
}

TEST(JinjaTest, RangesAreBoundedAsInTheSandbox) {
  EXPECT_EQ(error_of("{{ range(1000000000) }}"),
            "[chat template, line 1] Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  EXPECT_EQ(error_of("{{ range(-9223372036854775807, 9223372036854775807) }}"),
            "[chat template, line 1] Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
}

TEST(JinjaTest, HugeTemplatesAreRefused) {
  EXPECT_THROW(Template(std::string((1 << 20) + 1, 'x')), UserError);
  // Many conditions over many names: the analysis is bounded as well.
  std::string source;
  for (int i = 0; i < 9000; ++i) source += "{% if a" + std::to_string(i) + " %}{% endif %}";
  EXPECT_THROW(Template{source}, UserError);
}

TEST(JinjaTest, TheClockIsTheCallers) {
  std::tm time{};
  time.tm_year = 124, time.tm_mon = 6, time.tm_mday = 26;
  Heap heap(Limits().memory);
  EXPECT_EQ(Template("{{ strftime_now('%d %b %Y') }}").render(heap, {}, {}, [&] { return time; }), "26 Jul 2024");
  EXPECT_NE(error_of("{{ strftime_now('%999999d') }}").find("does not take widths"), std::string::npos);
}

TEST(JinjaTest, OneTemplateRendersInManyThreads) {
  const Template shared("{% set l = [1, 2] %}{% for i in range(50) %}{% set l = l + [i] %}{{ l }}{% endfor %}");
  Heap heap(Limits().memory);
  const std::string expected = shared.render(heap, {});
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        Heap own(Limits().memory);
        result = shared.render(own, {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace attune::jinja
