#include "cli/prompt_flags.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/text.h"

namespace image_engine::cli {
namespace {

// Exactly N finite numbers with commas between them.
template <std::size_t N>
std::optional<std::array<float, N>> numbers_of(std::string_view text) {
  std::array<float, N> numbers{};
  const char *at = text.data(), *const end = text.data() + text.size();
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0 && (at == end || *at++ != ',')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc{} || !std::isfinite(numbers[i])) return std::nullopt;
    at = next;
  }
  return at == end ? std::optional(numbers) : std::nullopt;
}

tl::unexpected<Error> malformed(const char* flag, const std::string& text, const char* form) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} cannot be '{}': it is {}, in pixels of the upright photo", flag, printable(text), form));
}

Status add_points(const std::vector<std::string>& texts, const char* flag, bool is_inside, vision::Prompts& prompts) {
  for (const std::string& text : texts) {
    const auto numbers = numbers_of<2>(text);
    if (!numbers) return malformed(flag, text, "X,Y");
    prompts.points.push_back({(*numbers)[0], (*numbers)[1], is_inside});
  }
  return {};
}

}  // namespace

void add_prompt_flags(Arguments app, PromptFlags& flags, Option target) {
  const Option point =
      app.add_option("--point", flags.points, "In one photo: a point of what is meant (several: of one thing)");
  const Option other = app.add_option("--not", flags.others, "With --point or --box: a point that is not part of it");
  const Option box = app.add_option("--box", flags.box, "In one photo: a box around what is meant");
  const Option text = app.add_option("--text", flags.text, "In one photo: words for what is meant, 'the red car'");
  for (const Option& one : {point, other}) one.type_name("X,Y").one_value_each();
  box.type_name("X,Y,WIDTH,HEIGHT");
  text.type_name("WORDS");
  for (const Option& one : {point, other, box, text}) one.excludes(target);
  for (const Option& one : {point, other, box}) one.excludes(text);
}

Result<std::optional<vision::Prompts>> prompts_of(const PromptFlags& flags) {
  vision::Prompts prompts;
  IE_CHECK(add_points(flags.points, "--point", true, prompts));
  IE_CHECK(add_points(flags.others, "--not", false, prompts));
  if (!flags.box.empty()) {
    const auto numbers = numbers_of<4>(flags.box);
    if (!numbers) return malformed("--box", flags.box, "X,Y,WIDTH,HEIGHT");
    prompts.box = Box{(*numbers)[0], (*numbers)[1], (*numbers)[2], (*numbers)[3]};
  }
  if (flags.points.empty() && !flags.others.empty() && !prompts.box)
    return fail(ErrorCode::kInvalidArgument, "--not says what is not part of it; what is meant needs --point or --box");
  prompts.phrase = flags.text;
  if (prompts.points.empty() && !prompts.box && prompts.phrase.empty()) return std::nullopt;
  return prompts;
}

nlohmann::json prompts_json(const vision::Prompts& prompts) {
  nlohmann::json out = nlohmann::json::object();
  for (const vision::PromptPoint& point : prompts.points)
    out[point.is_inside ? "points" : "not"].push_back({point.x, point.y});
  if (prompts.box) out["box"] = {prompts.box->x, prompts.box->y, prompts.box->width, prompts.box->height};
  if (!prompts.phrase.empty()) out["text"] = to_utf8(prompts.phrase);
  return out;
}

}  // namespace image_engine::cli
