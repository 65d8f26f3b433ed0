#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>

namespace image_engine::cli {
namespace {

constexpr std::size_t kHelpColumn = 34;
constexpr char kNotEmpty[] = "not-empty";
constexpr char kEmptyHelp[] =
    "an empty argument, such as from an unset variable of a script; for the current "
    "folder, write .";

}  // namespace

Option Option::type_name(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::hide() const {
  option_->group("");
  return *this;
}

Option Option::one_value_each() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::optional_value() const {
  option_->expected(0, 1);
  return *this;
}

Option Option::split_at(char delimiter) const {
  option_->delimiter(delimiter);
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::needs(Option other) const {
  option_->needs(other.option_);
  return *this;
}

namespace {

// "{a,b,c}", continued on another line where it is long.
std::string listed(const std::vector<std::string>& values) {
  constexpr std::size_t kLongestLine = 100;
  std::string text = "{";
  std::size_t begun = 0;
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    if (text.size() - begun + value.size() > kLongestLine) {
      text += "\n      ";
      begun = text.size();
    }
    text += value;
  }
  return text + "}";
}

}  // namespace

Option Option::one_of(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values).description(listed(values)));
  return *this;
}

Option Option::existing_file() const {
  option_->check(CLI::ExistingFile);
  return *this;
}

Option Option::not_negative() const {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

template <typename T>
Option Option::range(T least, T most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}
template Option Option::range(int, int) const;
template Option Option::range(std::size_t, std::size_t) const;
template Option Option::range(double, double) const;

bool Option::given() const { return option_->count() > 0; }

Option Option::may_be_empty() const {
  option_->get_validator(kNotEmpty)->active(false);
  return *this;
}

template <typename T>
Option Arguments::add_option(const std::string& names, T& variable, const std::string& help) const {
  CLI::Option* const option = app_->add_option(names, variable, help);
  option->check(
      CLI::Validator([](std::string& value) { return value.empty() ? std::string(kEmptyHelp) : ""; }, "", kNotEmpty));
  return Option(option);
}
template Option Arguments::add_option(const std::string&, std::string&, const std::string&) const;
template Option Arguments::add_option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Arguments::add_option(const std::string&, int&, const std::string&) const;
template Option Arguments::add_option(const std::string&, std::int64_t&, const std::string&) const;
template Option Arguments::add_option(const std::string&, std::uint32_t&, const std::string&) const;
template Option Arguments::add_option(const std::string&, std::size_t&, const std::string&) const;
template Option Arguments::add_option(const std::string&, double&, const std::string&) const;
template Option Arguments::add_option(const std::string&, std::optional<double>&, const std::string&) const;

Option Arguments::add_flag(const std::string& names, bool& variable, const std::string& help) const {
  return Option(app_->add_flag(names, variable, help));
}

Arguments Arguments::add_subcommand(const std::string& name, const std::string& summary) const {
  CLI::App* const sub = app_->add_subcommand(name, summary);
  sub->fallthrough();
  return Arguments(sub);
}

void Arguments::require_subcommand() const { app_->require_subcommand(1); }

void Arguments::footer(const std::string& text) const { app_->footer(text); }

void Arguments::add_to_footer(const std::string& text) const { app_->footer(app_->get_footer() + text); }

void Arguments::once_parsed(std::function<void()> work) const { app_->parse_complete_callback(std::move(work)); }

bool Arguments::parsed() const { return app_->parsed(); }

CommandLine::CommandLine(const std::string& summary, const std::string& name, const std::string& version)
    : app_(std::make_unique<CLI::App>(summary, name)) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(0, 1);
  app_->get_formatter()->column_width(kHelpColumn);
}

CommandLine::~CommandLine() = default;

Arguments CommandLine::root() const { return Arguments(app_.get()); }

std::string CommandLine::help() const { return app_->help(); }

std::optional<CommandLine::End> CommandLine::parse(std::vector<std::string> arguments) {
  std::ranges::reverse(arguments);  // CLI11 wants the last first
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return End{app_->exit(error), ""};
    return End{error.get_exit_code(), error.what()};
  }
  return std::nullopt;
}

}  // namespace image_engine::cli
