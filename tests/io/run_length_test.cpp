#include "io/run_length.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(RunLengths, CountDownTheColumnsFromOne) {
  // Rows 2 and 3 of the first column, and the whole second column, of 3x4.
  Mask mask(3, 4);
  add_run_lengths("2 2 4 3", mask);
  EXPECT_EQ(mask.pixels, (std::vector<uint8_t>{0, 1, 0, 0,  //
                                               1, 1, 0, 0,  //
                                               1, 1, 0, 0}));
  EXPECT_EQ(run_lengths_of(mask), "2 5");  // neighbours are one run
  Mask from_zero(3, 4);
  add_run_lengths(" 1 2\t3 3\n", from_zero, 0);
  EXPECT_EQ(from_zero.pixels, mask.pixels);
  EXPECT_EQ(run_lengths_of(from_zero, 0), "1 5");
}

TEST(RunLengths, SeveralRowsAreMerged) {
  Mask mask(2, 3);
  add_run_lengths("1 2", mask);
  add_run_lengths("2 3", mask);  // overlaps another row's mask, which is no fault
  add_run_lengths("", mask);
  EXPECT_EQ(run_lengths_of(mask), "1 4");
  EXPECT_EQ(run_lengths_of(Mask(2, 3)), "");
}

TEST(RunLengths, GoThereAndBack) {
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    Mask mask(7 + i, 11), back(7 + i, 11);
    for (uint8_t& pixel : mask.pixels) pixel = random() % 3 == 0;
    add_run_lengths(run_lengths_of(mask), back);
    EXPECT_EQ(back.pixels, mask.pixels);
  }
}

TEST(RunLengths, SayWhatIsWrong) {
  const auto message = [](const char* text) {
    return message_of([&] {
      Mask mask(3, 4);
      add_run_lengths(text, mask);
    });
  };
  EXPECT_EQ(message("1 2 3"),
            "the run lengths hold 3 numbers; they must be pairs of start and length");
  EXPECT_EQ(message("1 x"), "'x' in the run lengths is not a whole number");
  EXPECT_EQ(message("1.5 2"), "'1.5' in the run lengths is not a whole number");
  EXPECT_EQ(message("99999999999999999999 1"),
            "'99999999999999999999' in the run lengths is not a whole number");
  EXPECT_EQ(message("2 0"), "the run at 2 has the length 0; it must be at least 1");
  for (const char* text : {"0 1", "12 2", "13 1", "1 9223372036854775807", "-3 2"}) {
    EXPECT_NE(message(text).find("leaves the picture of 3x4 pixels"), std::string::npos) << text;
  }
  EXPECT_EQ(message("1 3 3 2"), "the run at 3 overlaps another one at pixel 3");
}

}  // namespace
}  // namespace fettle
