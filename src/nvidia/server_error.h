// Turns servers' error answers into messages for people.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "nvidia/api_key.h"

namespace image_engine::nvidia {

// "cv/nvidia/retail-object-detection: HTTP 402, no credits are left: Cloud credits expired". The server's message is
// {"detail"}, {"title"}, {"error"}, {"error": {"message"}} or {"message"}, or the text's first line; at most 200 bytes,
// without the key. HTML is named, not quoted.
Error error_of_answer(const std::string& endpoint, int status, std::string_view body, const ApiKey& key);

// Whether a retry may succeed.
constexpr bool may_pass(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }

}  // namespace image_engine::nvidia
