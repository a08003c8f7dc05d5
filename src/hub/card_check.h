// The rules of a card's YAML, checked here so that a mistake is found before anything is sent; the Hub's own check
// (POST /api/validate-yaml) comes after. https://huggingface.co/docs/hub/model-cards
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

// The YAML between the first line "---" and the next; nothing when there is none.
std::optional<std::string> front_matter(std::string_view card);

// One sentence for each thing that is wrong; none when all is well or there is no YAML. `dataset`: a data set's card.
std::vector<std::string> check_card(std::string_view card, bool dataset);

bool is_license(const std::string& license);  // an identifier that the Hub knows

}  // namespace attune
