// What a search asks models for: vectors of its words, of a picture, and the library's to compare them with.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "pipeline/installed_models.h"
#include "search/search.h"
#include "store/catalogue.h"

namespace image_engine::nvidia {
class CloudModels;
}

namespace image_engine::pipeline {

// Opens each thing when it is first asked for. One thread at a time. Keep `reader` as long as this.
class SearchModels {
 public:
  SearchModels(const store::CatalogueReader& reader, std::string catalogue, models::Places places, Config config);
  ~SearchModels();

  // What pictures' vectors are compared with; null when there are none, or no text tower for them. Lives as long as
  // this.
  Result<const search::PictureMeaning*> pictures();
  // Likewise with tags' vectors; null when no model for sentences is installed, or no tag has a vector.
  Result<const search::TagMeaning*> tags();
  // As pictures(), but needs no text tower; visual features where the library has them.
  Result<const search::PictureMeaning*> vectors();

  // The vector of a picture that need not be in the catalogue; as the catalogue has it where it has one. Call after
  // vectors() gave something.
  Result<std::vector<float>> embed_picture(const std::string& path);

  // For a person: why words alone were compared, and what changes that.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Opened {
    store::Space space;
    std::optional<search::VectorIndex> index;
    search::PictureMeaning meaning;
  };
  Result<const InstalledModels*> models();
  Result<bool> find_space(const char* stage, Opened& opened);
  Status open_index(Opened& opened);
  Result<bool> ask_server(const models::Spec& spec);

  const store::CatalogueReader& reader_;
  const std::string catalogue_;
  const models::Places places_;
  const Config config_;
  std::optional<InstalledModels> models_;
  std::unique_ptr<nvidia::CloudModels> cloud_;
  Opened embedding_, features_;
  std::optional<vision::TextEmbedder> text_, sentences_;
  search::TagMeaning tags_;
  std::vector<std::string> notes_;
};

}  // namespace image_engine::pipeline
