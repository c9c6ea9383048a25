// Plans that the whole process uses instead of plan_conv2d's: read from lines of text, or found by
// timing every plan when a convolution is first computed. The functions without a plan ask here
// first; the text is a file's, which this does not touch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/conv2d/plan.h"

namespace fettle {

/// What the table holds for this convolution; nothing where plan_conv2d decides.
std::optional<Conv2dPlan> known_conv2d_plan(Conv2dDirection direction, const Conv2dShape& shape,
                                            Precision precision);
void set_known_conv2d_plan(Conv2dDirection direction, const Conv2dShape& shape, Precision precision,
                           const Conv2dPlan& plan);
void clear_known_conv2d_plans();

/// One line for each plan of the table, always in the same order:
/// "forward N32 H56 W56 C64 K64 R3 S3 P56 Q56 stride 1x1 dilation 1x1 pad 1+1 groups 1 bf16: wgmma
/// bf16 128x64".
std::vector<std::string> known_conv2d_plan_lines();
/// Takes such a line into the table; false when it is none, or when a GPU of this compute
/// capability cannot compute the convolution so.
bool read_known_conv2d_plan(const std::string& line, int compute_capability);

/// Whether convolutions that are not in the table are timed on first use and put there. What is
/// quickest can differ from run to run, and so can the bits of a result: the table keeps them.
void set_conv2d_tuning(bool on);
bool conv2d_tuning();

/// The plans that are worth timing: of the precision, without the teaching rungs, in several
/// numbers of splits; the one that plan_conv2d chooses comes first.
std::vector<Conv2dPlan> conv2d_plans_to_time(Conv2dDirection direction, const Conv2dShape& shape,
                                             Precision precision, const Conv2dPlan& chosen,
                                             int compute_capability);

}  // namespace fettle
