#include "synth/readers.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "base/error_of.h"

namespace attune {
namespace {

std::string zip_of(const std::map<std::string, std::string>& files) {
  std::string bytes(std::size_t{8} << 20, '\0');
  std::size_t used = 0;
  archive* const writer = archive_write_new();
  archive_write_set_format_zip(writer);
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  for (const auto& [name, text] : files) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    archive_write_header(writer, entry);
    archive_write_data(writer, text.data(), text.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

// A PDF whose pages show the given lines; poppler finds its objects without a table of them.
std::string pdf_of(const std::vector<std::vector<std::string>>& pages, const std::string& trailer = "") {
  std::string objects, kids;
  int next = 4;
  for (const auto& lines : pages) {
    std::string stream = "BT /F1 12 Tf 14 TL 72 720 Td\n";
    for (const std::string& line : lines) stream += line.empty() ? "0 -40 Td\n" : "(" + line + ") Tj T*\n";
    stream += "ET";
    kids += fmt::format("{} 0 R ", next);
    objects += fmt::format(
        "{} 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {} 0 R"
        "/Resources<</Font<</F1 3 0 R>>>>>> endobj\n",
        next, next + 1);
    objects += fmt::format("{} 0 obj <</Length {}>> stream\n{}\nendstream endobj\n", next + 1, stream.size(), stream);
    next += 2;
  }
  return "%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n" +
         fmt::format("2 0 obj <</Type/Pages/Kids[{}]/Count {}>> endobj\n", kids, pages.size()) +
         "3 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj\n" + objects + "trailer <</Root 1 0 R " +
         trailer + ">>\n%%EOF\n";
}

TEST(PlainText, ReadsByteOrderMarksAndLineEnds) {
  EXPECT_EQ(plain_text("\xEF\xBB\xBF"
                       "a\r\nb\rc",
                       "f"),
            "a\nb\nc");
  EXPECT_EQ(plain_text(std::string_view("\xFF\xFE"
                                        "\xE1\x00"
                                        "=\xD8\x00\xDE",
                                        8),
                       "f"),
            "á😀");
  EXPECT_EQ(plain_text(std::string_view("\xFE\xFF\x00\xE1", 4), "f"), "á");
}

TEST(PlainText, RefusesWhatIsNoText) {
  EXPECT_EQ(error_of([] { plain_text("ab\xE1r", "f"); }),
            "[f: byte 3] expected UTF-8 text; convert it, e.g. iconv -f ISO-8859-2 -t UTF-8");
  EXPECT_EQ(error_of([] { plain_text(std::string_view("a\0b", 3), "f"); }), "[f] expected text, got binary data");
}

TEST(TextReader, CutsAtEmptyLinesAndPages) {
  EXPECT_EQ(text_blocks("One\nline more.\n \nTwo\n\fThree", "f"),
            (TextBlocks{{0, "One\nline more."}, {0, "Two"}, {0, "Three"}}));
}

TEST(MarkdownReader, KnowsHeadingsParagraphsAndCode) {
  const TextBlocks blocks = markdown_blocks(
      "---\ntitle: x\n---\n# Guide #\nText *as* it is.\n\nSub\n---\n- a\n- b\n\n```sh\n# no "
      "heading\n\nls\n```\n####### seven",
      "f");
  EXPECT_EQ(blocks, (TextBlocks{{1, "Guide"},
                                {0, "Text *as* it is."},
                                {2, "Sub"},
                                {0, "- a\n- b"},
                                {0, "```sh\n# no heading\n\nls\n```"},
                                {0, "####### seven"}}));
}

TEST(CsvReader, NamesTheColumnsOfEachRow) {
  EXPECT_EQ(csv_blocks("name;note\nAnna;\"says \"\"hi\"\";\nand goes\"\n;\nPete;\n", "f"),
            (TextBlocks{{0, "name: Anna\nnote: says \"hi\";\nand goes"}, {0, "name: Pete"}}));
  EXPECT_EQ(csv_blocks("a\tb\n1\t2", "f"), (TextBlocks{{0, "a: 1\nb: 2"}}));
}

TEST(CsvReader, NamesTheLineOfAnError) {
  EXPECT_EQ(error_of([] { csv_blocks("a,b\n1,2\n1,2,3\n", "f"); }),
            "[f:3] expected 2 fields as in the first row, got 3");
  EXPECT_EQ(error_of([] { csv_blocks("a,b\n\"1\n\n2,3\n", "f"); }), "[f:2] a quoted field does not end");
  EXPECT_EQ(error_of([] { csv_blocks("a,b\n\"1\"x,2\n", "f"); }), "[f:2] expected a separator after the closing quote");
}

TEST(HtmlReader, LeavesOutWhatSurroundsTheWords) {
  const TextBlocks blocks = html_blocks(
      "<html><head><title>T</title><style>p{}</style></head><body><nav><a>Home</a></nav>"
      "<h2>Prices &amp; terms</h2><p>One <b>two</b>\n three<br>four</p><script>x()</script>"
      "<table><tr><th>A</th><td>1</td></tr></table><ul><li>x<li>y</ul><pre>a\n  b</pre>loose",
      "f");
  EXPECT_EQ(blocks, (TextBlocks{{2, "Prices & terms"},
                                {0, "One two three\nfour"},
                                {0, "A | 1"},
                                {0, "x"},
                                {0, "y"},
                                {0, "a\n  b"},
                                {0, "loose"}}));
}

TEST(HtmlReader, TakesTheEncodingThatIsTrue) {
  EXPECT_EQ(html_blocks("<meta charset=iso-8859-1><p>ő</p>", "f"), (TextBlocks{{0, "ő"}}));
  EXPECT_EQ(html_blocks("<html><head><meta charset=\"iso-8859-2\"></head><body><p>\xF5</p></body></html>", "f"),
            (TextBlocks{{0, "ő"}}));
  EXPECT_EQ(html_blocks("<meta http-equiv=Content-Type content='text/html; charset=windows-1250'><p>\xF5</p>", "f"),
            (TextBlocks{{0, "ő"}}));
  EXPECT_EQ(error_of([] { html_blocks("<p>\xF5</p>", "f"); }),
            "[f] expected UTF-8 or a known <meta charset>; convert it, e.g. iconv -f ISO-8859-2 -t UTF-8");
}

TEST(HtmlReader, SurvivesDepth) {
  std::string deep;
  for (int i = 0; i < 50'000; ++i) deep += "<div>";
  EXPECT_LE(html_blocks(deep + "x", "f").size(), 1u);
}

constexpr const char* kWordXml = R"(<w:document xmlns:w="w"><w:body>
<w:p><w:pPr><w:pStyle w:val="Cmsor1"/></w:pPr><w:r><w:t>Chapter</w:t></w:r></w:p>
<w:p><w:r><w:t xml:space="preserve">One </w:t></w:r><w:r><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>
<w:del><w:r><w:t>gone</w:t></w:r></w:del></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>A</w:t></w:r></w:p></w:tc>
<w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Deep</w:t></w:r></w:p>
</w:body></w:document>)";
constexpr const char* kStylesXml =
    R"(<w:styles xmlns:w="w"><w:style w:styleId="Cmsor1"><w:name w:val="heading 1"/></w:style></w:styles>)";

TEST(DocxReader, ReadsHeadingsThroughTranslatedStylesAndTables) {
  const std::string file =
      zip_of({{"word/document.xml", kWordXml}, {"word/styles.xml", kStylesXml}, {"word/media/a.png", "x"}});
  EXPECT_EQ(docx_blocks(file, "f"), (TextBlocks{{1, "Chapter"}, {0, "One two\nthree"}, {0, "A | 1"}, {3, "Deep"}}));
  EXPECT_EQ(docx_blocks(zip_of({{"word/document.xml", kWordXml}}), "f").front(), (TextBlock{0, "Chapter"}));
}

TEST(DocxReader, RefusesWhatIsNoWordDocument) {
  const std::string other = "[f] expected a Word document (.docx), got a damaged or another file";
  EXPECT_EQ(error_of([] { docx_blocks("hello", "f"); }), other);
  const std::string file = zip_of({{"word/document.xml", std::string(100'000, ' ') + kWordXml}});
  EXPECT_EQ(error_of([&] { docx_blocks(file.substr(0, file.size() / 2), "f"); }).substr(0, 4), "[f] ");
  EXPECT_EQ(error_of([] { docx_blocks("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "f"); }),
            "[f] is encrypted or an old .doc; save it as .docx without a password");
  EXPECT_EQ(error_of([] {
              docx_blocks(zip_of({{"a.txt", "x"}}), "f");
            }),
            "[f] expected a Word document (.docx): word/document.xml is missing");
  const std::string damaged = "[f] damaged Word document: word/document.xml is not the XML that it should be";
  EXPECT_EQ(error_of([] { docx_blocks(zip_of({{"word/document.xml", "<w:document>"}}), "f"); }), damaged);
  const char* const entities = "<!DOCTYPE d [<!ENTITY a \"x\">]><d>&a;</d>";
  EXPECT_EQ(error_of([&] { docx_blocks(zip_of({{"word/document.xml", entities}}), "f"); }), damaged);
}

TEST(DocxReader, StopsAtAZipBomb) {
  const std::string bomb = zip_of({{"word/document.xml", std::string(kMaxDocumentText + 1, ' ')}});
  EXPECT_LT(bomb.size(), std::size_t{1} << 20);
  EXPECT_EQ(error_of([&] { docx_blocks(bomb, "f"); }),
            "[f] word/document.xml unpacks to more than 64 MB; no document that can be read");
}

TEST(PdfReader, JoinsLinesHyphensAndPages) {
  const TextBlocks blocks =
      pdf_blocks(pdf_of({{"The engine was tes-", "ted in 1912 and", "ran well.", "", "The second part", "goes on"},
                         {"over the page.", "", "17"}}),
                 "f");
  EXPECT_EQ(blocks, (TextBlocks{{0, "The engine was tested in 1912 and ran well."},
                                {0, "The second part goes on over the page."}}));
  // \373 is a sharp s: the letter before the hyphen may be one beyond ASCII.
  EXPECT_EQ(pdf_blocks(pdf_of({{"Das gro\\373-", "e Rad."}}), "f"), (TextBlocks{{0, "Das gro\u00DFe Rad."}}));
}

TEST(PdfReader, RefusesWhatItCannotRead) {
  EXPECT_EQ(error_of([] { pdf_blocks("hello", "f"); }), "[f] expected a PDF, got a damaged or another file");
  EXPECT_EQ(error_of([] { pdf_blocks(pdf_of({{}}), "f"); }), "[f] the PDF has no text; a scanned one needs OCR first");
  const std::string lock = "/ID[<01><01>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<" + std::string(64, '0') + ">/U<" +
                           std::string(64, '1') + ">>>";
  EXPECT_EQ(error_of([&] { pdf_blocks(pdf_of({{"secret"}}, lock), "f"); }),
            "[f] is encrypted; remove its password first, e.g. qpdf --decrypt --password=...");
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "b" / ".hidden");
    write("b/z.md", "# Z\n\nzet");
    write("b/a.TXT", "a");
    write("b/picture.png", "x");
    write("b/.hidden/no.txt", "no");
    write("c.txt", " \n ");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune_readers_test_{}", ::getpid());
};

TEST_F(Files, OfFoldersAreFoundByName) {
  const DocumentFiles found = find_documents({folder_ / "b", folder_ / "c.txt"});
  EXPECT_EQ(found.files, (std::vector<fs::path>{folder_ / "b/a.TXT", folder_ / "b/z.md", folder_ / "c.txt"}));
  EXPECT_EQ(found.ignored, (std::vector<fs::path>{folder_ / "b/picture.png"}));
  EXPECT_EQ(read_document(folder_ / "b/z.md").blocks, (TextBlocks{{1, "Z"}, {0, "zet"}}));
}

TEST_F(Files, ThatAreNoDocumentsAreRefused) {
  const auto at = [&](const char* name) { return (folder_ / name).string(); };
  EXPECT_EQ(error_of([&] { find_documents({at("none.txt")}); }),
            "[" + at("none.txt") + "] no such file; check the path");
  EXPECT_EQ(error_of([&] { find_documents({at("b/picture.png")}); }),
            "[" + at("b/picture.png") +
                "] expected a .txt, .md, .html, .pdf, .docx or .csv document; convert it to one of them");
  EXPECT_EQ(error_of([&] { find_documents({at("b/.hidden/..")}); }), "no error");
  EXPECT_EQ(error_of([&] { read_document(at("c.txt")); }),
            "[" + at("c.txt") + "] the document has no words; leave it out");
}

}  // namespace
}  // namespace attune
