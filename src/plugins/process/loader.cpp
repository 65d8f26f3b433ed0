#include "plugins/process/loader.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/text.h"
#include "plugins/protocol.h"

namespace image_engine::plugins {
namespace {

constexpr char kPluginPath[] = "/plugin";
// Found by their names when the plugin needs them: behind the wall no file can be opened.
constexpr std::array kLibraries = {"libm.so.6",       "libmvec.so.1", "libstdc++.so.6", "libgcc_s.so.1",
                                   "libpthread.so.0", "libdl.so.2",   "librt.so.1"};

volatile std::sig_atomic_t handed_out = 0;

// Answers a trapped openat(): with the plugin's descriptor the first time that its path is asked for.
void on_trapped_call(int /*signal*/, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  const auto* path = std::bit_cast<const char*>(registers.gregs[REG_RSI]);
  auto& answer = registers.gregs[REG_RAX];
#elif defined(__aarch64__)
  const auto* path = std::bit_cast<const char*>(registers.regs[1]);
  auto& answer = registers.regs[0];
#else
#error "the registers of system calls are not known here"
#endif
  const bool is_plugin = info->si_syscall == SYS_openat && handed_out == 0 && std::strcmp(path, kPluginPath) == 0;
  if (is_plugin) handed_out = 1;
  answer = is_plugin ? kPluginFd : -ENOENT;
}

std::string text_of(const char* text) { return text == nullptr ? "" : std::string(text, ::strnlen(text, 8192)); }

// The struct as its maker's header had it: what is beyond its size is zero. Nothing if it is smaller than 1.0's.
template <typename T>
std::optional<T> read_struct(const void* from, std::size_t least) {
  T copy{};
  std::memcpy(&copy.size, static_cast<const char*>(from) + offsetof(T, size), sizeof copy.size);
  const std::size_t size = copy.size;
  if (size < least) return std::nullopt;
  std::memcpy(&copy, from, std::min(size, sizeof copy));
  return copy;
}

// The ends of structs in version 1.0.
constexpr std::size_t kPortEnd = offsetof(ie_port, flags) + sizeof(std::uint32_t);
constexpr std::size_t kParameterEnd = offsetof(ie_parameter, choices) + sizeof(void*);
constexpr std::size_t kPluginEnd = offsetof(ie_plugin, extension) + sizeof(void*);

tl::unexpected<Error> broken_struct(const char* name) {
  return fail(ErrorCode::kUnsupported,
              fmt::format("the plugin does not keep to plugin.h: the size of an {} is wrong", name));
}

// The structs of an array lie as far from each other as the first one is large.
template <typename T, typename Use>
Status for_each_struct(const T* array, std::size_t count, std::size_t least, const char* name, const Use& use) {
  if (count > 0 && array == nullptr) return broken_struct(name);
  const char* at = reinterpret_cast<const char*>(array);
  for (std::size_t i = 0; i < count; ++i, at += array->size) {
    const std::optional<T> item = read_struct<T>(at, least);
    if (!item || item->size != array->size) return broken_struct(name);
    use(*item);
  }
  return {};
}

Status read_ports(const ie_port* array, std::uint32_t count, std::vector<Port>& ports) {
  return for_each_struct(array, std::min<std::size_t>(count, kMostPorts + 1), kPortEnd, "ie_port",
                         [&](const ie_port& port) {
                           const auto kind = static_cast<PortKind>(std::min<ie_kind>(port.kind, 255));
                           ports.push_back({kind, text_of(port.name), text_of(port.help),
                                            (port.flags & IE_OPTIONAL) != 0, (port.flags & IE_SAME_SIZE) != 0});
                         });
}

std::vector<std::string> read_list(const char* const* list, std::size_t most) {
  std::vector<std::string> texts;
  for (; list != nullptr && *list != nullptr && texts.size() < most; ++list) texts.push_back(text_of(*list));
  return texts;
}

Parameter read_parameter(const ie_parameter& parameter) {
  constexpr std::size_t kMost = 100;  // choices; more are refused later
  Parameter out;
  out.type = static_cast<ParameterType>(std::min<ie_type>(parameter.type, 255));
  out.name = text_of(parameter.name);
  out.help = text_of(parameter.help);
  out.least = parameter.least;
  out.most = parameter.most;
  out.number = parameter.number;
  out.text = text_of(parameter.text);
  if (out.type != ParameterType::kChoice) return out;
  out.choices = read_list(parameter.choices, kMost);
  if (out.text.empty() && !out.choices.empty()) out.text = out.choices[0];
  return out;
}

Result<LoadedPlugin> read_plugin(const void* symbol) {
  std::uint32_t abi = 0;
  std::memcpy(&abi, symbol, sizeof abi);
  if (abi >> 16 != IE_ABI_MAJOR)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("it was built for version {}.{} of the plugin interface, and this program has {}.{}: build it "
                    "with this version's plugin.h",
                    abi >> 16, abi & 0xFFFF, IE_ABI_MAJOR, IE_ABI_MINOR));
  const std::optional<ie_plugin> table = read_struct<ie_plugin>(symbol, kPluginEnd);
  if (!table) return broken_struct("ie_plugin");
  if (table->run == nullptr)
    return fail(ErrorCode::kUnsupported, "the plugin does not keep to plugin.h: it has no run()");
  LoadedPlugin plugin{*table, {}};
  Description& description = plugin.description;
  description.abi_minor = abi & 0xFFFF;
  description.name = text_of(table->name);
  description.version = text_of(table->version);
  description.licence = text_of(table->licence);
  description.summary = text_of(table->summary);
  description.needs = read_list(table->needs, kMostPorts);
  IE_CHECK(read_ports(table->inputs, table->input_count, description.inputs));
  IE_CHECK(read_ports(table->outputs, table->output_count, description.outputs));
  IE_CHECK(for_each_struct(table->parameters, std::min<std::size_t>(table->parameter_count, kMostParameters + 1),
                           kParameterEnd, "ie_parameter", [&](const ie_parameter& parameter) {
                             description.parameters.push_back(read_parameter(parameter));
                           }));
  return plugin;
}

}  // namespace

Status prepare_loader() {
  for (const char* library : kLibraries)
    (void)::dlopen(library, RTLD_NOW | RTLD_GLOBAL);  // one that is missing is missing
  struct sigaction action {};
  action.sa_sigaction = on_trapped_call;
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return fail(errno_error("no signal handler can be set"));
  return {};
}

Result<LoadedPlugin> load_plugin(bool by_handler) {
  const std::string path = by_handler ? kPluginPath : fmt::format("/proc/self/fd/{}", kPluginFd);
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::string reason = text_of(::dlerror());
    if (reason.starts_with(path + ": ")) reason.erase(0, path.size() + 2);
    return fail(ErrorCode::kUnsupported,
                fmt::format("it cannot be loaded: {} (a plugin may need libc, libm, libstdc++ and libgcc_s)",
                            printable(reason)));
  }
  const void* symbol = ::dlsym(library, "image_engine_plugin");
  if (symbol == nullptr)
    return fail(ErrorCode::kUnsupported, "it is no plugin: it does not export the symbol image_engine_plugin");
  return read_plugin(symbol);
}

}  // namespace image_engine::plugins
