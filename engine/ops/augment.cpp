#include "engine/ops/augment.h"

namespace fettle {
namespace {

struct Move {
  Tensor transforms;
  Interpolation interpolation;
};
struct Colour {
  ColourChange::Kind kind;
  Tensor drawn;
  float a = 1, b = 0;
};

struct Changed : Pending {
  Tensor source = {}, scaling = {};
  std::vector<Move> moves = {};
  std::vector<Colour> colours = {};

  Tensor compute() const override {
    const Shape& s = source.shape();
    Pictures p = {.N = s[0], .H = s[1], .W = s[2], .C = s[3]};
    if (source.dtype() == DType::u8) {
      p.bytes = source.data<uint8_t>();
    } else {
      p.floats = source.data();
    }
    if (scaling.defined()) p.scaling = scaling.data();
    PictureChanges changes;
    for (const Move& m : moves)
      changes.move[changes.moves++] = {m.transforms.data(), m.interpolation};
    for (const Colour& c : colours)
      changes.colour[changes.colours++] = {c.kind, c.drawn.defined() ? c.drawn.data() : nullptr,
                                           c.a, c.b};
    Tensor y = Tensor::empty(s, DType::f32, source.device());
    on(y.device(), [&](auto device) { augment(device, p, changes, y.data()); });
    return y;
  }
};

std::shared_ptr<const Changed> pending_changes(const Tensor& x) {
  return std::dynamic_pointer_cast<const Changed>(x.pending());
}

Tensor pending(Changed changed) {
  const Shape shape = changed.source.shape();
  const Device device = changed.source.device();
  return Tensor::deferred(shape, DType::f32, device, std::make_shared<Changed>(std::move(changed)));
}

/// The changes of x so far, if one more can join them; else x as it is, unchanged.
Changed changes_of(const Tensor& x, bool to_move) {
  const auto changed = pending_changes(x);
  if (changed &&
      (to_move ? changed->colours.empty() && std::ssize(changed->moves) < PictureChanges::most
               : std::ssize(changed->colours) < PictureChanges::most)) {
    return *changed;
  }
  Changed none;
  none.source = x.detach();
  return none;
}

void check_pictures(const char* operation, const Tensor& x) {
  require(x.shape().rank() == 4, operation, ": the input must be [N,H,W,C], not ", x.shape());
  require(!x.requires_grad(), operation, ": has no gradient; apply it to pictures only");
}

void check_drawn(const char* operation, const Tensor& x, const Tensor& drawn,
                 const Shape& a_picture) {
  check_pictures(operation, x);
  Shape wanted = {x.shape()[0]};
  for (int64_t extent : a_picture) wanted.push_back(extent);
  require(drawn.shape() == wanted, operation, ": the parameters ", drawn.shape(),
          " do not fit the input ", x.shape());
  check_devices(operation, {x, drawn});
}

Tensor coloured(const Tensor& x, Colour colour) {
  Changed changed = changes_of(x, false);
  changed.colours.push_back(std::move(colour));
  return pending(std::move(changed));
}

}  // namespace

Tensor pictures(const Tensor& x, const Tensor& scaling) {
  if (x.dtype() != DType::u8) return x;
  check_pictures("pictures", x);
  if (scaling.defined()) check_drawn("pictures", x, scaling, {2});
  Changed changed;
  changed.source = x;
  changed.scaling = scaling;
  return pending(std::move(changed));
}

Tensor affine_transform(const Tensor& x, const Tensor& transforms, Interpolation interpolation) {
  check_drawn("affine_transform", x, transforms, {6});
  Changed changed = changes_of(x, true);
  changed.moves.push_back({transforms, interpolation});
  return pending(std::move(changed));
}

Tensor adjust_contrast(const Tensor& x, const Tensor& factors) {
  check_drawn("adjust_contrast", x, factors, {});
  return coloured(x, {ColourChange::Kind::contrast, factors});
}

Tensor adjust_brightness(const Tensor& x, const Tensor& deltas, float low, float high) {
  check_drawn("adjust_brightness", x, deltas, {});
  return coloured(x, {ColourChange::Kind::brightness, deltas, low, high});
}

Tensor fused_rescale(const Tensor& x, float scale, float offset) {
  if (!pending_changes(x)) return {};
  return coloured(x, {ColourChange::Kind::rescale, {}, scale, offset});
}

}  // namespace fettle
