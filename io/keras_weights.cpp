#include "io/keras_weights.h"

#include <array>
#include <set>

namespace fettle {
namespace {

constexpr int max_depth = 16;           // of nested models
constexpr size_t max_weights = 20'000;  // of a file

/// Keras's kernels [R,S,C,K] and [C,units] in fettle's order; empty: as it is.
std::vector<int> axes_of(size_t rank) {
  if (rank == 4) return {3, 0, 1, 2};
  if (rank == 2) return {1, 0};
  return {};
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string before_last_part(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// What a variable such as "conv1_bn/gamma:0" is called here; empty for those of other layers.
std::string part_of(const std::string& variable) {
  static const std::map<std::string, std::string> parts = {{"kernel", "weight"},
                                                           {"gamma", "weight"},
                                                           {"bias", "bias"},
                                                           {"beta", "bias"},
                                                           {"moving_mean", "running_mean"},
                                                           {"moving_variance", "running_var"}};
  const std::string name = last_part(variable);
  const auto found = parts.find(name.substr(0, name.find(':')));
  return found == parts.end() ? "" : found->second;
}

/// The class of a layer by its first variable; empty: another kind of layer.
std::string kind_of(const std::string& variable, size_t rank) {
  if (variable.starts_with("gamma")) return "batch_normalization";
  if (!variable.starts_with("kernel")) return "";
  return rank == 4 ? "conv2d" : rank == 2 ? "dense" : "";
}

/// A list that Keras splits into name0, name1, ... when it is long.
std::optional<std::vector<std::string>> names_of(const Hdf5File& file, const std::string& object,
                                                 const std::string& attribute) {
  if (const auto whole = file.texts(object, attribute)) return whole;
  std::optional<std::vector<std::string>> all;
  for (int chunk = 0;; ++chunk) {
    const auto some = file.texts(object, cat(attribute, chunk));
    if (!some) return all;
    if (!all) all.emplace();
    all->insert(all->end(), some->begin(), some->end());
  }
}

}  // namespace

KerasWeights::KerasWeights(const std::string& path)
    : WeightFile(path, WeightSource::keras), file_(path) {
  const std::string old_root = file_.exists("model_weights") ? "model_weights" : "/";
  if (names_of(file_, old_root, "layer_names").has_value()) {
    read_old_form(old_root);
  } else {
    for (const char* root : {"layers", "_layer_checkpoint_dependencies"})
      if (file_.exists(root)) walk(root, 0);
  }
  require(!entries_.empty(), "'", path,
          "' holds no weights that Keras wrote: neither groups layers/NAME/vars nor the attribute "
          "layer_names");
  std::set<std::string> names;
  for (const WeightEntry& entry : entries_)
    require(names.insert(entry.numbered).second, "'", path, "' has two models with a layer '",
            entry.numbered.substr(0, entry.numbered.rfind('.')),
            "'; save the weights of one of them alone");
}

void KerasWeights::walk(const std::string& group, int depth) {
  require(depth < max_depth, "'", group, "' in '", path_, "' is nested too deeply");
  for (const std::string& name : file_.members(group)) {
    const std::string path = group + "/" + name;
    if (!file_.exists(path) || !file_.is_group(path)) continue;
    if (name == "vars") {
      add_layer(path, last_part(group));
    } else {
      walk(path, depth + 1);
    }
  }
}

void KerasWeights::add_layer(const std::string& group, const std::string& numbered) {
  const auto name = file_.texts(group, "name");
  const std::string layer = name && name->size() == 1 ? name->front() : numbered;
  constexpr std::array<const char*, 4> parts = {"weight", "bias", "running_mean", "running_var"};
  const size_t count = file_.members(group).size();
  if (count > parts.size() || count == 3) return;  // another kind of layer
  for (size_t i = 0; i < count; ++i) add(layer, numbered, parts[i], cat(group, '/', i));
}

void KerasWeights::read_old_form(const std::string& root) {
  std::map<std::string, int> counts;            // of each class
  std::map<std::string, std::string> numbered;  // by the layer's path
  const auto layers = names_of(file_, root, "layer_names");
  for (const std::string& layer : layers.value()) {
    const std::string group = root == "/" ? layer : root + "/" + layer;
    const auto variables = names_of(file_, group, "weight_names");
    if (!variables) continue;
    for (const std::string& variable : *variables) {
      const std::string part = part_of(variable), dataset = group + "/" + variable;
      if (part.empty()) continue;
      const std::string parent = before_last_part(variable);
      const std::string path = parent.empty() ? layer : parent;
      if (!numbered.contains(path)) {
        const std::string kind = kind_of(last_part(variable), file_.shape(dataset).size());
        if (kind.empty()) continue;
        const int before = counts[kind]++;
        numbered[path] = before > 0 ? cat(kind, '_', before) : kind;
      }
      add(last_part(path), numbered[path], part, dataset);
    }
  }
}

void KerasWeights::add(const std::string& layer, const std::string& numbered,
                       const std::string& part, const std::string& dataset) {
  require(entries_.size() < max_weights, "'", path_, "' holds more weights than a model has");
  if (!file_.is_float(dataset)) return;
  std::vector<int64_t> stored = file_.shape(dataset), shape;
  for (const int axis : axes_of(stored.size())) shape.push_back(stored[static_cast<size_t>(axis)]);
  entries_.push_back({layer + "." + part, numbered + "." + part, shape.empty() ? stored : shape});
  datasets_.push_back(dataset);
}

Tensor KerasWeights::read_unchecked(size_t i) const {
  Shape stored;
  for (const int64_t extent : file_.shape(datasets_[i])) stored.push_back(extent);
  const Tensor tensor = Tensor::from(stored, file_.read(datasets_[i]));
  const std::vector<int> axes = axes_of(static_cast<size_t>(stored.rank()));
  return axes.empty() ? tensor : permute(tensor, axes);
}

}  // namespace fettle
