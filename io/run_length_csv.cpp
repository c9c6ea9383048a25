#include "io/run_length_csv.h"

#include "engine/error.h"
#include "io/csv.h"

namespace fettle {

RunLengthCsv::RunLengthCsv(const std::string& path) : file_(path) {
  file_.write(csv_line({"ImageId_ClassId", "EncodedPixels"}));
}

void RunLengthCsv::add(const std::string& image, int64_t kind, const Mask& mask) {
  require(kind >= 1, "the mask of '", image, "' has the kind ", kind,
          "; in a CSV of run lengths kinds are numbered from 1");
  file_.write(csv_line({cat(image, '_', kind), run_lengths_of(mask)}));
}

}  // namespace fettle
