// One file of a model, from the first of its sources that has it.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "models/provenance.h"
#include "models/pull.h"
#include "models/spec.h"

namespace image_engine::models {

// Finished files stay in `downloads` until forget(), so that a pull that fails later need not fetch them again.
class Fetcher {
 public:
  // `relative_to`: the base folder of a relative `file:` source. `what`: for progress.
  Fetcher(const PullOptions& options, std::string downloads, std::string relative_to, std::string what);

  // Writes the file to `target`, which must not exist; returns what it is and where it came from. A file of parts is
  // joined from them; errors name the part. Errors: as pull().
  Result<InstalledFile> fetch(const FileSpec& file, const std::string& target);
  // Removes the finished downloads, except packages.
  void forget();
  // The Python interpreter for tools/models, found or created on the first call.
  Result<std::string> python();

 private:
  Result<InstalledFile> joined(const FileSpec& file, const std::string& target);
  Status from_source(const FileSpec& file, const Source& source, const std::string& target, std::string& sha256);
  Status from_web(const FileSpec& file, const Source& source, const std::string& target, std::string& sha256);
  Status from_disk(const FileSpec& file, const Source& source, const std::string& target);
  Status from_package(const FileSpec& file, const Source& source, const std::string& target);

  const PullOptions& options_;
  std::string downloads_, relative_to_, what_, python_;
  std::vector<std::string> finished_;
};

}  // namespace image_engine::models
