#include "io/html.h"

#include <gtest/gtest.h>

namespace fettle {
namespace {

TEST(Html, NoNameBecomesMarkup) {
  EXPECT_EQ(escaped("<script>\"a\" & 'b'"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;");
  EXPECT_EQ(escaped("Öl, 裂缝, 😀, \U0010FFFD"), "Öl, 裂缝, 😀, \U0010FFFD");
  EXPECT_EQ(element("p", {{"title", "a\"b"}}, "x<y", element("b", {}, "&")).markup(),
            "<p title=\"a&quot;b\">x&lt;y<b>&amp;</b></p>");
  EXPECT_EQ(element("p", {}).markup(), "<p></p>");
  EXPECT_EQ(element("img", {{"alt", "<"}}).markup(), "<img alt=\"&lt;\"/>");
}

// Names of files may hold any bytes, XML may not.
TEST(Html, WhatXmlCannotHoldIsReplaced) {
  const std::string replaced = "\uFFFD";
  for (const char* text : {"\x01", "\x1b", "\x7f", "\xff", "\x80", "\xc0", "\xc3", "\xed"})
    EXPECT_EQ(escaped(text), replaced) << text;
  EXPECT_EQ(escaped(std::string_view("\0", 1)), replaced);
  EXPECT_EQ(escaped("a\xffz"), "a" + replaced + "z");
  // Overlong, a surrogate, beyond Unicode, no character: byte by byte.
  EXPECT_EQ(escaped("\xc0\xaf"), replaced + replaced);
  EXPECT_EQ(escaped("\xe0\x80\xaf"), replaced + replaced + replaced);
  EXPECT_EQ(escaped("\xed\xa0\x80"), replaced + replaced + replaced);
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), replaced + replaced + replaced + replaced);
  EXPECT_EQ(escaped("\xef\xbf\xbf"), replaced + replaced + replaced);
  EXPECT_EQ(escaped("\xef\xbf\xbd"), replaced);
  EXPECT_EQ(escaped("a\tb\nc\r"), "a\tb\nc\r");
}

// The examples of RFC 4648.
TEST(Html, BytesBecomeAnAddress) {
  const std::string begin = "data:image/png;base64,";
  for (const auto& [bytes, text] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"},
                                                        {"\xfb\xff", "+/8="}})
    EXPECT_EQ(data_url("image/png", bytes), begin + text);
}

}  // namespace
}  // namespace fettle
