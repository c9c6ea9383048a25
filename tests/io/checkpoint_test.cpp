#include "io/checkpoint.h"

#include "io/read_file.h"
#include "tests/io/temporary_folder.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

TrainingState example() {
  return {{{"model/w", random_tensor({3, 2}, 1)},
           {"optimizer/w/m", random_tensor({3, 2}, 2)},
           {"best/w", random_tensor({3, 2}, 3)}},
          {{"epochs", "3"}, {"learning_rate", "0x1.0624dep-10"}, {"history", "a,b\n\"1\"\n"}}};
}

TEST(Checkpoint, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const TrainingState written = example();
  write_checkpoint(folder / "c", written);
  const TrainingState read = read_checkpoint(folder / "c");
  EXPECT_EQ(read.values, written.values);
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (const NamedTensor& one : written.tensors) {
    const auto same = [&](const NamedTensor& other) { return other.name == one.name; };
    const auto found = std::find_if(read.tensors.begin(), read.tensors.end(), same);
    ASSERT_NE(found, read.tensors.end()) << one.name;
    EXPECT_EQ(found->tensor.to_vector(), one.tensor.to_vector());
  }
}

TEST(Checkpoint, ACutAnywhereIsRefusedByName) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c", example());
  const auto bytes = read_file(folder / "c");
  const std::string_view whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t size = 0; size < whole.size(); ++size) {
    write_bytes(folder / "cut", whole.substr(0, size));
    expect_error([&] { read_checkpoint(folder / "cut"); }, {"/cut", "not a whole"});
  }
}

}  // namespace
}  // namespace fettle
