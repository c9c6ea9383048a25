#include "layers/layer.h"

#include <cctype>
#include <map>

#include "engine/autograd.h"
#include "engine/ops/cast.h"
#include "engine/random.h"

namespace fettle {
namespace {

/// "MaxPooling2D" becomes "max_pooling2d".
std::string snake_case(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto letter = static_cast<unsigned char>(name[i]);
    if (i > 0 && std::isupper(letter) && std::islower(static_cast<unsigned char>(name[i - 1]))) {
      out += '_';
    }
    out += static_cast<char>(std::tolower(letter));
  }
  return out;
}

// The layers called while a table is being made, with what they returned.
struct CallList {
  std::vector<std::pair<Layer*, Shape>> calls;
};
thread_local CallList* called = nullptr;

std::vector<Members::Entry> members_of(Layer& layer) {
  Members members;
  layer.members(members);
  return members.entries();
}

void collect(Layer& layer, const std::string& prefix, NamedTensors& out) {
  for (const Members::Entry& entry : members_of(layer)) {
    const std::string path = prefix + entry.name;
    if (entry.layer) {
      collect(*entry.layer, path + ".", out);
    } else if (entry.tensor->defined()) {
      out.push_back({path, *entry.tensor, entry.parameter, entry.parameter && layer.trainable()});
    }
  }
}

void collect_names(Layer& layer, const std::string& prefix, std::map<Layer*, std::string>& names) {
  for (const Members::Entry& entry : members_of(layer)) {
    if (!entry.layer) continue;
    names[entry.layer] = prefix + entry.name;
    collect_names(*entry.layer, prefix + entry.name + ".", names);
  }
}

}  // namespace

void Members::parameter(std::string name, Tensor& tensor) {
  entries_.push_back({std::move(name), &tensor, nullptr, true});
}
void Members::buffer(std::string name, Tensor& tensor) {
  entries_.push_back({std::move(name), &tensor, nullptr, false});
}
void Members::layer(std::string name, Layer& layer) {
  entries_.push_back({std::move(name), nullptr, &layer, false});
}

void Members::layer(Layer& one) {
  std::string name = snake_case(one.kind());
  const int before = unnamed_[name]++;
  layer(before > 0 ? cat(name, '_', before) : name, one);
}

Tensor Layer::operator()(const Tensor& x) {
  thread_local int depth = 0;
  struct Inside {
    Inside() { ++depth; }
    ~Inside() { --depth; }
  };
  Tensor y;
  {
    const Inside inside;
    y = call(x);
  }
  if (depth == 0) {
    y.compute();    // see engine/ops/batch_norm_fusion.h
    y = as_f32(y);  // what comes after a model, losses and metrics, is f32
  }
  if (called) called->calls.emplace_back(this, y.shape());
  return y;
}

void Layer::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const Members::Entry& entry : members_of(*this)) {
    if (entry.layer) entry.layer->set_trainable(trainable);
    if (entry.parameter && entry.tensor->defined()) entry.tensor->set_requires_grad(trainable);
  }
}

void move_to(Layer& model, Device device) {
  for (const Members::Entry& entry : members_of(model)) {
    if (entry.layer) {
      move_to(*entry.layer, device);
    } else if (entry.tensor->defined()) {
      const bool trained = entry.tensor->requires_grad();
      *entry.tensor = entry.tensor->to(device);
      entry.tensor->set_requires_grad(trained);
    }
  }
}

NamedTensors named_tensors(Layer& model) {
  NamedTensors tensors;
  collect(model, "", tensors);
  return tensors;
}

Shape build(Layer& model, const Shape& shape, uint64_t seed) {
  const NoGrad no_grad;
  const RandomScope random(seed);
  return model(Tensor::empty(shape, DType::f32, Device::meta())).shape();
}

Graph graph_of(Layer& model, const Shape& shape) {
  const NoGrad no_grad;
  const NamedTensors tensors = named_tensors(model);
  const Device device = tensors.empty() ? Device::cpu() : tensors[0].tensor.device();
  const Tensor input = Tensor::zeros(shape, DType::f32, device);
  GraphRecorder recorder(input, tensors);
  return recorder.finish(model(input));
}

std::vector<LayerRow> layer_table(Layer& model, const Shape& input) {
  CallList calls;
  called = &calls;
  try {
    build(model, input);
  } catch (...) {
    called = nullptr;
    throw;
  }
  called = nullptr;

  std::map<Layer*, std::string> names;
  collect_names(model, "", names);
  std::vector<LayerRow> rows;
  for (const auto& [layer, output] : calls.calls) {
    LayerRow row{names[layer], layer->kind(), output};
    bool leaf = true;
    for (const Members::Entry& entry : members_of(*layer)) {
      if (entry.layer) {
        leaf = false;
      } else if (entry.tensor->defined()) {
        row.parameters += entry.tensor->size();
        if (!entry.parameter || !layer->trainable()) row.non_trainable += entry.tensor->size();
      }
    }
    if (leaf) rows.push_back(row);
  }
  return rows;
}

}  // namespace fettle
