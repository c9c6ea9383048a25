// What the bytes of a picture file say before anything is decoded: which format they are, whether
// the file is whole, and which way up the picture is.
#pragma once

#include <cstdint>
#include <span>

namespace fettle {

using Bytes = std::span<const uint8_t>;

enum class PictureFormat { none, jpeg, png, bmp, gif };

/// How many bytes picture_format() looks at.
constexpr size_t picture_signature_size = 18;

/// The format by the signature at the beginning of a file, whatever the file is called.
PictureFormat picture_format(Bytes file);

/// Whether a picture of that format reaches its end. Decoders fill what a cut file lacks with grey
/// or black, so this walks the file's own structure: JPEG segments to the end marker (ITU T.81,
/// annex B), PNG chunks to IEND, the rows that a BMP header promises, the blocks of a GIF's first
/// frame. Bytes after the end are no fault.
bool is_complete(PictureFormat format, Bytes file);

/// Whether the Huffman tables of a JPEG have at most 256 codes (ITU T.81, annex B.2.4.2): stb_image
/// of some versions writes past its own tables otherwise. True for everything else.
bool has_sound_tables(Bytes file);

/// The EXIF orientation of a JPEG, 1 to 8; 1 (upright) for everything else.
int exif_orientation(Bytes file);

}  // namespace fettle
