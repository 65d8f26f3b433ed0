// Brings text indexes up to date after a change of how text is cut into words.
#pragma once

#include "store/sql.h"

namespace image_engine::store {

// Indexes all texts again, with names and what is said as they are made now. Says so in the log, with its progress:
// 100,000 assets take a few seconds. Within a transaction; throws SqlFailure.
void rebuild_words(Connection& connection);

}  // namespace image_engine::store
