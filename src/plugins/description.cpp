#include "plugins/description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "core/text.h"

namespace image_engine::plugins {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestName = 40, kLongestVersion = 40, kLongestLicence = 100, kLongestHelp = 400;
constexpr std::size_t kLongestText = 4000, kMostChoices = 64;
constexpr std::array kKindNames = {"", "picture", "mask", "record"};
constexpr std::array kTypeNames = {"", "number", "integer", "bool", "text", "choice"};

tl::unexpected<Error> broken(const std::string& what) {
  return fail(ErrorCode::kUnsupported, "the plugin does not keep to plugin.h: " + what);
}

// A line for a person.
Status check_line(const std::string& text, std::size_t longest, const std::string& what) {
  if (text.size() > longest || !is_utf8(text))
    return broken(fmt::format("{} is not UTF-8 of at most {} bytes", what, longest));
  return {};
}

Status check_names(const std::vector<std::string>& names, const std::string& what) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (!is_plugin_name(name)) return broken(fmt::format("'{}' is no name of {}", printable(name), what));
    if (!seen.insert(name).second) return broken(fmt::format("{} has the name '{}' twice", what, name));
  }
  return {};
}

template <typename T>
std::vector<std::string> names_of(const std::vector<T>& list) {
  std::vector<std::string> names;
  for (const T& item : list) names.push_back(item.name);
  return names;
}

Status check_ports(const std::vector<Port>& ports, const std::string& what) {
  if (ports.empty() || ports.size() > kMostPorts) return broken(fmt::format("it has 1 to {} of {}", kMostPorts, what));
  IE_CHECK(check_names(names_of(ports), what));
  for (const Port& port : ports) {
    const auto kind = static_cast<std::size_t>(port.kind);
    if (kind == 0 || kind >= kKindNames.size()) return broken(fmt::format("'{}' has an unknown kind", port.name));
    IE_CHECK(check_line(port.help, kLongestHelp, "the help of " + port.name));
  }
  return {};
}

Status check_range(const Parameter& parameter) {
  const auto is_whole = [](double value) { return value == std::floor(value) && std::abs(value) <= 9e15; };
  if (parameter.type == ParameterType::kBool)
    return parameter.number == 0 || parameter.number == 1 ? Status() : broken(parameter.name + " is 0 or 1");
  const bool finite = std::isfinite(parameter.least) && std::isfinite(parameter.most);
  if (!finite || !(parameter.least <= parameter.number && parameter.number <= parameter.most))
    return broken(fmt::format("the default of {} is not within its range", parameter.name));
  if (parameter.type == ParameterType::kInteger &&
      !(is_whole(parameter.least) && is_whole(parameter.most) && is_whole(parameter.number)))
    return broken(parameter.name + " has a range of whole numbers");
  return {};
}

Status check_parameter(const Parameter& parameter) {
  IE_CHECK(check_line(parameter.help, kLongestHelp, "the help of " + parameter.name));
  IE_CHECK(check_line(parameter.text, kLongestText, "the default of " + parameter.name));
  switch (parameter.type) {
    case ParameterType::kNumber:
    case ParameterType::kInteger:
    case ParameterType::kBool:
      return check_range(parameter);
    case ParameterType::kText:
      return {};
    case ParameterType::kChoice:
      if (parameter.choices.empty() || parameter.choices.size() > kMostChoices)
        return broken(fmt::format("{} has 1 to {} choices", parameter.name, kMostChoices));
      for (const std::string& choice : parameter.choices) IE_CHECK(check_line(choice, kLongestName, "a choice"));
      if (std::ranges::find(parameter.choices, parameter.text) == parameter.choices.end())
        return broken("the default of " + parameter.name + " is none of its choices");
      return {};
  }
  return broken(parameter.name + " has an unknown type");
}

Result<double> number_of(const Parameter& parameter, const std::string& text) {
  if (parameter.type == ParameterType::kBool) {
    if (text == "true" || text == "yes" || text == "1") return 1;
    if (text == "false" || text == "no" || text == "0") return 0;
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is true or false, not '{}'", parameter.name, printable(text)));
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parameter.type != ParameterType::kInteger || number == std::floor(number);
  if (error != std::errc() || end != text.data() + text.size() || !whole || !(number >= parameter.least) ||
      !(number <= parameter.most))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is {} from {} to {}, not '{}'", parameter.name,
                            parameter.type == ParameterType::kInteger ? "a whole number" : "a number", parameter.least,
                            parameter.most, printable(text)));
  return number;
}

Result<Value> value_of(const Parameter& parameter, const std::string& text) {
  switch (parameter.type) {
    case ParameterType::kNumber:
    case ParameterType::kInteger:
    case ParameterType::kBool: {
      IE_TRY(const double number, number_of(parameter, text));
      return Value{number, {}};
    }
    case ParameterType::kText:
      if (text.size() > kLongestText || !is_utf8(text))
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("{} is UTF-8 of at most {} bytes", parameter.name, kLongestText));
      return Value{0, text};
    case ParameterType::kChoice:
      break;
  }
  if (std::ranges::find(parameter.choices, text) == parameter.choices.end())
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is one of {}, not '{}'", parameter.name,
                                                         fmt::join(parameter.choices, ", "), printable(text)));
  return Value{0, text};
}

json port_json(const Port& port) {
  return {{"name", port.name},
          {"kind", kind_name(port.kind)},
          {"help", port.help},
          {"optional", port.optional},
          {"same_size", port.same_size}};
}

json parameter_json(const Parameter& parameter) {
  json out = {{"name", parameter.name}, {"type", type_name(parameter.type)}, {"help", parameter.help}};
  switch (parameter.type) {
    case ParameterType::kNumber:
    case ParameterType::kInteger:
      out["least"] = parameter.least;
      out["most"] = parameter.most;
      out["default"] = parameter.number;
      break;
    case ParameterType::kBool:
      out["default"] = parameter.number != 0;
      break;
    case ParameterType::kChoice:
      out["choices"] = parameter.choices;
      [[fallthrough]];
    case ParameterType::kText:
      out["default"] = parameter.text;
  }
  return out;
}

template <typename E, std::size_t N>
E named(const std::array<const char*, N>& names, const std::string& name) {
  return static_cast<E>(std::ranges::find(names, name) - names.begin());
}

Port port_from(const json& in) {
  return {named<PortKind>(kKindNames, in.at("kind")), in.at("name"), in.at("help"), in.at("optional"),
          in.at("same_size")};
}

Parameter parameter_from(const json& in) {
  Parameter out{named<ParameterType>(kTypeNames, in.at("type")),
                in.at("name"),
                in.at("help"),
                in.value("least", 0.0),
                in.value("most", 0.0),
                0,
                {},
                {}};
  const json& standard = in.at("default");
  if (standard.is_string())
    out.text = standard;
  else
    out.number = standard.is_boolean() ? (standard.get<bool>() ? 1 : 0) : standard.get<double>();
  if (in.contains("choices")) out.choices = in.at("choices");
  return out;
}

}  // namespace

std::string_view kind_name(PortKind kind) { return kKindNames.at(static_cast<std::size_t>(kind)); }
std::string_view type_name(ParameterType type) { return kTypeNames.at(static_cast<std::size_t>(type)); }

bool is_plugin_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_allowed = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= kLongestName && is_letter(name[0]) && std::ranges::all_of(name, is_allowed);
}

Status check_description(const Description& description) {
  IE_CHECK(check_names({description.name}, "the plugin"));
  IE_CHECK(check_line(description.version, kLongestVersion, "its version"));
  IE_CHECK(check_line(description.licence, kLongestLicence, "its licence"));
  IE_CHECK(check_line(description.summary, kLongestHelp, "its summary"));
  if (description.version.empty() || description.licence.empty()) return broken("it names its version and its licence");
  IE_CHECK(check_ports(description.inputs, "inputs"));
  IE_CHECK(check_ports(description.outputs, "outputs"));
  if (description.inputs[0].kind != PortKind::kPicture || description.inputs[0].optional)
    return broken("its first input is the photo: a picture that is not optional");
  if (description.parameters.size() > kMostParameters)
    return broken(fmt::format("it has at most {} parameters", kMostParameters));
  IE_CHECK(check_names(names_of(description.parameters), "parameters"));
  for (const Parameter& parameter : description.parameters) IE_CHECK(check_parameter(parameter));
  if (!description.needs.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("the plugin needs {} from behind the wall, which this version grants to no plugin",
                            printable(fmt::format("{}", fmt::join(description.needs, ", ")))));
  return {};
}

Result<std::vector<Value>> parameter_values(const Description& description,
                                            const std::map<std::string, std::string>& given) {
  std::vector<std::string_view> names;
  for (const Parameter& parameter : description.parameters) names.emplace_back(parameter.name);
  for (const auto& [name, text] : given) {
    if (std::ranges::find(names, name) != names.end()) continue;
    const std::string_view nearest = nearest_name(name, names);
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has no parameter '{}'{}", description.name, printable(name),
                            nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest)));
  }
  std::vector<Value> values;
  for (const Parameter& parameter : description.parameters) {
    values.push_back({parameter.number, parameter.text});
    const auto found = given.find(parameter.name);
    if (found == given.end()) continue;
    IE_TRY(values.back(), value_of(parameter, found->second));
  }
  return values;
}

json description_json(const Description& description) {
  json out = {{"abi", fmt::format("1.{}", description.abi_minor)},
              {"name", description.name},
              {"version", description.version},
              {"licence", description.licence},
              {"summary", description.summary},
              {"inputs", json::array()},
              {"outputs", json::array()},
              {"parameters", json::array()}};
  for (const Port& port : description.inputs) out["inputs"].push_back(port_json(port));
  for (const Port& port : description.outputs) out["outputs"].push_back(port_json(port));
  for (const Parameter& parameter : description.parameters) out["parameters"].push_back(parameter_json(parameter));
  return out;
}

Result<Description> description_from_json(const json& in) {
  try {
    Description out;
    const std::string abi = in.at("abi");
    out.abi_minor =
        static_cast<std::uint32_t>(std::strtoul(abi.c_str() + std::min<std::size_t>(abi.size(), 2), nullptr, 10));
    out.name = in.at("name");
    out.version = in.at("version");
    out.licence = in.at("licence");
    out.summary = in.at("summary");
    for (const json& port : in.at("inputs")) out.inputs.push_back(port_from(port));
    for (const json& port : in.at("outputs")) out.outputs.push_back(port_from(port));
    for (const json& parameter : in.at("parameters")) out.parameters.push_back(parameter_from(parameter));
    IE_CHECK(check_description(out));
    return out;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kCorrupt, std::string("not a plugin's description: ") + error.what());
  }
}

}  // namespace image_engine::plugins
