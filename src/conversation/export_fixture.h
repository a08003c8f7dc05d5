// For the tests of importers: exports written into a temporary folder, and what was read from them in one line each.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "conversation/importer.h"

namespace attune {

class ExportFixture : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("{}-{}", testing::UnitTest::GetInstance()->current_test_info()->name(), ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }

  fs::path zip(const std::string& name, const std::vector<std::pair<std::string, std::string>>& entries) {
    const fs::path path = folder_ / name;
    archive* handle = archive_write_new();
    archive_write_set_format_zip(handle);
    EXPECT_EQ(archive_write_open_filename(handle, path.c_str()), ARCHIVE_OK);
    for (const auto& [entry_name, text] : entries) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, entry_name.c_str());
      archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      EXPECT_EQ(archive_write_header(handle, entry), ARCHIVE_OK);
      archive_write_data(handle, text.data(), text.size());
      archive_entry_free(entry);
    }
    archive_write_free(handle);
    return path;
  }

  // Everything in `path`, its type detected; each entry is accounted for.
  static std::vector<ChatLog> logs_in(const fs::path& path, const ReadOptions& options = {},
                                      const std::string& from = "") {
    auto logs = read_export(path, from, options).logs;
    for (const ChatLog& log : logs) {
      const auto dropped = std::accumulate(log.dropped.begin(), log.dropped.end(), std::uint64_t{0});
      EXPECT_EQ(log.entries, log.messages.size() + dropped) << log.source;
    }
    return logs;
  }

  // The only chat in `path`.
  static ChatLog log_in(const fs::path& path, const ReadOptions& options = {}) {
    auto logs = logs_in(path, options);
    EXPECT_EQ(logs.size(), 1u);
    return logs.empty() ? ChatLog{} : std::move(logs.front());
  }

  // "Name: text" of each message.
  static std::vector<std::string> said(const ChatLog& log) {
    std::vector<std::string> lines;
    for (const ChatMessage message : log.messages) lines.push_back(fmt::format("{}: {}", message.sender, message.text));
    return lines;
  }

  static std::uint64_t count(const ChatLog& log, Drop reason) { return log.dropped[static_cast<std::size_t>(reason)]; }

  // What reading `path` is refused with; the folder is written as DIR.
  std::string error_of(const fs::path& path, const ReadOptions& options = {}) {
    try {
      read_export(path, "", options);
    } catch (const UserError& error) {
      std::string message = error.what();
      for (std::size_t at; (at = message.find(folder_.string())) != std::string::npos;) {
        message.replace(at, folder_.string().size(), "DIR");
      }
      return message;
    }
    return "no error";
  }

  fs::path folder_;
};

}  // namespace attune
