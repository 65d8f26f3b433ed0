#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/plugins_run.h"
#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "pipeline/plugin_photos.h"
#include "plugins/index.h"

namespace image_engine::cli {
namespace {

using plugins::Installed;
using plugins::Standing;

constexpr char kPluginsExamples[] = R"(
Examples:
  image-engine plugins validate sepia.so            (does it keep to the interface?)
  image-engine plugins install sepia.so
  image-engine plugins list
  image-engine plugins info sepia                   (its inputs, outputs and parameters)
  image-engine plugins run sepia ~/Pictures/IMG_0042.jpg -o /tmp/out
  image-engine plugins run privacy-blur holiday.mp4 -o /tmp/out
  image-engine plugins run sepia *.jpg -o /tmp/out --set strength=0.6 --format jpeg
  image-engine plugins remove sepia
  image-engine plugins search blur                  (in the index of plugins.index)
  image-engine plugins install privacy-blur         (from there, if its signature is right)

A plugin runs in a process of its own, without files, network and other processes; docs/plugins.md explains how to write
one. Installed plugins are in $XDG_DATA_HOME/image-engine/plugins.)";

struct PluginFlags {
  std::vector<std::string> names;
  std::string file, name;
  std::string words, index, key;
  bool force = false;
  PluginRunFlags run;
};

nlohmann::json plugin_json(const Installed& plugin) {
  nlohmann::json out = {{"name", plugin.name},          {"state", plugins::standing_name(plugin.standing)},
                        {"shipped", plugin.is_shipped}, {"path", to_utf8(plugin.path)},
                        {"bytes", plugin.bytes},        {"sha256", plugin.sha256}};
  if (plugin.standing == Standing::kReady)
    out["description"] = plugins::description_json(plugin.description);
  else
    out["reason"] = to_utf8(plugin.reason);
  return out;
}

Result<int> print_plugins(const std::vector<Installed>& list) {
  nlohmann::json entries = nlohmann::json::array();
  for (const Installed& plugin : list) entries.push_back(plugin_json(plugin));
  print_json("plugins", {{"plugins", std::move(entries)}});
  return kDone;
}

std::string state_of(const Installed& plugin) {
  const std::string_view state = plugins::standing_name(plugin.standing);
  return plugin.is_shipped ? fmt::format("shipped, {}", state) : std::string(state);
}

Result<int> list_plugins(const Context& context, const plugins::Store& store) {
  IE_TRY(const std::vector<Installed> all, store.list());
  if (context.json) return print_plugins(all);
  std::vector<std::vector<std::string>> rows{{"name", "version", "state", "licence", "what it does"}};
  for (const Installed& plugin : all)
    rows.push_back({plugin.name, printable(plugin.description.version), state_of(plugin),
                    printable(plugin.description.licence),
                    printable(plugin.standing == Standing::kReady ? plugin.description.summary : plugin.reason)});
  if (all.empty())
    print_line("There is no plugin; image-engine plugins install FILE installs one.");
  else
    print_table(rows);
  return kDone;
}

std::string range_of(const plugins::Parameter& parameter) {
  switch (parameter.type) {
    case plugins::ParameterType::kNumber:
    case plugins::ParameterType::kInteger:
      return fmt::format("{} to {}, {}", parameter.least, parameter.most, parameter.number);
    case plugins::ParameterType::kBool:
      return parameter.number != 0 ? "true" : "false";
    case plugins::ParameterType::kText:
      return fmt::format("'{}'", printable(parameter.text));
    case plugins::ParameterType::kChoice:
      break;
  }
  return fmt::format("{}; {}", printable(fmt::format("{}", fmt::join(parameter.choices, ", "))),
                     printable(parameter.text));
}

void print_ports(const Context& context, const char* title, const std::vector<plugins::Port>& ports) {
  print_line(styled(context, Style::kBold, title));
  std::vector<std::vector<std::string>> rows;
  for (const plugins::Port& port : ports)
    rows.push_back({"  " + port.name,
                    fmt::format("{}{}", plugins::kind_name(port.kind), port.optional ? ", optional" : ""),
                    printable(port.help)});
  print_table(rows);
}

void print_description(const Context& context, const Installed& plugin) {
  const plugins::Description& about = plugin.description;
  print_line(fmt::format("{} {}  {}", styled(context, Style::kBold, about.name), printable(about.version),
                         styled(context, Style::kDim,
                                fmt::format("(licence {}, {}, interface 1.{})", printable(about.licence),
                                            human_bytes(plugin.bytes), about.abi_minor))));
  print_line(printable(about.summary));
  print_ports(context, "inputs", about.inputs);
  print_ports(context, "outputs", about.outputs);
  if (about.parameters.empty()) return;
  print_line(styled(context, Style::kBold, "parameters"));
  std::vector<std::vector<std::string>> rows;
  for (const plugins::Parameter& parameter : about.parameters)
    rows.push_back({"  " + parameter.name, std::string(plugins::type_name(parameter.type)), range_of(parameter),
                    printable(parameter.help)});
  print_table(rows);
}

Result<int> show_plugin(const Context& context, const plugins::Store& store, const std::string& name) {
  IE_TRY(const std::unique_ptr<plugins::Plugin> plugin, store.load(name));
  const Installed found{name, store.path_of(name),     store.is_shipped(name), Standing::kReady,
                        "",   plugin->file().sha256(), plugin->file().bytes(), plugin->description()};
  if (context.json) return print_plugins({found});
  print_description(context, found);
  return kDone;
}

plugins::IndexOptions index_options(const Context& context, const PluginFlags& flags) {
  return {flags.index.empty() ? context.config.plugins.index : flags.index,
          flags.key.empty() ? context.config.plugins.index_key : flags.key, interruption()};
}

Result<int> search_plugins(const Context& context, const PluginFlags& flags) {
  IE_TRY(const std::vector<plugins::IndexEntry> all, plugins::read_index(index_options(context, flags)));
  nlohmann::json entries = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows{{"name", "version", "licence", "what it does"}};
  for (const plugins::IndexEntry& entry : plugins::matching(all, flags.words)) {
    entries.push_back({{"name", entry.name},
                       {"version", entry.version},
                       {"licence", entry.licence},
                       {"summary", entry.summary},
                       {"sha256", entry.sha256}});
    rows.push_back({entry.name, printable(entry.version), printable(entry.licence), printable(entry.summary)});
  }
  if (context.json)
    print_json("plugins-search", {{"plugins", std::move(entries)}});
  else
    print_table(rows);
  return kDone;
}

// The entry of that name for this machine.
Result<plugins::IndexEntry> entry_named(const plugins::IndexOptions& options, const std::string& name) {
  IE_TRY(const std::vector<plugins::IndexEntry> all, plugins::read_index(options));
  for (const plugins::IndexEntry& entry : plugins::matching(all, name))
    if (entry.name == name) return entry;
  return fail(ErrorCode::kNotFound,
              fmt::format("{} has no plugin '{}' for this machine", printable(options.place), name));
}

// A file; or, if there is no file of that name, the index's plugin.
Result<Installed> install_file_or_name(const Context& context, const plugins::Store& store, const PluginFlags& flags) {
  if (::access(flags.file.c_str(), F_OK) == 0 || !plugins::is_plugin_name(flags.file))
    return store.install(flags.file, flags.force);
  const plugins::IndexOptions options = index_options(context, flags);
  if (options.place.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("there is no file {}, and no index of plugins is configured (plugins.index)", flags.file));
  IE_TRY(const plugins::IndexEntry entry, entry_named(options, flags.file));
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  const std::string path = join_path(folder.path(), entry.name + ".so");
  IE_CHECK(plugins::fetch_plugin(options, entry, path));
  if (::chmod(path.c_str(), 0600) != 0) return fail(errno_error(printable(path)));  // whatever the umask is
  IE_TRY(Installed installed, store.install(path, flags.force));
  return installed;
}

Result<int> install_plugin(const Context& context, const plugins::Store& store, const PluginFlags& flags) {
  IE_TRY(const Installed plugin, install_file_or_name(context, store, flags));
  if (context.json) return print_plugins({plugin});
  if (!context.quiet)
    print_line(fmt::format("{} {}  {}", plugin.name, printable(plugin.description.version),
                           styled(context, Style::kGreen, "installed")));
  return kDone;
}

Result<int> remove_plugins(const Context& context, const plugins::Store& store, const PluginFlags& flags) {
  for (const std::string& name : flags.names) IE_CHECK(store.remove(name));
  if (context.json) return print_plugins({});
  if (!context.quiet)
    for (const std::string& name : flags.names) print_line(name + "  removed");
  return kDone;
}

void add_run_flags(Arguments app, PluginRunFlags& flags) {
  app.add_option("NAME", flags.name, "A plugin (plugins list shows them)").required();
  app.add_option("FILE", flags.files, "Photos and videos, or folders of them").required();
  app.add_option("-o,--output", flags.folder, "The folder for what it makes; created if there is none")
      .type_name("DIR")
      .required();
  app.add_option("--set", flags.values, "A value for one of its parameters (plugins info NAME lists them)")
      .type_name("NAME=VALUE")
      .one_value_each();
  app.add_option("--input", flags.inputs, "A picture for one of its inputs besides the photo: a mask, a background")
      .type_name("NAME=FILE")
      .one_value_each();
  app.add_option("--format", flags.format, "Of the pictures that it makes: png, jpeg or webp")
      .type_name("FORMAT")
      .one_of({"png", "jpeg", "webp"});
  app.add_option("--video-format", flags.video_format, "Of videos with transparency: webm (VP9) or mov (ProRes 4444)")
      .type_name("FORMAT")
      .one_of({"webm", "mov"});
  app.add_option("--quality", flags.quality, "Of jpeg and webp, 1 to 100; 100: webp without loss")
      .type_name("N")
      .range(1, 100);
  app.add_flag("--force", flags.force, "Replace files that are there; never a photo or video that was given");
}

}  // namespace

Action setup_plugins(Arguments app, Settings&) {
  auto flags = std::make_shared<PluginFlags>();
  app.require_subcommand();
  app.footer(kPluginsExamples);
  Arguments list_app = app.add_subcommand("list", "The plugins that come with the program, and the installed ones");
  Arguments info_app = app.add_subcommand("info", "What a plugin takes, makes and can be told");
  info_app.add_option("NAME", flags->name, "A plugin (plugins list shows them)").required();
  Arguments install_app = app.add_subcommand("install", "Check a plugin's file and install a copy of it");
  install_app.add_option("FILE", flags->file, "A shared object, or a plugin's name in the index").required();
  install_app.add_flag("--force", flags->force, "Replace another file of the same name");
  Arguments search_app = app.add_subcommand("search", "Plugins that the index has for this machine");
  search_app.add_option("WORDS", flags->words, "In their name or in what they do; without: all");
  for (const Arguments& each : {install_app, search_app}) {
    each.add_option("--index", flags->index, "The index, instead of plugins.index").type_name("FILE|URL");
    each.add_option("--key", flags->key, "The minisign public key that has signed it, instead of plugins.index_key")
        .type_name("KEY");
  }
  Arguments remove_app = app.add_subcommand("remove", "Remove plugins from this machine");
  remove_app.add_option("NAME", flags->names, "Plugins").required();
  Arguments run_app =
      app.add_subcommand("run", "Run a plugin on photos and videos and write what it makes into a folder");
  add_run_flags(run_app, flags->run);
  Arguments validate_app = app.add_subcommand("validate", "Check a plugin's file on pictures of many shapes");
  validate_app.add_option("FILE", flags->file, "A shared object").required();
  return [=](Context& context) -> Result<int> {
    IE_CHECK(catch_interrupts());
    const plugins::Store store(pipeline::plugin_options(context.config));
    if (list_app.parsed()) return list_plugins(context, store);
    if (search_app.parsed()) return search_plugins(context, *flags);
    if (info_app.parsed()) return show_plugin(context, store, flags->name);
    if (install_app.parsed()) return install_plugin(context, store, *flags);
    if (remove_app.parsed()) return remove_plugins(context, store, *flags);
    if (run_app.parsed()) return run_plugin_command(context, store, flags->run);
    return validate_plugin(context, store, flags->file);
  };
}

}  // namespace image_engine::cli
