// A command's options and arguments. Hides CLI11: compiling it in every command took minutes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace image_engine::cli {

// One option, argument or flag. A handle: copies refer to the same one, and are valid as long as its CommandLine.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option type_name(const std::string& name) const;  // the value's placeholder in --help: FILE
  Option required() const;
  Option show_default() const;    // the variable's current value, in --help
  Option hide() const;            // omits it from --help
  Option one_value_each() const;  // for a list: --x A --x B; never --x A B
  Option optional_value() const;  // --x without a value is allowed
  Option split_at(char delimiter) const;
  Option excludes(Option other) const;
  Option needs(Option other) const;
  Option one_of(const std::vector<std::string>& values) const;
  Option existing_file() const;
  Option may_be_empty() const;  // otherwise "" is refused: most likely an unset variable of a script
  Option not_negative() const;
  // T: int, std::size_t or double; both ends are allowed.
  template <typename T>
  Option range(T least, T most) const;
  [[nodiscard]] bool given() const;  // after the command line was parsed

 private:
  CLI::Option* option_;
};

// A command or one of its subcommands. A handle, as Option.
class Arguments {
 public:
  explicit Arguments(CLI::App* app) : app_(app) {}

  // `names`: "NAME" is a positional argument, "-o,--output" an option. The variable keeps its value if nothing is
  // given, and must live until the command has run. T: std::string, a vector of them, int, std::int64_t, std::uint32_t,
  // std::size_t, double or std::optional<double>.
  template <typename T>
  Option add_option(const std::string& names, T& variable, const std::string& help = "") const;
  Option add_flag(const std::string& names, bool& variable, const std::string& help = "") const;
  // Also accepts the options of its parent commands.
  [[nodiscard]] Arguments add_subcommand(const std::string& name, const std::string& summary) const;
  void require_subcommand() const;
  void footer(const std::string& text) const;         // below --help: examples
  void add_to_footer(const std::string& text) const;  // appends
  void once_parsed(std::function<void()> work) const;
  [[nodiscard]] bool parsed() const;  // whether this command was given

 private:
  CLI::App* app_;
};

// The program's whole command line.
class CommandLine {
 public:
  CommandLine(const std::string& summary, const std::string& name, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] Arguments root() const;
  [[nodiscard]] std::string help() const;

  // A command line that ends the program at once: --help or --version was printed, or `message` describes a usage
  // error.
  struct End {
    int exit_code = 0;
    std::string message;
  };
  // Fills the variables. nullopt: continue.
  std::optional<End> parse(std::vector<std::string> arguments);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace image_engine::cli
