// The plugins that a person has installed: NAME.so in one folder, with NAME.json, what is known of it, beside it. And
// those that come with the program, in another folder: one that is installed under the same name is used instead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "plugins/plugin.h"

namespace image_engine::plugins {

// kRefused: its file or what it declares is not accepted. kSetAside: it crashed, or did not end, while it was loaded;
// its file was renamed, so that nothing loads it again.
enum class Standing { kReady, kRefused, kSetAside };
std::string_view standing_name(Standing standing);

struct Installed {
  std::string name;
  std::string path;
  bool is_shipped = false;  // it comes with the program
  Standing standing = Standing::kReady;
  std::string reason;  // unless it is ready
  std::string sha256;
  std::uint64_t bytes = 0;
  Description description;  // empty unless it is ready
};

// Not thread-safe.
class Store {
 public:
  // `folder`: empty for data_home()/plugins. Shipped plugins are in ../lib/image-engine/plugins beside the program.
  explicit Store(PluginOptions options, std::string folder = {});

  // By name, shipped ones at the end. A plugin whose file is not the one that its NAME.json describes is loaded once,
  // to ask it. kPermission: others may write to the folder.
  Result<std::vector<Installed>> list() const;
  // The plugin of that name, loaded. kInvalidArgument: there is none (names the nearest one). Errors of
  // PluginFile::open() and Plugin::load(); one that failed by its own fault while it was loaded is set aside, which the
  // error says, unless it is shipped.
  Result<std::unique_ptr<Plugin>> load(const std::string& name) const;
  // Loads the file and installs a copy under the name that it declares. kInvalidArgument: another file of that name is
  // installed, and not `replace`. Errors as of load(), but nothing is set aside.
  Result<Installed> install(const std::string& path, bool replace) const;
  // kInvalidArgument: there is none, or it is shipped.
  Status remove(const std::string& name) const;

  // Whether load() would take the one that comes with the program.
  [[nodiscard]] bool is_shipped(const std::string& name) const;
  // The file of that plugin, installed or shipped.
  [[nodiscard]] std::string path_of(const std::string& name) const;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] const PluginOptions& options() const { return options_; }

 private:
  [[nodiscard]] Installed describe(const std::string& name) const;
  [[nodiscard]] Installed describe_shipped(const std::string& name) const;
  [[nodiscard]] std::string path_of(const std::string& name, const char* ending) const;
  Status set_aside(const std::string& name, const Error& reason) const;
  [[nodiscard]] tl::unexpected<Error> unknown(const std::string& name) const;

  PluginOptions options_;
  std::string folder_, shipped_;
};

}  // namespace image_engine::plugins
