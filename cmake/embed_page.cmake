# INPUT (HTML) to OUTPUT (C++): the function chat_page() of src/serve/chat_page.h.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes ${bytes})
file(WRITE ${OUTPUT} "// Made of chat_page.html while building.
#include \"serve/chat_page.h\"

namespace attune {
namespace {

constexpr unsigned char kPage[] = {${bytes}};

}  // namespace

std::string_view chat_page() { return {reinterpret_cast<const char*>(kPage), sizeof kPage}; }

}  // namespace attune
")
