// The filter functions that filters.cc lists by name; each does what jinja2's filter of the same name does.
#pragma once

#include <functional>

#include "token/jinja/runtime.h"

namespace attune::jinja {

// jinja2's make_attrgetter: the dotted path `attribute` (missing or None: the item itself) of an item; with
// `ignore_case`, strings become lower case; a value that is not there becomes `fallback` unless that is missing or None.
class AttributeGetter {
 public:
  AttributeGetter(Runtime& runtime, const Value& attribute, bool ignore_case, const Value& fallback = {});
  Value operator()(const Value& item) const;

 private:
  Runtime& runtime_;
  std::vector<Value> path_;
  bool ignore_case_;
  Value fallback_;
};

#define ATTUNE_FILTER(name) Value filter_##name(Runtime& runtime, const Value& input, Arguments& arguments)

// filters_text.cc
ATTUNE_FILTER(capitalize);
ATTUNE_FILTER(center);
ATTUNE_FILTER(escape);
ATTUNE_FILTER(forceescape);
ATTUNE_FILTER(format);
ATTUNE_FILTER(indent);
ATTUNE_FILTER(join);
ATTUNE_FILTER(lower);
ATTUNE_FILTER(replace);
ATTUNE_FILTER(safe);
ATTUNE_FILTER(string);
ATTUNE_FILTER(title);
ATTUNE_FILTER(tojson);
ATTUNE_FILTER(trim);
ATTUNE_FILTER(truncate);
ATTUNE_FILTER(upper);
ATTUNE_FILTER(wordcount);

// filters_number.cc
ATTUNE_FILTER(abs);
ATTUNE_FILTER(float);
ATTUNE_FILTER(int);
ATTUNE_FILTER(round);
ATTUNE_FILTER(sum);

// filters_sequence.cc
ATTUNE_FILTER(attr);
ATTUNE_FILTER(batch);
ATTUNE_FILTER(default);
ATTUNE_FILTER(dictsort);
ATTUNE_FILTER(first);
ATTUNE_FILTER(groupby);
ATTUNE_FILTER(items);
ATTUNE_FILTER(last);
ATTUNE_FILTER(length);
ATTUNE_FILTER(list);
ATTUNE_FILTER(map);
ATTUNE_FILTER(max);
ATTUNE_FILTER(min);
ATTUNE_FILTER(reject);
ATTUNE_FILTER(rejectattr);
ATTUNE_FILTER(reverse);
ATTUNE_FILTER(select);
ATTUNE_FILTER(selectattr);
ATTUNE_FILTER(slice);
ATTUNE_FILTER(sort);
ATTUNE_FILTER(unique);

}  // namespace attune::jinja
