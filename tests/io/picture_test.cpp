#include "io/picture.h"

#include <algorithm>

#include "io/read_file.h"
#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

void expect_close(const Picture& picture, const nlohmann::json& stored, int tolerance) {
  ASSERT_EQ(picture.height, stored["height"]);
  ASSERT_EQ(picture.width, stored["width"]);
  const auto pixels = stored["pixels"].get<std::vector<int>>();
  ASSERT_EQ(picture.pixels.size(), pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i)
    ASSERT_NEAR(picture.pixels[i], pixels[i], tolerance) << "pixel " << i;
}

// Colours as Pillow's; a name without extension and a wrong one make no difference.
TEST(Picture, ReadsEveryKindAsPillowDoes) {
  const TemporaryFolder folder;
  const auto values = stored_values("pictures.json");
  for (const auto& stored : values["cases"]) {
    const auto name = stored["name"].get<std::string>();
    SCOPED_TRACE(name);
    for (const char* extension : {"", ".png"}) {
      write_bytes(folder / (name + extension), from_hex(stored["file"]));
      expect_close(read_picture(folder / (name + extension)), stored, stored["tolerance"]);
    }
  }
}

TEST(Picture, GreyIsTheLuma) {
  const TemporaryFolder folder;
  write_png(folder / "p.png", {1, 2, 3, {10, 20, 30, 255, 255, 255}});
  const Picture grey = read_picture(folder / "p.png", 1);
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (std::vector<uint8_t>{(77 * 10 + 150 * 20 + 29 * 30) / 256, 255}));
}

TEST(Picture, ResizesAsPillowDoes) {
  const auto stored = stored_values("pictures.json");
  Picture source{stored["source"]["height"], stored["source"]["width"], 3,
                 stored["source"]["pixels"].get<std::vector<uint8_t>>()};
  for (const auto& expected : stored["resized"])
    expect_close(resize(source, expected["height"], expected["width"]), expected, 1);
}

TEST(Picture, WritesAndReadsBack) {
  const TemporaryFolder folder;
  for (int channels : {1, 3}) {
    const Picture picture = made_picture(7, 5, channels);
    write_png(folder / "p", picture);
    EXPECT_EQ(read_picture(folder / "p", channels).pixels, picture.pixels);
  }
  write_jpeg(folder / "q", plain_picture(9, 8, 100), 95);
  for (int value : read_picture(folder / "q").pixels) EXPECT_NEAR(value, 100, 2);
}

// A cut anywhere is noticed, in every format.
TEST(Picture, CutFilesAreRefused) {
  const TemporaryFolder folder;
  const auto values = stored_values("pictures.json");
  for (const auto& stored : values["cases"]) {
    const std::string whole = from_hex(stored["file"]);
    SCOPED_TRACE(stored["name"]);
    // A GIF's first frame ends long before the file does.
    const bool gif = whole.starts_with("GIF");
    const size_t end = gif ? whole.size() / 3 : whole.size();
    for (size_t size = 0; size < end; size += 1 + size / 9) {
      write_bytes(folder / "cut.jpg", std::string_view(whole).substr(0, size));
      expect_error([&] { read_picture(folder / "cut.jpg"); }, {"cut.jpg"});
    }
    if (gif) continue;
    write_bytes(folder / "cut.jpg", std::string_view(whole).substr(0, whole.size() - 1));
    expect_error([&] { read_picture(folder / "cut.jpg"); }, {"cut.jpg", "cut off"});
  }
}

TEST(Picture, OtherFilesAreRefused) {
  const TemporaryFolder folder;
  write_bytes(folder / "text.jpg", "this is a text\n");
  write_bytes(folder / "bm.bmp", "BM begins this text, which is long enough for a header");
  expect_error([&] { read_picture(folder / "text.jpg"); }, {"text.jpg", "is not a JPEG, PNG"});
  expect_error([&] { read_picture(folder / "bm.bmp"); }, {"bm.bmp", "is not a JPEG, PNG"});
  expect_error([&] { read_picture(folder / "missing.jpg"); }, {"missing.jpg", "No such file"});
  expect_error([&] { read_picture(folder.path()); }, {folder.path()});
  write_bytes(folder / "empty.png", "");
  expect_error([&] { read_picture(folder / "empty.png"); }, {"empty.png"});
}

TEST(Picture, HugePicturesAreRefusedBeforeDecoding) {
  const TemporaryFolder folder;
  // A PNG header of 20000 x 20000 pixels, grey or RGB, and nothing else: CRCs play no part here.
  for (const char colour : {'\0', '\x02'}) {
    std::string png(
        "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\x4E\x20\0\0\x4E\x20\x08\0\0\0\0____"
        "\0\0\0\x01IDAT_____\0\0\0\0IEND____",
        58);
    png[25] = colour;
    write_bytes(folder / "huge.png", png);
    expect_error([&] { read_picture(folder / "huge.png"); }, {"huge.png", "100 million"});
  }
}

TEST(Picture, DamagedDataThatKeepItsEndAreRefusedOrRead) {
  const TemporaryFolder folder;
  const auto values = stored_values("pictures.json");
  for (const auto& stored : values["cases"]) {
    const std::string whole = from_hex(stored["file"]);
    for (size_t i = 2; i < whole.size(); i += 5) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
      write_bytes(folder / "damaged", damaged);
      try {  // no crash, no endless loop: an Error or some picture
        EXPECT_GT(read_picture(folder / "damaged").pixels.size(), 0u);
      } catch (const Error&) {
      }
    }
  }
}

// More codes than there are values: decoders have written past their tables for that.
TEST(Picture, DamagedHuffmanTablesAreRefused) {
  const TemporaryFolder folder;
  write_jpeg(folder / "a.jpg", plain_picture(9, 8, 100), 95);
  std::vector<uint8_t> file = read_file(folder / "a.jpg");
  const std::vector<uint8_t> marker = {0xFF, 0xC4};
  const auto table = std::search(file.begin(), file.end(), marker.begin(), marker.end());
  ASSERT_NE(table, file.end());
  std::fill_n(table + 5 + 10, 3, uint8_t{255});  // after marker, length and the table's number
  expect_error([&] { decode_picture("a.jpg", file); }, {"'a.jpg'", "Huffman"});
}

TEST(Picture, UnwritablePlacesAreNamed) {
  const TemporaryFolder folder;
  const Picture picture = plain_picture(4, 4, 0);
  expect_error([&] { write_png(folder.path() + "/no/p.png", picture); }, {"/no/p.png"});
  expect_error([&] { write_png("/dev/null", picture); }, {"/dev/null"});
}

}  // namespace
}  // namespace fettle
