// What a plugin declares of itself, and the values that a person gives to its parameters.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::plugins {

// Of include/image_engine/plugin.h, by the same numbers.
enum class PortKind : std::uint8_t { kPicture = 1, kMask = 2, kRecord = 3 };
enum class ParameterType : std::uint8_t { kNumber = 1, kInteger = 2, kBool = 3, kText = 4, kChoice = 5 };

struct Port {
  PortKind kind = PortKind::kPicture;
  std::string name, help;
  bool optional = false;
  bool same_size = false;
};

struct Parameter {
  ParameterType type = ParameterType::kNumber;
  std::string name, help;
  double least = 0, most = 0;
  double number = 0;  // the default
  std::string text;   // likewise
  std::vector<std::string> choices;
};

struct Description {
  std::uint32_t abi_minor = 0;
  std::string name, version, licence, summary;
  std::vector<Port> inputs, outputs;
  std::vector<Parameter> parameters;
  std::vector<std::string> needs;
};

// The value of one parameter, by its type.
struct Value {
  double number = 0;
  std::string text;
};

inline constexpr std::size_t kMostPorts = 8, kMostParameters = 32;

// kUnsupported, naming the rule: a name, range, default or number of things that plugin.h does not allow. The rest of
// the program relies on it: names are parts of file names, texts are valid UTF-8.
Status check_description(const Description& description);
// Whether it is of 1 to 40 characters of a-z, 0-9 and '-', a letter first.
bool is_plugin_name(std::string_view name);

// The values of all parameters in their order: those of `given`, by name, else the defaults. kInvalidArgument: no such
// parameter (names the nearest one), not a number, out of range, not a choice.
Result<std::vector<Value>> parameter_values(const Description& description,
                                            const std::map<std::string, std::string>& given);

// As `plugins info --json` prints it, and back; kCorrupt for JSON that is none.
nlohmann::json description_json(const Description& description);
Result<Description> description_from_json(const nlohmann::json& json);

std::string_view kind_name(PortKind kind);
std::string_view type_name(ParameterType type);

}  // namespace image_engine::plugins
