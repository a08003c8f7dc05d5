// Recipes from outside: any text is either refused with a UserError or gives a recipe that its own YAML gives again.
// The first line that begins with "--set " and those like it are overrides; the rest is the file.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "train/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> overrides;
  const std::string flag = "--set ";
  while (text.starts_with(flag)) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    overrides.push_back(text.substr(flag.size(), end - flag.size()));
    text.erase(0, end + 1);
  }
  attune::Recipe recipe;
  try {
    recipe = attune::parse_recipe(text, "fuzz", overrides);
  } catch (const attune::UserError&) {
    return 0;
  }
  if (!(attune::parse_recipe(attune::to_yaml(recipe), "written", {}) == recipe)) std::abort();
  return 0;
}
