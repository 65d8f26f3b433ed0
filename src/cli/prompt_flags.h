// The flags by which a person says what they mean in a photo.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "core/result.h"
#include "vision/prompts.h"

namespace image_engine::cli {

struct PromptFlags {
  std::vector<std::string> points, others;
  std::string box, text;
};

// Adds --point, --not, --box and --text, which exclude `target`.
void add_prompt_flags(Arguments app, PromptFlags& flags, Option target);

// nullopt: none was given. kInvalidArgument: one is not of its form, or --not stands alone.
Result<std::optional<vision::Prompts>> prompts_of(const PromptFlags& flags);

// As documents have them.
nlohmann::json prompts_json(const vision::Prompts& prompts);

}  // namespace image_engine::cli
