// What a person states about pictures, and labels that are learned from it. Parts of
// CatalogueReader and CatalogueWriter (store/catalogue.h), whose rules for threads, errors and transactions hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "store/types.h"

namespace image_engine::store {

class Connection;
struct WriterState;

class LabelReader {
 public:
  // By name.
  Result<std::vector<LearnedLabel>> learned_labels() const;
  Result<std::vector<LabelExample>> label_examples(const std::string& name) const;
  // What pictures are tagged with: keywords, objects, products, scenes, labels; each once, with the number of pictures.
  Result<std::vector<std::pair<std::string, std::int64_t>>> terms() const;

 protected:
  explicit LabelReader(Connection& connection) : connection_(&connection) {}

 private:
  Connection* connection_;
};

class LabelWriter {
 public:
  // Examples are a person's: kept as ratings are. An example is replaced where there is one of that label and asset;
  // nullopt takes it away. kNotFound for an asset without a hash.
  Status set_label_example(const std::string& name, AssetId asset, const std::optional<LabelExample>& example);
  // The head of a label; its findings are set apart.
  Status put_learned_label(const LearnedLabel& label);
  // Learned labels of one picture, beside those that it has. A person's examples of it stay.
  Status add_learned_labels(AssetId asset, const std::vector<FoundClass>& labels);
  // Replaces what was found for this label in all assets; only those that change are indexed anew.
  Status set_label_findings(const std::string& name, const std::vector<LabelFinding>& findings);
  // With its examples and findings. kNotFound when there is none.
  Status remove_learned_label(const std::string& name);
  // Made by a person: kept through every analysis, and through prune() unless asked otherwise. kNotFound for an asset
  // without a hash.
  Status set_user_rating(AssetId asset, std::optional<int> rating);
  // One line; empty text takes the title away.
  Status set_user_title(AssetId asset, const std::string& title);
  Status add_label(AssetId asset, const std::string& label);
  // kNotFound where a person has not added it.
  Status remove_label(AssetId asset, const std::string& label);

 protected:
  explicit LabelWriter(WriterState& state) : state_(&state) {}

 private:
  WriterState* state_;
};

}  // namespace image_engine::store
