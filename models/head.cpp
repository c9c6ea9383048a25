#include "models/head.h"

#include <charconv>
#include <map>
#include <sstream>

#include "engine/argument_error.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"

namespace fettle {
namespace {

/// One word of the text: NAME, NAME=VALUE or NAME=VALUE:ACTIVATION.
struct Word {
  std::string text, name, value, activation;

  explicit Word(const std::string& word) : text(word), name(word.substr(0, word.find('='))) {
    if (name.size() == word.size()) return;
    value = word.substr(name.size() + 1);
    const size_t colon = value.find(':');
    if (colon == std::string::npos) return;
    activation = value.substr(colon + 1);
    value.resize(colon);
  }
};

template <class Number>
Number number_of(const Word& word, Number least, Number most) {
  Number number{};
  const char* end = word.value.data() + word.value.size();
  const auto [at, error] = std::from_chars(word.value.data(), end, number);
  require_argument(error == std::errc() && at == end && number >= least && number <= most,
                   "--head: '", word.text, "' needs a number from ", least, " to ", most,
                   " after the '='");
  return number;
}

Activation activation_of(const Word& word) {
  static const std::map<std::string, Activation> activations = {{"", Activation::linear},
                                                                {"relu", Activation::relu},
                                                                {"relu6", Activation::relu6},
                                                                {"swish", Activation::swish},
                                                                {"sigmoid", Activation::sigmoid}};
  const auto found = activations.find(word.activation);
  require_argument(found != activations.end(), "--head: the activation of '", word.text,
                   "' is not relu, relu6, swish or sigmoid");
  return found->second;
}

std::unique_ptr<Layer> layer_of(const Word& word) {
  constexpr int64_t largest_window = 4096;
  const bool plain = word.value.empty() && word.name == word.text;
  if (word.name == "pool" && plain) return std::make_unique<GlobalAveragePooling2D>();
  if (word.name == "maxpool" && plain) return std::make_unique<GlobalMaxPooling2D>();
  if (word.name == "flatten" && plain) return std::make_unique<Flatten>();
  if (word.activation.empty()) {
    if (word.name == "avgpool")
      return std::make_unique<AveragePooling2D>(number_of<int64_t>(word, 1, largest_window));
    if (word.name == "maxpool")
      return std::make_unique<MaxPooling2D>(number_of<int64_t>(word, 1, largest_window));
    if (word.name == "dropout") return std::make_unique<Dropout>(number_of(word, 0.0f, 0.99f));
  }
  throw ArgumentError(
      "--head: '", word.text,
      "' is not known; write a list of pool, maxpool, avgpool=N, maxpool=N, flatten, "
      "dropout=RATE, dense=UNITS and dense=UNITS:relu (relu6, swish, sigmoid)");
}

}  // namespace

Head::Head(const std::string& text, int64_t classes, bool multi_label) {
  const bool or_one = classes == 2 && !multi_label;
  std::vector<Word> words;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) words.emplace_back(part);
  require_argument(!words.empty(),
                   "--head: the list is empty; write for example pool,dropout=0.2,dense");
  for (const Word& word : words) {
    if (word.name != "dense") {
      layers_.push_back(layer_of(word));
      continue;
    }
    const int64_t units =
        word.name == word.text ? classes : number_of<int64_t>(word, 1, int64_t{1} << 20);
    const bool last = &word == &words.back();
    require_argument(!last || units == classes || (units == 1 && or_one),
                     "--head: the last dense has ", units, " units, but there are ", classes,
                     multi_label ? " labels" : " classes", "; write dense=", classes,
                     or_one ? " or dense=1" : "");
    require_argument(
        !last || word.activation.empty(), "--head: '", word.text,
        "' must have no activation: the last dense gives logits, and the loss knows what to do "
        "with them");
    layers_.push_back(std::make_unique<Dense>(units, activation_of(word)));
  }
  require_argument(words.back().name == "dense", "--head: the last word must be dense, not '",
                   words.back().text, "'");
}

void Head::members(Members& members) {
  for (size_t i = 0; i + 1 < layers_.size(); ++i) members.layer(*layers_[i]);
  members.layer("fc", *layers_.back());
}

Tensor Head::call(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = (*layer)(y);
  return y;
}

}  // namespace fettle
