// What options accept as numbers. None of them takes infinity or what is no number at all, and each
// refusal says the range in words.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace fettle {

/// A whole number in [least, most].
CLI::Validator whole_number(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

/// A seed: 0 to 2^32 - 1.
CLI::Validator seeds();

/// A number in [least, most].
CLI::Validator number_between(double least, double most);

/// A number of at least `least`.
CLI::Validator number_from(double least);

/// A number above `least`.
CLI::Validator number_above(double least);

}  // namespace fettle
