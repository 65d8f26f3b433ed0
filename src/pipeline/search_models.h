// The models of a search: vectors of its words or of a picture, and the library's vectors to compare them with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "pipeline/installed_models.h"
#include "pipeline/query_picture.h"
#include "search/search.h"
#include "store/catalogue.h"

namespace image_engine::nvidia {
class CloudModels;
}

namespace image_engine::pipeline {

// Opens everything on first use. One thread at a time. `reader` must outlive this.
class SearchModels {
 public:
  SearchModels(const store::CatalogueReader& reader, std::string catalogue, models::InstallPaths paths, Config config);
  ~SearchModels();

  // To compare text with pictures' vectors; null when there are no vectors, or no text tower for them. Lives as long as
  // this.
  Result<const search::PictureMeaning*> pictures();
  // Likewise with tags' vectors; null when no model of the task "sentences" is installed, or no tag has a vector.
  Result<const search::TagMeaning*> tags();
  // To compare text with what is said; null when nothing that is said has a vector. The model is loaded only then.
  Result<const search::SpeechMeaning*> speech();
  // As pictures(), but without a text tower; uses visual features where the library has them.
  Result<const search::PictureMeaning*> vectors();

  // The vector of a picture, or of the frame of a video at a time; the file need not be in the catalogue. The stored
  // one if there is one. Call only after vectors() has returned one.
  Result<std::vector<float>> embed_picture(const std::string& path, FrameTime at);

  // For a person: why only words were compared, and the remedy.
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
  Status load_sentences(const models::Spec& spec);
  Result<bool> ask_server(const models::Spec& spec);
  Result<std::optional<std::vector<std::uint16_t>>> stored_vector(const std::string& path, FrameTime at,
                                                                  store::SpaceId space) const;

  const store::CatalogueReader& reader_;
  const std::string catalogue_;
  const models::InstallPaths paths_;
  const Config config_;
  std::optional<InstalledModels> models_;
  std::unique_ptr<nvidia::CloudModels> cloud_;
  Opened embedding_, features_, speech_;
  std::optional<vision::TextEmbedder> text_;
  std::map<const models::Spec*, vision::TextEmbedder> sentences_;
  search::TagMeaning tags_;
  std::vector<std::string> notes_;
};

}  // namespace image_engine::pipeline
