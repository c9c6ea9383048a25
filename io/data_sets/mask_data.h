// Data sets of pictures in which masks say where the defects are, and of which kind.
//
// Each format of the field has a reader of its own; all of them end in MaskData, which knows where
// the masks are written down and draws them only when they are asked for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "io/data_sets/class_folder.h"
#include "io/polygon.h"
#include "io/run_length.h"

namespace fettle {

enum class MaskFormat { severstal, via, mvtec, pairs };

/// Run lengths in a table.
struct RunLengthRow {
  int32_t kind = 0;
  std::string text;
  std::string where;  ///< file and line, for messages
};

/// A polygon of annotations.
struct PolygonRegion {
  int32_t kind = 0;
  std::vector<Point> points;
  std::string where;
};

/// A mask in a file of its own.
struct MaskOfFile {
  static constexpr int32_t by_value = -1;  ///< each number in the file is a kind: MaskData::values
  int32_t kind = 0;
  std::string path;
};

using MaskPart = std::variant<RunLengthRow, PolygonRegion, MaskOfFile>;

struct MaskedPicture {
  std::string path;
  std::vector<MaskPart> parts;  ///< none: a good picture
  /// Pixels of each kind, [kinds]; what several parts of a kind cover counts once.
  std::vector<int64_t> pixels = {};
  int64_t height = 0, width = 0;
};

/// What makes a kind in data sets that leave it open.
enum class Kinds {
  automatic,  ///< as the format says: ClassId, attribute or folder; one kind for pairs
  one,        ///< every defect is of one kind, "defect"
  folder,     ///< pairs: the first folder under the data set's
  value       ///< pairs: each number in the masks
};

struct MaskDataOptions {
  Kinds kinds = Kinds::automatic;
  int64_t run_length_origin = 1;  ///< number of the first pixel in run lengths, 1 or 0
  bool skip_broken = false;       ///< leave out pictures that cannot be read, with a note
};

struct MaskData {
  std::string path;
  MaskFormat format = MaskFormat::pairs;
  std::vector<std::string> kinds;
  std::vector<MaskedPicture> pictures;  ///< every one of different content
  std::vector<std::string> notes;       ///< what a user should know of what was left out or assumed
  int64_t run_length_origin = 1;
  int grey_threshold = 128;          ///< grey masks are set from this value on
  std::vector<uint8_t> values = {};  ///< with Kinds::value: the number of each kind
};

/// The format of a folder or file by what it holds, or nothing when it is none of them:
///   severstal  a table with the columns ImageId, ClassId, EncodedPixels, or ImageId_ClassId,
///              EncodedPixels
///   via        a JSON file of the VGG Image Annotator
///   mvtec      the folders ground_truth/<kind> and test/<kind>
///   pairs      pictures with masks beside them: in parallel folders (images/, masks/), with a
///              suffix (x_mask.png, x_label.bmp), or of another format (x.jpg, x.png)
/// as the first of them that fits. `path` may be the table or the JSON file itself.
std::pair<bool, MaskFormat> mask_format_of(const std::string& path);

/// Reads a data set of the given format, and every mask in it once. Pictures that occur twice byte
/// for byte are kept once, so that none is trained on and validated with. Kinds without a pixel
/// are dropped when the kinds are folders or values. Throws Error naming the file, and the row or
/// entry, for whatever is wrong: a missing picture, a mask of another size than its picture, run
/// lengths that do not fit.
MaskData read_mask_data(const std::string& path, MaskFormat format,
                        const MaskDataOptions& options = {});

/// The masks of a picture at its own size, one a kind. Throws Error naming the file and the row.
std::vector<Mask> masks_of(const MaskData& data, const MaskedPicture& picture);

/// Gives the kinds of `data` the numbers that they have in `kinds`. Throws Error naming a kind that
/// is not there.
void renumber_kinds(MaskData& data, const std::vector<std::string>& kinds);

/// What was seen, for people: pictures, and of each kind the pictures and pixels.
std::string description(const MaskData& data);

/// The pictures as examples of two classes, good (0) and defective (1).
std::vector<Example> good_or_defective(const MaskData& data);

/// split() of the pictures, in which each is one entry whatever its masks are.
std::pair<MaskData, MaskData> split(const MaskData& data, double fraction, uint64_t seed);

}  // namespace fettle
