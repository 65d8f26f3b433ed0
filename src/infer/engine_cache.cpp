#include "infer/engine_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <tuple>
#include <vector>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "infer/ep_context_model.h"
#include "infer/run_watch.h"
#include "models/digest.h"
#include "models/folder_lock.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;

// "75" of "7.5", as the provider writes it.
std::string joined(std::string capability) {
  std::erase(capability, '.');
  return capability;
}

// Checks that engine, loader and sidecar exist and match: those of a killed process do not.
Status check_kept(const std::string& engine, const EngineIdentity& identity) {
  IE_CHECK(check_engine(engine, identity));
  if (::access(loader_of(engine).c_str(), R_OK) == 0) return {};
  return fail(ErrorCode::kNotFound, fmt::format("{} is missing", printable(loader_of(engine))));
}

Result<ReadyEngine> engine_for_once(const EngineIdentity& identity, const BuildEngine& build) {
  IE_TRY(TemporaryFolder work, TemporaryFolder::create());
  IE_TRY(EngineRecord record, build(work.path()));
  record.identity = identity;
  const std::string engine = join_path(work.path(), "kept.engine");
  IE_CHECK(publish_engine(join_path(work.path(), kBuiltEngine), engine, std::move(record)));
  return ReadyEngine{loader_of(engine), true, std::make_shared<TemporaryFolder>(std::move(work))};
}

// Engines of the same name that no driver or library here can load any more.
void remove_outdated(const std::string& folder, const std::string& file, const EngineIdentity& now) {
  std::vector<fs::path> outdated;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto record = read_engine_record((entry.path() / file).string());
    if (!record) continue;
    const auto versions = [](const EngineIdentity& id) {
      return std::tie(id.driver, id.cuda, id.tensorrt, id.runtime);
    };
    if (versions(record->identity) != versions(now)) outdated.push_back(entry.path());
  }
  for (const fs::path& one : outdated) fs::remove_all(one, ignored);
}

bool can_be_written(const std::string& folder) {
  const Status made = make_folders(folder, 0700);
  if (made && ::access(folder.c_str(), W_OK) == 0) return true;
  static std::atomic<bool> warned = false;
  if (!warned.exchange(true))
    log_warning("engines cannot be stored in {}: each is rebuilt for this run", printable(folder));
  return false;
}

}  // namespace

Status publish_engine(const std::string& built, const std::string& engine, EngineRecord record) {
  struct stat info {};
  if (::stat(built.c_str(), &info) != 0) return fail(errno_error(printable(built)));
  record.engine_bytes = static_cast<std::uint64_t>(info.st_size);
  IE_TRY(record.engine_sha256, models::sha256_of(built));
  IE_TRY(const std::string loader, ep_context_model({.engine = std::string(file_name(engine)),
                                                     .source = std::string(provider_runtime_name(Provider::kTensorRt)),
                                                     .compute_capability = joined(record.identity.compute_capability),
                                                     .inputs = record.inputs,
                                                     .outputs = record.outputs}));
  ::unlink(sidecar_of(engine).c_str());
  if (::rename(built.c_str(), engine.c_str()) != 0) return fail(errno_error("cannot write " + printable(engine)));
  IE_CHECK(write_file_atomically(loader_of(engine), loader));
  return write_file_atomically(sidecar_of(engine), engine_record_text(record));
}

Result<ReadyEngine> ready_engine(const std::string& folder, const std::string& name, const EngineIdentity& identity,
                                 const BuildEngine& build, const std::stop_token& stop) {
  const std::string own = join_path(folder, engine_key(identity)), file = name + ".engine";
  const std::string engine = join_path(own, file);
  if (check_kept(engine, identity)) return ReadyEngine{loader_of(engine), false, nullptr};
  if (!can_be_written(folder) || !can_be_written(own)) return engine_for_once(identity, build);
  IE_TRY(const auto lock, models::FolderLock::take(engine + ".lock", stop));
  const Status kept = check_kept(engine, identity);
  if (kept) return ReadyEngine{loader_of(engine), false, nullptr};  // another process built it
  if (kept.error().code != ErrorCode::kNotFound) log_info("{}; it is built again", kept.error().message);
  IE_TRY(const TemporaryFolder work, TemporaryFolder::at(engine + ".building"));
  IE_TRY(EngineRecord record, build(work.path()));
  record.identity = identity;
  IE_CHECK(publish_engine(join_path(work.path(), kBuiltEngine), engine, std::move(record)));
  remove_outdated(folder, file, identity);
  return ReadyEngine{loader_of(engine), true, nullptr};
}

Result<ReadyEngine> engine_for(const std::string& model, const SessionOptions& options) {
  IE_TRY(const EngineIdentity identity, engine_identity(model, options));
  const std::string& given = options.tensorrt->cache_prefix;
  const std::string name = given.empty() ? fs::path(std::string(file_name(model))).stem().string() : given;
  const std::stop_token stop = run_limits().stop;
  const auto build = [&](const std::string& folder) -> Result<EngineRecord> {
    log_info("building a TensorRT engine of {}: once, it takes minutes", printable(file_name(model)));
    auto built = build_engine({model, options}, folder, {.stop = stop});
    if (built) return built;
    Error error = built.error();
    log_debug("{}", error.message);
    error.message.resize(std::min(error.message.size(), error.message.find('\n')));
    return fail(std::move(error));
  };
  return ready_engine(options.tensorrt->cache_folder, name, identity, build, stop);
}

Result<ReadyEngine> prebuilt_engine(const std::string& engine, const std::string& model, int device) {
  IE_TRY(const EngineRecord record, read_engine_record(engine));
  SessionOptions options;
  options.device = device;
  IE_TRY(EngineIdentity now, engine_identity(model, options));
  const EngineIdentity& built = record.identity;
  now.dimensions = built.dimensions;
  now.precision = built.precision;
  now.least_batch = built.least_batch;
  now.best_batch = built.best_batch;
  now.most_batch = built.most_batch;
  now.workspace_bytes = built.workspace_bytes;
  IE_CHECK(check_kept(engine, now));
  return ReadyEngine{loader_of(engine), false, nullptr};
}

}  // namespace image_engine::infer
