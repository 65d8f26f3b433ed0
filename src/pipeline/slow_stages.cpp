#include "pipeline/slow_stages.h"

#include <algorithm>
#include <utility>

#include "core/progress.h"
#include "pipeline/parallel.h"
#include "pipeline/photo_source.h"

namespace image_engine::pipeline {
namespace {

// What the stages made of one photo, in their order.
struct SlowOutputs {
  std::vector<Result<StageOutput>> of_stages;

  [[nodiscard]] bool was_killed() const {
    return std::ranges::any_of(of_stages, [](const Result<StageOutput>& output) {
      return !output && output.error().code == ErrorCode::kKilled;
    });
  }
};

class SlowPass {
 public:
  SlowPass(Run& run, Meaning& meaning, const std::vector<SlowPhoto>& photos)
      : run_(run), meaning_(meaning), photos_(photos) {}

  Status all() {
    if (!photos_.empty() && !run_.cancelled()) IE_CHECK(run_photos());
    // Those that were not reached have all but these stages.
    for (size_t i = 0; i < photos_.size(); ++i)
      if (!kept_[i]) run_.renewed.insert(photos_[i].asset);
    return run_.announce();
  }

 private:
  Status run_photos() {
    const PhaseClock::Scope phase(run_.clock, run_.report.text);
    Progress progress("Text", photos_.size(), run_.options.progress);
    progress.append_text(run_.options.beside_progress);
    const auto run_one = [&](size_t index) {
      SlowOutputs outputs = run_stages(photos_[index]);
      progress.add();
      return outputs;
    };
    // Photos whose workers the system killed, most likely for lack of memory: once more, one at a time.
    std::vector<size_t> again;
    const auto keep_or_repeat = [&](size_t index, const SlowOutputs& outputs) -> Status {
      if (!outputs.was_killed()) return keep(index, outputs);
      again.push_back(index);
      return {};
    };
    IE_CHECK(parallel_files(photos_.size(), run_.pool.options().workers, run_one, keep_or_repeat, run_.options.stop));
    IE_CHECK(parallel_files(
        again.size(), 1, [&](size_t i) { return run_stages(photos_[again[i]]); },
        [&](size_t i, const SlowOutputs& outputs) { return keep(again[i], outputs); }, run_.options.stop));
    run_.report.text.files = progress.done();
    run_.report.waiting = photos_.size() - progress.done();
    return run_.batch.commit();
  }

  SlowOutputs run_stages(const SlowPhoto& photo) {
    worker::Task task{.operations = worker::kDecode};
    for (const PictureStage* stage : photo.stages) task.max_edge = std::max(task.max_edge, stage->slow_edge);
    SlowOutputs outputs;
    PhotoSource source(run_, photo.file.seen);
    for (const PictureStage* stage : photo.stages) outputs.of_stages.push_back(run_stage(*stage, source, task));
    return outputs;
  }

  // Each decodes for itself: the larger picture that another asked for took the place of the first.
  Result<StageOutput> run_stage(const PictureStage& stage, PhotoSource& source, const worker::Task& task) {
    IE_TRY(const PhotoSource::Decoded decoded, source.decode(task));
    const worker::Picture& picture = decoded.picture;
    StageInput input{decoded.pixels, picture.luma, picture.full_width, picture.full_height};
    input.looked = true;
    source.serve(input);
    const Trace::Clock::time_point start = Trace::Clock::now();
    IE_TRY(StageWork work, stage.prepare(input));
    Result<StageOutput> output = std::move(run_each(stage, {&work, 1}).front());
    run_.trace.add(Step::kModels, start);
    return output;
  }

  Status keep(size_t index, const SlowOutputs& outputs) {
    const SlowPhoto& photo = photos_[index];
    const Trace::Clock::time_point start = Trace::Clock::now();
    store::KnownFile row;
    row.id = photo.file.file;
    row.seen = photo.file.seen;
    IE_CHECK(run_.batch.open());
    for (size_t i = 0; i < photo.stages.size(); ++i) {
      const PictureStage& stage = *photo.stages[i];
      const Result<StageOutput>& output = outputs.of_stages[i];
      if (output)
        IE_CHECK(meaning_.keep(photo.asset, record_of(stage, output->data), output->facts));
      else
        IE_CHECK(run_.record_failure(row, photo.asset, stage.key, output.error()));
    }
    kept_[index] = true;
    run_.renewed.insert(photo.asset);
    run_.trace.add(Step::kWrite, start);
    IE_TRY(const bool committed, run_.batch.changed());
    return committed ? run_.announce() : Status{};
  }

  Run& run_;
  Meaning& meaning_;
  const std::vector<SlowPhoto>& photos_;
  std::vector<bool> kept_ = std::vector<bool>(photos_.size());  // the sink's
};

}  // namespace

Status run_slow_stages(Run& run, Meaning& meaning, const std::vector<SlowPhoto>& photos) {
  return SlowPass(run, meaning, photos).all();
}

}  // namespace image_engine::pipeline
