// Where commands may write files that a person names.
#pragma once

#include <string>

#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::cli {

// Refuses to replace something of the library, under any name: kInvalidArgument. `target` is absolute.
Status check_target(const store::CatalogueReader& reader, const std::string& target);
// Refuses to replace any file, too: for what looks like a person's own.
Status check_new(const store::CatalogueReader& reader, const std::string& target);
// The same where there is no catalogue yet.
Status check_absent(const std::string& target);

}  // namespace image_engine::cli
