// What convolutions multiply.
#pragma once

namespace fettle {

/// fp32: exact products, rounded sums. tf32 and bf16 round the factors to 10 and 7 bits of
/// mantissa; sums stay fp32. tf32 is a GPU's alone.
enum class Precision { fp32, tf32, bf16 };

}  // namespace fettle
