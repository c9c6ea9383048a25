// The program as a person calls it, in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "io/picture.h"
#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {

inline std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Outcome {
  int code;
  std::string out, err;
};

/// Calls of the program.
class Program : public testing::Test {
 protected:
  std::string path(const std::string& name) { return folder_.path() + "/" + name; }

  /// Fills data/bad and data/good with so many small pictures each, which brightness tells apart.
  void make_two_classes(int each) {
    for (int i = 0; i < each; ++i) {
      write_jpeg(folder_ / cat("data/bad/", i, ".jpg"), plain_picture(20, 24, 30 + i));
      write_png(folder_ / cat("data/good/", i, ".png"), plain_picture(24, 20, 200 + i));
    }
  }

  /// Runs `fettle arguments`; {} in them stands for the folder.
  Outcome fettle(const std::string& arguments, const std::string& before = "") {
    return run(before + FETTLE_PROGRAM, arguments);
  }
  /// The same program with the executor of tests/simt as its GPU.
  Outcome fettle_with_gpu(const std::string& arguments) {
    return run(FETTLE_PROGRAM_WITH_GPU, arguments);
  }
  Outcome run(const std::string& program, std::string arguments) {
    for (size_t at; (at = arguments.find("{}")) != std::string::npos;) {
      arguments.replace(at, 2, folder_.path());
    }
    const std::string command =
        cat(program, " ", arguments, " >", path("out.txt"), " 2>", path("err.txt"), " </dev/null");
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(path("out.txt")),
            content(path("err.txt"))};
  }

  /// Expects exit code 1 and a message that holds the parts in one line after "fettle: ".
  void expect_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
    expect_sentence(outcome, 1, "", parts);
  }
  /// The same with exit code 2; a line that points to --help may follow.
  void expect_wrong_arguments(const Outcome& outcome, const std::vector<std::string>& parts) {
    expect_sentence(outcome, 2, "Run with --help for more information.\n", parts);
  }
  void expect_sentence(const Outcome& outcome, int code, const std::string& may_follow,
                       const std::vector<std::string>& parts) {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    const size_t begin = outcome.err.rfind("fettle: ");
    ASSERT_NE(begin, std::string::npos) << outcome.err;
    const size_t end = outcome.err.find('\n', begin);
    ASSERT_NE(end, std::string::npos) << outcome.err;
    const std::string sentence = outcome.err.substr(begin, end - begin);
    const std::string rest = outcome.err.substr(end + 1);
    EXPECT_TRUE(rest.empty() || rest == may_follow) << outcome.err;
    for (const std::string& part : parts) {
      EXPECT_NE(sentence.find(part), std::string::npos) << "'" << part << "' not in " << sentence;
    }
  }

  /// No temporary file was left anywhere.
  void expect_nothing_half_written() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      EXPECT_NE(entry.path().filename().string()[0], '.') << entry.path();
    }
  }

  TemporaryFolder folder_;
};

}  // namespace fettle
