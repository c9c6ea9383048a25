// A convolution of oneDNN, in one of the ways in which a network could use it.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/plan.h"

namespace fettle {

struct OneDnnWay {
  std::string name;
  dnnl::algorithm algorithm = dnnl::algorithm::convolution_direct;
  dnnl::memory::format_tag activations = dnnl::memory::format_tag::any;
  bool reorder_weights = false;  ///< from and to [K,R,S,C] in every call, else beforehand
};

/// x, weights and y, or their gradients, as fettle has them.
struct ConvBuffers {
  float *x, *w, *y;
};

/// One direction of a convolution. What a call reads is copied into oneDNN's layout at the start.
class OneDnnConv2d {
 public:
  /// Throws dnnl::error where oneDNN has no such convolution.
  OneDnnConv2d(const OneDnnWay& way, Conv2dDirection direction, const Conv2dShape& s,
               const ConvBuffers& buffers)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using tag = dnnl::memory::format_tag;
    const dnnl::memory::dims x{s.N, s.C, s.H, s.W}, y{s.N, s.K, s.P, s.Q};
    const dnnl::memory::dims w =
        s.groups == 1 ? dnnl::memory::dims{s.K, s.C, s.R, s.S}
                      : dnnl::memory::dims{s.groups, s.K / s.groups, s.C / s.groups, s.R, s.S};
    const dnnl::memory::dims strides{s.stride_h, s.stride_w}, before{s.pad_top, s.pad_left};
    const dnnl::memory::dims after{(s.P - 1) * s.stride_h + s.R - s.H - s.pad_top,
                                   (s.Q - 1) * s.stride_w + s.S - s.W - s.pad_left};
    const auto desc = [](const dnnl::memory::dims& dims, tag layout) {
      return dnnl::memory::desc(dims, dnnl::memory::data_type::f32, layout);
    };
    const auto dx = desc(x, way.activations), dw = desc(w, tag::any), dy = desc(y, way.activations);
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, way.algorithm, dx, dw, dy, strides, before, after},
        engine_);
    const dnnl::memory ours_x(desc(x, tag::nhwc), engine_, buffers.x);
    const dnnl::memory ours_w(desc(w, s.groups == 1 ? tag::ohwi : tag::gohwi), engine_, buffers.w);
    const dnnl::memory ours_y(desc(y, tag::nhwc), engine_, buffers.y);
    switch (direction) {
      case Conv2dDirection::forward:
        primitive_ = dnnl::convolution_forward(forward);
        reads(DNNL_ARG_SRC, ours_x, forward.src_desc());
        reads(DNNL_ARG_WEIGHTS, ours_w, forward.weights_desc(), way.reorder_weights);
        writes(DNNL_ARG_DST, ours_y, forward.dst_desc());
        break;
      case Conv2dDirection::backward_input: {
        const dnnl::convolution_backward_data::primitive_desc backward(
            {way.algorithm, dx, dw, dy, strides, before, after}, engine_, forward);
        primitive_ = dnnl::convolution_backward_data(backward);
        reads(DNNL_ARG_DIFF_DST, ours_y, backward.diff_dst_desc());
        reads(DNNL_ARG_WEIGHTS, ours_w, backward.weights_desc(), way.reorder_weights);
        writes(DNNL_ARG_DIFF_SRC, ours_x, backward.diff_src_desc());
        break;
      }
      case Conv2dDirection::backward_weight: {
        const dnnl::convolution_backward_weights::primitive_desc backward(
            {way.algorithm, dx, dw, dy, strides, before, after}, engine_, forward);
        primitive_ = dnnl::convolution_backward_weights(backward);
        reads(DNNL_ARG_DIFF_DST, ours_y, backward.diff_dst_desc());
        reads(DNNL_ARG_SRC, ours_x, backward.src_desc());
        writes(DNNL_ARG_DIFF_WEIGHTS, ours_w, backward.diff_weights_desc(), way.reorder_weights);
        break;
      }
    }
  }

  void run() {
    if (before_) before_->run(stream_);
    primitive_.execute(stream_, arguments_);
    if (after_ && after_->in_every_call) after_->run(stream_);
    stream_.wait();
  }

  /// Brings the result into fettle's layout, if run() does not.
  void fetch() {
    if (after_) after_->run(stream_);
    stream_.wait();
  }

 private:
  struct Reorder {
    dnnl::memory from, to;
    bool in_every_call = false;
    dnnl::reorder primitive{from, to};
    void run(dnnl::stream& stream) { primitive.execute(stream, from, to); }
  };

  void reads(int argument, const dnnl::memory& ours, const dnnl::memory::desc& layout,
             bool in_every_call = false) {
    dnnl::memory theirs = ours;
    if (ours.get_desc() != layout) {
      theirs = dnnl::memory(layout, engine_);
      Reorder reorder{ours, theirs, in_every_call};
      reorder.run(stream_);
      stream_.wait();
      if (in_every_call) before_ = reorder;
    }
    arguments_.insert({argument, theirs});
  }
  void writes(int argument, const dnnl::memory& ours, const dnnl::memory::desc& layout,
              bool in_every_call = false) {
    dnnl::memory theirs = ours;
    if (ours.get_desc() != layout) {
      theirs = dnnl::memory(layout, engine_);
      after_ = Reorder{theirs, ours, in_every_call};
    }
    arguments_.insert({argument, theirs});
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
  std::optional<Reorder> before_, after_;
};

}  // namespace fettle
