// Text for HTML pages.
#pragma once

#include <string>
#include <string_view>

namespace attune {

// & < > " ' as entities: for text and attributes.
std::string escape_html(std::string_view text);

}  // namespace attune
