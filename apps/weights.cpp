#include "apps/weights.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include "engine/argument_error.h"
#include "models/classifier.h"
#include "models/resnet.h"

namespace fettle {
namespace {

std::string layer_of(const std::string& tensor) {
  return tensor.substr(0, tensor.rfind('.'));
}

std::string text_of(const std::vector<int64_t>& shape) {
  Shape printed;
  for (const int64_t extent : shape) printed.push_back(extent);
  return cat(printed);
}

std::string listed(const std::vector<std::string>& names, size_t shown) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < shown; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > shown) text += cat(" and ", names.size() - shown, " more");
  return text;
}

/// Names of the tensors that a new head makes anew.
std::set<std::string> head_names(Layer& model, const NamedTensors& tensors) {
  std::set<std::string> names;
  if (auto* classifier = dynamic_cast<Classifier*>(&model)) {
    for (const NamedTensor& named : named_tensors(classifier->head())) names.insert(named.name);
  } else {
    for (const NamedTensor& named : tensors)
      if (layer_of(named.name) == layer_of(tensors.back().name)) names.insert(named.name);
  }
  return names;
}

/// For each tensor of a model its name with Keras's class and number: "conv2d_1.weight".
std::vector<std::string> numbered_names(const NamedTensors& tensors) {
  std::map<std::string, std::string> kinds, numbered;  // by the layer's name
  for (const NamedTensor& named : tensors) {
    std::string& kind = kinds[layer_of(named.name)];
    if (named.tensor.shape().rank() == 4) kind = "conv2d";
    if (named.tensor.shape().rank() == 2) kind = "dense";
    if (named.name.ends_with("running_mean")) kind = "batch_normalization";
  }
  std::map<std::string, int> counts;
  std::vector<std::string> names;
  for (const NamedTensor& named : tensors) {
    const std::string layer = layer_of(named.name);
    if (!numbered.contains(layer)) {
      const int before = counts[kinds[layer]]++;
      numbered[layer] = before > 0 ? cat(kinds[layer], '_', before) : kinds[layer];
    }
    names.push_back(numbered[layer] + named.name.substr(layer.size()));
  }
  return names;
}

/// Finds the file's entry for each tensor of the model.
class Matcher {
 public:
  Matcher(const WeightFile& weights, Layer& model)
      : keras_(weights.source() == WeightSource::keras),
        resnet_(dynamic_cast<Classifier*>(&model) != nullptr) {
    for (size_t i = 0; i < weights.entries().size(); ++i) {
      by_name_[weights.entries()[i].name] = i;
      if (keras_) by_number_[weights.entries()[i].numbered] = i;
    }
  }

  std::optional<size_t> find(const std::string& name, const std::string& numbered) const {
    if (!keras_) return in(by_name_, name);
    const std::string layer = resnet_ ? keras_resnet_name(layer_of(name)) : "";
    const auto found = in(by_name_, layer + name.substr(layer_of(name).size()));
    return found && !layer.empty() ? found : in(by_number_, numbered);
  }

 private:
  using Index = std::map<std::string, size_t>;
  static std::optional<size_t> in(const Index& index, const std::string& name) {
    const auto found = index.find(name);
    return found == index.end() ? std::nullopt : std::optional(found->second);
  }

  bool keras_, resnet_;
  Index by_name_, by_number_;
};

/// What became of a model's tensors and of a file's.
struct Match {
  struct Pair {
    Tensor tensor;
    size_t entry;  // of the file
    bool of_head;
  };
  std::vector<Pair> pairs;
  std::vector<std::string> missing, different;                  // of the backbone
  std::vector<std::string> head, head_missing, head_different;  // of the head
  std::vector<std::string> left_out;                            // of the file
  bool more_convolutions = false;                               // among what was left out
  int64_t outputs = 0, file_outputs = 0;                        // of the last layers
};

Match match(const WeightFile& weights, Layer& model) {
  const NamedTensors tensors = named_tensors(model);
  const std::set<std::string> head = head_names(model, tensors);
  const std::vector<std::string> numbered = numbered_names(tensors);
  const Matcher matcher(weights, model);
  Match m;
  std::set<size_t> used;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor, parameter, trainable] = tensors[i];
    const bool of_head = head.contains(name);
    if (of_head) m.head.push_back(name);
    const std::optional<size_t> found = matcher.find(name, numbered[i]);
    if (!found) {
      (of_head ? m.head_missing : m.missing).push_back(name);
      continue;
    }
    used.insert(*found);
    const std::vector<int64_t>& shape = weights.entries()[*found].shape;
    if (layer_of(name) == layer_of(tensors.back().name) && !shape.empty()) {
      m.outputs = tensor.shape()[0];
      m.file_outputs = shape[0];
    }
    if (std::equal(shape.begin(), shape.end(), tensor.shape().begin(), tensor.shape().end())) {
      m.pairs.push_back({tensor, *found, of_head});
    } else {
      (of_head ? m.head_different : m.different)
          .push_back(
              cat(name, " is ", text_of(shape), " in the file and ", tensor.shape(), " here"));
    }
  }
  for (size_t i = 0; i < weights.entries().size(); ++i) {
    if (used.contains(i)) continue;
    m.left_out.push_back(weights.entries()[i].name);
    m.more_convolutions |= weights.entries()[i].shape.size() == 4;
  }
  return m;
}

/// Throws Error unless everything but the head is the model's.
void require_same_network(const WeightFile& weights, const Match& m) {
  constexpr size_t shown = 3;
  std::string faults;
  const auto add = [&](const std::string& what, const std::vector<std::string>& names) {
    if (!names.empty()) faults += (faults.empty() ? "" : "; ") + what + listed(names, shown);
  };
  add("", m.different);
  add("the file lacks ", m.missing);
  if (m.more_convolutions) add("only the file has ", m.left_out);
  require(faults.empty(), "'", weights.path(), "' (", name_of(weights.source()),
          ") holds the weights of another network: ", faults,
          "; choose the --model and --width that they are of");
}

}  // namespace

std::string preprocess_of(const std::string& given, const ModelEntry& entry,
                          const WeightFile* weights) {
  if (entry.preprocess.empty()) {
    require_argument(given == "default", "--preprocess is for the ResNets; ", entry.name,
                     " has its own preprocessing");
    return "";
  }
  if (given != "default") return given;
  if (!weights) return entry.preprocess;
  if (weights->source() == WeightSource::pytorch) return "imagenet";
  if (weights->source() == WeightSource::keras) return "caffe";
  const auto found = weights->metadata().find("preprocess");
  return found == weights->metadata().end() ? entry.preprocess : found->second;
}

void load_weights(const WeightFile& weights, Layer& model, bool new_head) {
  Match m = match(weights, model);
  require_same_network(weights, m);
  const bool other_outputs = m.file_outputs != m.outputs, anew = new_head || other_outputs;
  require(anew || (m.head_missing.empty() && m.head_different.empty()), "the head of '",
          weights.path(), "' is another: ", listed(m.head_different, 3),
          m.head_missing.empty() ? "" : " the file lacks " + listed(m.head_missing, 3),
          "; begin a new one with --new-head, or give the --head that it has");
  if (anew) std::erase_if(m.pairs, [](const Match::Pair& pair) { return pair.of_head; });
  std::vector<Tensor> values;  // everything is read before anything is changed
  for (const Match::Pair& pair : m.pairs) values.push_back(weights.read(pair.entry));
  for (size_t i = 0; i < values.size(); ++i) m.pairs[i].tensor.copy_from(values[i]);

  std::cerr << "Weights: " << values.size() << " tensors of '" << weights.path() << "' ("
            << name_of(weights.source()) << ") match\n";
  const auto print = [](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) std::cerr << "Weights: " << what << listed(names, 20) << "\n";
  };
  print("left out of the file: ", m.left_out);
  print("other shape: ", m.head_different);
  print("not in the file: ", m.head_missing);
  if (!anew) return;
  std::cerr << "New head: " << listed(m.head, 6) << " begin anew, because ";
  if (new_head) {
    std::cerr << "--new-head says so\n";
  } else {
    std::cerr << "the file's head has " << m.file_outputs << " outputs and this one " << m.outputs
              << "\n";
  }
}

}  // namespace fettle
