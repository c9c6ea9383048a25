#include "apps/number_checks.h"

#include <cmath>

#include "engine/error.h"

namespace fettle {
namespace {

/// Accepts texts that are a Number which `fits`.
template <class Number, class Fits>
CLI::Validator validator(const std::string& what, const std::string& range, const Fits& fits) {
  const auto problem = [=](const std::string& text) -> std::string {
    Number number{};
    if (CLI::detail::lexical_cast(text, number) && fits(number)) return {};
    return cat("'", text, "' is not a ", what, " ", range);
  };
  return {problem, range};
}

template <class Fits>
CLI::Validator real(const std::string& range, const Fits& fits) {
  return validator<double>("number", range, [=](double number) {
    return std::isfinite(static_cast<float>(number)) && fits(number);  // layers compute in float
  });
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) {
  const bool open = most == std::numeric_limits<int64_t>::max();
  return validator<int64_t>("whole number",
                            open ? cat("from ", least, " on") : cat("from ", least, " to ", most),
                            [=](int64_t number) { return number >= least && number <= most; });
}

CLI::Validator seeds() {
  return whole_number(0, std::numeric_limits<uint32_t>::max());
}

CLI::Validator number_between(double least, double most) {
  return real(cat("from ", least, " to ", most),
              [=](double number) { return number >= least && number <= most; });
}

CLI::Validator number_from(double least) {
  return real(cat("from ", least, " on"), [=](double number) { return number >= least; });
}

CLI::Validator number_above(double least) {
  return real(cat("above ", least),
              [=](double number) { return static_cast<float>(number) > least; });
}

}  // namespace fettle
