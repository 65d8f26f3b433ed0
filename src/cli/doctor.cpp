#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/app.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "gpu/nvml.h"
#include "infer/provider.h"
#include "infer/session.h"
#include "models/install_paths.h"
#include "models/registry.h"
#include "models/store.h"
#include "pipeline/analyze.h"
#include "pipeline/gpu_decoding.h"
#include "worker/pool.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;

struct Examination {
  std::vector<Finding> findings;
  json libraries = json::object(), sandbox = json::object();

  void add(std::string what, std::string found, bool well = true, std::string advice = {}) {
    findings.push_back({std::move(what), std::move(found), well, std::move(advice)});
  }
};

bool is_wsl(const std::string& release) {
  const std::string lower = ascii_lower(release);
  return lower.find("microsoft") != std::string::npos || lower.find("wsl") != std::string::npos;
}

void examine_machine(Examination& exam) {
  utsname system{};
  ::uname(&system);
  exam.add("system", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  if (is_wsl(system.release))
    exam.add("WSL", "yes", true,
             "Windows drives are under /mnt (C: is /mnt/c); they are several times slower than the Linux file system");
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  exam.add("processor", fmt::format("{} cores, {} of memory", std::thread::hardware_concurrency(),
                                    human_bytes(pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)))));
}

void examine_worker(Examination& exam, const Config& config) {
  const Result<std::string> text = worker::probe();
  const json probe = text ? parse_json(*text) : json();
  if (!probe.is_object()) {
    exam.add("worker", text ? "its answer is invalid" : text.error().message, false, "install both programs together");
    return;
  }
  exam.libraries = probe.value("libraries", json::object());
  exam.sandbox = probe.value("sandbox", json::object());
  const int landlock = exam.sandbox.value("landlock", 0);
  const auto layer = [&](const char* name, bool holds, std::string detail, const char* advice) {
    exam.add(std::string("sandbox: ") + name, holds ? std::move(detail) : "not available", holds, holds ? "" : advice);
  };
  layer("system calls (seccomp)", exam.sandbox.value("seccomp", false), "allow-list",
        "needs a kernel with CONFIG_SECCOMP_FILTER");
  layer("files (Landlock)", landlock > 0, fmt::format("none reachable, ABI {}", landlock),
        "needs Linux 5.13 or later with landlock in the lsm= list");
  layer("network (namespaces)", exam.sandbox.value("namespaces", false), "none reachable",
        "unprivileged user namespaces are off; seccomp still refuses sockets");
  layer("processes (PID namespace)", exam.sandbox.value("processes", false), "none in sight",
        "unprivileged user namespaces are off; seccomp still refuses signals to others");
  layer("root", exam.sandbox.value("empty_root", false), "an empty folder",
        "unprivileged user namespaces are off; the existence of files is visible, not their contents");
  layer("limits", exam.sandbox.value("limits", false),
        fmt::format("{} MiB, {} s per file", config.worker.memory_limit_mb, config.worker.timeout_seconds), "");
}

void examine_gpus(Examination& exam) {
  const Result<gpu::Nvml> nvml = gpu::Nvml::open();
  if (!nvml) {
    const bool none = nvml.error().code == ErrorCode::kNotFound;
    exam.add("GPU", none ? "none" : "cannot be used", none, nvml.error().message);
    return;
  }
  const gpu::Driver& driver = nvml->driver();
  for (const gpu::Device& device : nvml->devices()) {
    std::string found = device.name;
    if (nvml->devices().size() > 1) found = fmt::format("{}: {}", device.index, found);
    if (device.memory) found += ", " + human_bytes(*device.memory);
    if (device.compute_capability) found += ", compute capability " + device.compute_capability->text();
    if (!driver.version.empty()) found += ", driver " + driver.version;
    if (driver.cuda) found += ", CUDA " + driver.cuda->text();
    exam.add("GPU", found);
  }
}

// The providers for models. Without a GPU nothing is wrong; with one, at least CUDA should work.
void examine_providers(Examination& exam) {
  const bool has_gpu = gpu::cuda_devices().has_value();
  for (const infer::ProviderState& state : infer::provider_states()) {
    const std::string name = fmt::format("models on {}", infer::provider_name(state.provider));
    const bool expected = has_gpu && state.provider == infer::Provider::kCuda;
    if (state.usable)
      exam.add(name, state.detail);
    else
      exam.add(name, "not used", !expected, state.detail);
  }
}

// Starts the GPUs' decoders as a run would, where there is a GPU.
void examine_decoding(Examination& exam, const Config& config) {
  constexpr char kName[] = "JPEGs on the GPU";
  const Result<pipeline::GpuDecoding> decoding = pipeline::start_gpu_decoding(config, pipeline::pool_options(config));
  if (!decoding) return exam.add(kName, "not decoded", false, decoding.error().message);
  if (!decoding->decoders) {
    if (!decoding->reason.empty()) exam.add(kName, "not decoded", false, decoding->reason);
    return;
  }
  for (const auto& decoder : decoding->decoders->each()) {
    const std::string name = fmt::format("{} (cuda:{})", kName, decoder->device());
    if (Status ready = decoder->wait_until_ready(); !ready)
      exam.add(name, "not decoded", false, ready.error().message);
    else
      exam.add(name, decoder->has_engine() ? "by its JPEG engine and by CUDA" : "by CUDA; it has no JPEG engine");
  }
}

void examine_models(Examination& exam, const Config& config) {
  const Result<std::string> runtime = infer::runtime_version();
  exam.add("ONNX Runtime", runtime ? *runtime : "absent", runtime.has_value(), runtime ? "" : runtime.error().message);
  const models::InstallPaths paths = models::find_install_paths(config.models.folder);
  const Result<models::Registry> registry = models::Registry::load(paths.shipped, paths.added);
  if (!registry) {
    exam.add("models", "their registry cannot be read", false, registry.error().message);
    return;
  }
  const models::Store store(paths.root, paths.packed);
  std::string installed;
  for (const models::Spec& spec : registry->specs())
    if (store.presence(spec) == models::Presence::kInstalled) installed += (installed.empty() ? "" : ", ") + spec.name;
  exam.add("models", installed.empty() ? "none" : installed, !installed.empty(),
           installed.empty() ? "image-engine models pull" : "");
}

void examine_files(Examination& exam, const Context& context) {
  const Result<store::CatalogueReader> reader = store::CatalogueReader::open(context.catalogue);
  if (reader)
    exam.add("catalogue", printable(context.catalogue));
  else if (reader.error().code == ErrorCode::kNotFound)
    exam.add("catalogue", printable(context.catalogue) + ": none yet", true, "image-engine analyze FOLDER creates it");
  else
    exam.add("catalogue", printable(context.catalogue), false, reader.error().message);
  std::string folder(parent_path(context.catalogue));
  while (::access(folder.c_str(), F_OK) != 0 && folder != "/") folder = parent_path(folder);
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) == 0) {
    const std::uint64_t free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    exam.add("free disk space", human_bytes(free), free > 500'000'000,
             free > 500'000'000 ? "" : "less than 500 MB: the catalogue may fill it");
  }
  const std::string places = places_file();
  exam.add("place names", places.empty() ? "none" : places, !places.empty(),
           places.empty() ? "tools/setup.sh fetches them" : "");
}

json exam_json(const Examination& exam, const Context& context) {
  json out = {{"version", IE_VERSION}, {"libraries", exam.libraries}, {"sandbox", exam.sandbox}};
  out["findings"] = findings_json(exam.findings);
  out["config_files"] = json::array();
  for (const std::string& file : context.config.files) out["config_files"].push_back(to_utf8(file));
  out["config"] = json::object();
  for (const ConfigEntry& entry : describe(context.config))
    out["config"][entry.key] = {{"value", entry.value}, {"origin", origin_name(entry.origin)}};
  return out;
}

void print_exam(const Examination& exam, const Context& context, bool all) {
  print_line(fmt::format("image-engine {}", IE_VERSION));
  print_line("");
  print_findings(context, exam.findings);
  print_line("");
  print_line("Libraries");
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, version] : exam.libraries.items()) rows.push_back({"  " + name, version.get<std::string>()});
  print_table(rows);
  print_line("");
  print_line(fmt::format("Configuration{}",
                         context.config.files.empty()
                             ? ": the defaults"
                             : " from " + printable(fmt::format("{}", fmt::join(context.config.files, ", ")))));
  rows.clear();
  for (const ConfigEntry& entry : describe(context.config))
    if (all || entry.origin != ConfigOrigin::kDefault)
      rows.push_back({"  " + entry.key, printable(entry.value), std::string(origin_name(entry.origin))});
  print_table(rows);
  if (!all) print_line("  (--all lists every key)");
}

}  // namespace

Action setup_doctor(Arguments app, Settings&) {
  auto all = std::make_shared<bool>(false);
  app.add_flag("--all", *all, "Every key of the configuration, including defaults");
  app.footer(
      "\nExamples:\n  image-engine doctor\n  image-engine doctor --config optimized --all\n  image-engine doctor "
      "--json | jq .sandbox");
  return [all](Context& context) -> Result<int> {
    Examination exam;
    examine_machine(exam);
    examine_worker(exam, context.config);
    examine_gpus(exam);
    examine_providers(exam);
    examine_decoding(exam, context.config);
    examine_models(exam, context.config);
    examine_files(exam, context);
    context.json ? print_json("doctor", exam_json(exam, context)) : print_exam(exam, context, *all);
    return kDone;
  };
}

}  // namespace image_engine::cli
