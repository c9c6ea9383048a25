// What ONNX's own tools say of files that fettle wrote.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace fettle {

/// Whether Python's packages onnx and onnxruntime are here.
inline bool has_onnx_runtime() {
  return std::system("python3 -c 'import onnx, onnxruntime' >/dev/null 2>&1") == 0;
}

/// Runs check_onnx.py on a folder.
inline void expect_onnx_agrees(const std::string& folder) {
  const std::string command =
      "python3 " FETTLE_TEST_DATA "/../io/check_onnx.py '" + folder + "' >&2";
  EXPECT_EQ(std::system(command.c_str()), 0) << "see the lines above";
}

}  // namespace fettle
