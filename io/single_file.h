// A model in one file: what the embedded library reads. Everything that a prediction needs is in
// it: how a picture is prepared, the network and its weights, and what the results are called.
//
//   8 bytes   8F "fettle" 0A
//   u32       version, 1
//   u32       CRC-32 of all that follows
//   u64       length of the file
//   u64       length of the description
//   the description: the fields of SingleFile, the constants' shapes, types and places, the steps
//   the constants, each at a multiple of 64 bytes, fp32 or fp16
//
// Numbers are little-endian. See io/single_file.cpp for the order of the fields.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/inference/network.h"

namespace fettle {

struct SingleFile {
  std::string model;                     ///< its name, for people
  bool segments = false;                 ///< draws masks; else classifies
  bool multi_label = false;              ///< classifies: each class is a yes or no of its own
  bool standardize = false;              ///< pictures are fed with mean 0 and deviation 1
  bool any_size = false;                 ///< the network takes other sizes than height x width
  int64_t height = 0, width = 0;         ///< what the network was made for
  bool own_size = false;                 ///< pictures keep their size; else they are resized
  int64_t multiple = 1, reach = 0;       ///< see models/model.h
  double threshold = 0.5;                ///< probability from which something is a defect
  std::vector<std::string> class_names;  ///< or the kinds of defects
  inference::Network network;  ///< [1,H,W,C] to probabilities, [1,classes] or [1,H,W,kinds]
  int64_t memory = 0;          ///< bytes of the file that was read and of its expanded weights
};

enum class Storage { f32, f16 };

/// The bytes of the file. Throws Error when a weight is too large for fp16.
std::vector<uint8_t> to_bytes(const SingleFile& model, Storage storage);

/// Reads the bytes of a file; `name` is for messages. fp32 weights are used where they lie, so that
/// `bytes` must live as long as the result, whose network keeps `owner`. Throws Error when the file
/// is damaged, cut off, of another version, or describes what no network can be.
SingleFile read_single_file(const std::string& name, std::span<const uint8_t> bytes,
                            std::shared_ptr<const void> owner = nullptr);

/// C source that holds the bytes as `const unsigned char NAME[]`, with `NAME_size`.
std::string to_c_source(const std::string& name, std::span<const uint8_t> bytes);

}  // namespace fettle
