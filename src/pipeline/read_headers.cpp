#include <ctime>

#include "core/file.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/parallel.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "places/places.h"
#include "scan/name_time.h"

namespace image_engine::pipeline {
namespace {

using Headers = Result<store::PreparedMetadata>;

// A few kilobytes each: more than are read during a commit.
constexpr size_t kMostHeadersInFlight = 256;

Result<Metadata> read_one(Run& run, const store::KnownFile& file) {
  IE_TRY(UniqueFd media, open_regular(file.seen.path));
  UniqueFd sidecar;
  std::string sidecar_problem;
  if (file.seen.sidecar) {
    Result<UniqueFd> opened = open_regular(file.seen.sidecar->path);
    if (opened)
      sidecar = std::move(*opened);
    else
      sidecar_problem = "its sidecar was ignored: " + opened.error().message;
  }
  worker::LeasedFile leased(run.pool, std::move(media), std::move(sidecar));
  IE_TRY(worker::Reply reply, run.ask(leased, {.operations = worker::kReadMetadata}));
  if (!reply.metadata) return std::move(reply.metadata);
  if (!sidecar_problem.empty()) reply.metadata->warnings.push_back(sidecar_problem);
  if (!reply.metadata->taken && run.options.config.scan.dates_from_names)
    reply.metadata->taken = scan::time_in_name(file_name(file.seen.path), std::time(nullptr));
  return std::move(reply.metadata);
}

// By the position, else in the words of the tags.
std::optional<Place> place_of(Run& run, const Metadata& metadata) {
  std::optional<Place> found = metadata.gps ? run.places.find(*metadata.gps) : std::nullopt;
  if (found || !metadata.place) return found;
  Place written = *metadata.place;
  if (written.country_code.empty()) written.country_code = places::country_code(written.country);
  if (written.country.empty()) written.country = places::country_name(written.country_code);
  return written;
}

// All but the writing: the writer is what all threads wait for.
Headers read(Run& run, const store::KnownFile& file) {
  IE_TRY(const Metadata metadata, read_one(run, file));
  return store::prepare_metadata(metadata, place_of(run, metadata));
}

Status keep(Run& run, const store::KnownFile& file, const Headers& headers) {
  if (headers) return run.writer.set_file_metadata(file.id, *headers, metadata_version(run.options.config));
  const Error& error = headers.error();
  run.unreadable.insert(file.id);
  if (error.code == ErrorCode::kNotFound) {
    run.report.notes.push_back(printable(file.seen.path) + " vanished during the analysis");
    return {};
  }
  return run.record_failure(file, metadata_key(), error);
}

}  // namespace

Status read_headers(Run& run, const std::vector<store::KnownFile>& files) {
  Progress progress("Metadata", files.size(), run.options.progress);
  std::vector<size_t> again;  // whose workers the system killed: once more at the end, one at a time
  bool is_last_try = false;
  const auto sink = [&](size_t index, const Headers& headers) -> Status {
    const Trace::Clock::time_point start = Trace::Clock::now();
    if (!is_last_try && !headers && headers.error().code == ErrorCode::kKilled) {
      again.push_back(index);
      return {};
    }
    progress.add();
    ++run.report.metadata.files;
    IE_CHECK(run.batch.open());
    IE_CHECK(keep(run, files[index], headers));
    // A photo that is turned otherwise than before is another asset, which pass 2 reads.
    if (headers && files[index].hashed && headers->orientation == files[index].seen.orientation)
      run.renewed.insert(files[index].asset);
    IE_TRY([[maybe_unused]] const bool committed, run.batch.changed());
    run.trace.add(Step::kWrite, start);
    return {};
  };
  IE_CHECK(parallel_files(
      files.size(), run.pool.options().workers, [&](size_t index) { return read(run, files[index]); }, sink,
      run.options.stop, kMostHeadersInFlight));
  is_last_try = true;
  IE_CHECK(parallel_files(
      again.size(), 1, [&](size_t index) { return read(run, files[again[index]]); },
      [&](size_t index, const Headers& headers) { return sink(again[index], headers); }, run.options.stop));
  IE_CHECK(run.batch.commit());
  return run.announce();
}

}  // namespace image_engine::pipeline
