#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>

#include "cli/output.h"
#include "cli/plugins_run.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

struct Check {
  std::string name;
  Status status;
  std::string found;
};

struct Shape {
  std::uint32_t width, height;
};
constexpr Shape kShapes[] = {{640, 480}, {1, 1}, {333, 1}, {1, 97}, {63, 65}};

// A gradient with noise: every level occurs.
std::vector<std::uint8_t> test_picture(const Shape& shape, std::uint32_t channels) {
  std::mt19937 random(shape.width * 31 + shape.height);
  std::vector<std::uint8_t> pixels(std::size_t{shape.width} * shape.height * channels);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>(i * 255 / pixels.size() + random() % 17);
  return pixels;
}

Check run_check(plugins::Plugin& plugin, const Shape& shape) {
  Check check{fmt::format("runs on {} × {} pixels", shape.width, shape.height), {}, {}};
  const plugins::Description& about = plugin.description();
  const std::vector<std::uint8_t> photo = test_picture(shape, 3), mask = test_picture(shape, 1);
  std::vector<plugins::Input> inputs;
  for (const plugins::Port& port : about.inputs) {
    plugins::Input& input = inputs.emplace_back();
    if (port.kind == plugins::PortKind::kPicture) input.picture = {3, shape.width, shape.height, photo};
    if (port.kind == plugins::PortKind::kMask) input.picture = {1, shape.width, shape.height, mask};
    if (port.kind == plugins::PortKind::kRecord) input.record = "{}";
  }
  const Result<std::vector<plugins::Value>> values = plugins::parameter_values(about, {});
  plugins::RunWatch watch;
  watch.stop = interruption();
  const Result<plugins::RunResult> result = values ? plugin.run(inputs, *values, watch) : fail(values.error());
  if (!result) {
    check.status = fail(result.error());
    return check;
  }
  for (std::size_t i = 0; i < about.outputs.size(); ++i) {
    const plugins::PixelView& picture = result->outputs[i].picture;
    if (picture.channels > 0)
      check.found += fmt::format("{}{} {} × {} × {}", check.found.empty() ? "" : ", ", about.outputs[i].name,
                                 picture.width, picture.height, picture.channels);
  }
  return check;
}

Result<std::vector<Check>> checks_of(const plugins::Store& store, const std::string& file) {
  Result<plugins::PluginFile> opened = plugins::PluginFile::open(file);
  if (!opened) {
    if (opened.error().code == ErrorCode::kNotFound) return fail(opened.error());
    return std::vector<Check>{{"its file may be loaded", fail(opened.error()), {}}};
  }
  std::vector<Check> checks{
      {"its file may be loaded", {}, fmt::format("{}, sha256 {}", human_bytes(opened->bytes()), opened->sha256())}};
  Result<std::unique_ptr<plugins::Plugin>> plugin = plugins::Plugin::load(std::move(*opened), store.options());
  if (!plugin && is_of_the_run(plugin.error().code)) return fail(plugin.error());
  checks.push_back({"it loads behind the wall and declares itself", plugin ? Status() : fail(plugin.error()), {}});
  if (!plugin) return checks;
  const plugins::Description& about = (*plugin)->description();
  checks.back().found = fmt::format("{} {}, interface 1.{}", about.name, printable(about.version), about.abi_minor);
  for (const Shape& shape : kShapes) checks.push_back(run_check(**plugin, shape));
  return checks;
}

}  // namespace

Result<int> validate_plugin(const Context& context, const plugins::Store& store, const std::string& file) {
  IE_TRY(const std::vector<Check> checks, checks_of(store, file));
  nlohmann::json entries = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows;
  bool valid = true;
  for (const Check& check : checks) {
    // A plugin may refuse a shape, but not crash on it.
    const bool refuses = !check.status && check.status.error().code == ErrorCode::kUnsupported && &check > &checks[1];
    const bool passed = check.status.has_value() || refuses;
    valid = valid && passed;
    const std::string text = check.status ? check.found : check.status.error().message;
    entries.push_back({{"check", check.name}, {"passed", passed}, {"found", to_utf8(text)}});
    rows.push_back(
        {styled(context, passed ? Style::kGreen : Style::kRed, passed ? "ok" : "failed"), check.name, printable(text)});
  }
  if (context.json)
    print_json("plugins-validate", {{"valid", valid}, {"checks", std::move(entries)}});
  else if (!context.quiet)
    print_table(rows);
  return valid ? kDone : kFailed;
}

}  // namespace image_engine::cli
