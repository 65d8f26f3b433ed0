#include "pipeline/sound_analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "pipeline/subtitle_transcript.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// What is lost when the program is killed: at most this much of the sound, or of the time that it took.
constexpr double kWriteEverySound = 20;  // seconds
constexpr std::chrono::seconds kWriteEveryTime{10};
constexpr std::chrono::minutes kIndexEvery{3};           // until then its words are not searched for
constexpr std::size_t kPiece = 10 * audio::kSampleRate;  // that the models get at once
constexpr char kEndsEarly[] = "the sound is damaged or ends early";
constexpr double kWarmUp = 10;  // seconds of sound after which the detector of voices does not depend on its start

// The worker is not trusted to write numbers.
std::vector<float> clean(std::span<const float> samples) {
  std::vector<float> copy(samples.size());
  std::ranges::transform(samples, copy.begin(),
                         [](float sample) { return std::isfinite(sample) ? std::clamp(sample, -1.0F, 1.0F) : 0.0F; });
  return copy;
}

// Without spaces and ASCII punctuation, which subtitles set in their own way.
std::string letters_of(const std::vector<SpeechSegment>& speech) {
  std::string letters;
  for (const SpeechSegment& segment : speech) letters += ascii_lower(segment.text());
  std::erase_if(letters, [](unsigned char c) { return c < 0x80 && std::isalnum(c) == 0; });
  return letters;
}

json spans_json(const std::vector<SoundSpan>& spans) {
  json list = json::array();
  for (const SoundSpan& span : spans) list.push_back({thousandths(span.from), thousandths(span.to)});
  return list;
}

}  // namespace

SoundAnalysis::SoundAnalysis(SoundPlan& plan, const SoundFile& file)
    : plan_(plan),
      file_(file),
      speech_(is_due(plan.speech)),
      sounds_(is_due(plan.sounds)),
      loudness_(is_due(plan.loudness)) {
  row_.id = file.file.file;
  row_.seen = file.file.seen;
}

bool SoundAnalysis::is_due(const std::optional<store::StageKey>& key) const {
  return key && std::ranges::find(file_.file.stages, key->stage) != file_.file.stages.end();
}

Status SoundAnalysis::run() {
  const Status subtitles = take_subtitles();
  if (!subtitles) return blame(subtitles.error());
  if (!speech_ && !sounds_ && !loudness_) return {};
  for (const auto& [due, key] : {std::pair(speech_, &plan_.speech), std::pair(sounds_, &plan_.sounds)})
    if (due)
      progress_key_ += fmt::format(" {}={} {} {}", (*key)->stage, (*key)->model, (*key)->version, (*key)->params);
  IE_CHECK(load_progress());
  if (!file_.has_sound) return finish(nullptr);
  // What an earlier file left behind may have brought the worker down: a fresh one tries again.
  for (int tries = 2; tries > 0; --tries) {
    const Status heard = hear();
    if (was_cancelled_) return write();
    if (heard || run_failed_) return heard;
    const ErrorCode code = heard.error().code;
    if (tries == 1 || (code != ErrorCode::kCrashed && code != ErrorCode::kOutOfMemory)) return blame(heard.error());
    IE_CHECK(write());
    IE_CHECK(forget());
  }
  return {};
}

// Where the fault is. Progress stays when the system killed the worker: the next run goes on.
Status SoundAnalysis::blame(const Error& error) {
  if (run_failed_ || is_of_the_run(error.code)) return fail(error);
  if (error.code != ErrorCode::kKilled) return give_up(error);
  IE_CHECK(write());
  const std::lock_guard lock(plan_.write);
  return plan_.run.record_failure(row_, content_key(), error);
}

// Begins again from what was written.
Status SoundAnalysis::forget() {
  transcriber_.reset();
  listening_.clear();
  voice_.clear();
  has_begun_ = false;
  first_.reset();
  until_.reset();
  return load_progress();
}

// What is said by subtitles, where there are any; nothing where there is no model to hear it with. Then it is no longer
// due.
Status SoundAnalysis::take_subtitles() {
  if (!speech_) return {};
  std::optional<Transcript> found;
  if (plan_.run.options.config.audio.subtitles == "prefer") {
    SubtitleNotes notes;
    std::optional<scan::SubtitleSidecar> sidecar;
    if (file_.sidecar) sidecar = file_.sidecar->sidecar;
    IE_TRY(found, read_subtitles(plan_.run.pool, file_.file.seen.path, sidecar, true, plan_.whisper.language, notes));
    is_sidecar_closed_ = notes.is_sidecar_closed;
    for (const std::string& warning : notes.warnings) log_warning("{}", printable(warning));
  }
  if (found && file_.is_heard) {
    IE_TRY(const bool is_own, is_as_heard(found->speech));
    if (is_own) found.reset();
  }
  if (!found && file_.is_heard) return keep_heard();
  if (!found && plan_.models.whisper != nullptr) return {};
  json data = {{"language", nullptr}, {"source", nullptr}};
  if (found) {
    segments_ = found->speech;
    data["source"] = found->source;
    if (!found->language.empty()) data["language"] = found->language;
  }
  const std::lock_guard lock(plan_.write);
  const Status written = [&]() -> Status {
    IE_CHECK(plan_.run.batch.open());
    IE_CHECK(drop_former(plan_.speech, store::kSpeechMoments));
    IE_CHECK(put_segments());
    data["segments"] = next_speech_ - store::kFirstSpeechMoment;
    data["words"] = words_;
    IE_CHECK(put_record(*plan_.speech, json_text(data)));
    IE_CHECK(put_sidecar());
    IE_CHECK(plan_.run.batch.commit());
    return sounds_ || loudness_ ? Status{} : plan_.run.announce();
  }();
  run_failed_ = !written;
  speech_ = false;
  return written;
}

// Whether subtitles say what the model has heard, as those do that were written from it: the words' times are lost
// there.
Result<bool> SoundAnalysis::is_as_heard(const std::vector<SpeechSegment>& subtitles) {
  const std::lock_guard lock(plan_.run.reader_mutex);
  const Result<std::vector<SpeechSegment>> heard = speech_of(plan_.run.reader, file_.file.asset);
  run_failed_ = !heard;
  if (!heard) return fail(heard.error());
  return letters_of(subtitles) == letters_of(*heard);
}

// A sidecar in which nothing is said, or that is damaged, changes nothing of what a model has heard.
Status SoundAnalysis::keep_heard() {
  const std::lock_guard lock(plan_.write);
  const Status written = [&]() -> Status {
    IE_CHECK(plan_.run.batch.open());
    IE_CHECK(put_sidecar());
    return plan_.run.batch.commit();
  }();
  run_failed_ = !written;
  speech_ = false;
  return written;
}

// The sink's. A sidecar that the disk did not give is not remembered: the next run tries it again.
Status SoundAnalysis::put_sidecar() {
  return remember_sidecar(plan_.run.writer, file_.file.asset, is_sidecar_closed_ ? std::nullopt : file_.sidecar);
}

Status SoundAnalysis::load_progress() {
  std::optional<store::AnalysisProgress> progress;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(progress, plan_.run.reader.progress(file_.file.asset, kSpeechStage));
  }
  if (!progress || progress->key != progress_key_) return begin_anew();
  try {
    const json data = parse_json(progress->data);
    const double until = data.at("until").get<double>();
    language_ = data.at("language").get<std::string>();
    next_speech_ = data.at("next_speech").get<store::MomentId>();
    next_sound_ = data.at("next_sound").get<store::MomentId>();
    words_ = data.at("words").get<std::uint64_t>();
    surest_ = data.at("heard").get<std::map<std::string, double>>();
    // What comes behind `until` is heard again.
    for (const json& span : data.at("voice"))
      if (const double from = span.at(0).get<double>(); from < until)
        voice_.push_back({"speech", from, std::min(span.at(1).get<double>(), until), 1});
    const json& dropped = data.at("dropped");
    dropped_ = {dropped.at(0).get<std::uint64_t>(), dropped.at(1).get<std::uint64_t>(),
                dropped.at(2).get<std::uint64_t>()};
    listening_states_ = data.at("listening").get<std::vector<std::string>>();
    first_ = data.at("first").get<double>();
    until_ = until;
    counted_ = std::floor(std::max(until - *first_, 0.0));
  } catch (const json::exception&) {
    return begin_anew();
  }
  return {};
}

// What an earlier analysis found. The sink's.
Status SoundAnalysis::drop_former(const std::optional<store::StageKey>& key, store::MomentRange moments) {
  store::RecordWriter& writer = plan_.run.writer;
  IE_CHECK(writer.drop_moments(file_.file.asset, moments));
  IE_CHECK(writer.put_progress(file_.file.asset, kSpeechStage, std::nullopt));
  return writer.drop_other_records(file_.file.asset, {key->stage, "", "", ""});  // no record has this key
}

Status SoundAnalysis::begin_anew() {
  language_.clear();
  next_speech_ = store::kFirstSpeechMoment;
  next_sound_ = store::kFirstSoundMoment;
  words_ = 0;
  surest_.clear();
  voice_.clear();
  dropped_ = {};
  listening_states_.clear();
  first_.reset();
  until_.reset();
  const std::lock_guard lock(plan_.write);
  IE_CHECK(plan_.run.batch.open());
  if (speech_) IE_CHECK(drop_former(plan_.speech, store::kSpeechMoments));
  if (sounds_) IE_CHECK(drop_former(plan_.sounds, store::kSoundMoments));
  return plan_.run.batch.commit();
}

// Starts the models at the first sample, or where a former run stopped. `first`: the first sample's time.
Status SoundAnalysis::begin(double first) {
  if (!first_) first_ = first;
  if (speech_) {
    IE_TRY(audio::VoiceActivity voice, audio::VoiceActivity::create(plan_.models.voice));
    transcriber_.emplace(std::move(voice), plan_.models.whisper.get(), plan_.whisper, first, until_.value_or(first),
                         language_);
  }
  if (listening_.empty()) IE_CHECK(listen());
  written_ = until_.value_or(first);
  return {};
}

// Makes what finds sounds, if they are due.
Status SoundAnalysis::listen() {
  for (const SoundListener& listener : sounds_ ? plan_.models.listeners : std::vector<SoundListener>{}) {
    IE_TRY(std::unique_ptr<audio::SoundFinder> finder, listener.make());
    listening_.push_back({std::move(finder), 0});
  }
  return {};
}

// From where on the sound is decoded; the models then see what comes before `until_` once more.
Result<double> SoundAnalysis::decode_from() {
  if (!until_) return 0;
  IE_CHECK(listen());
  if (listening_.size() != (sounds_ ? listening_states_.size() : 0))
    return fail(ErrorCode::kCorrupt, "the saved state of a search for sounds is of other models");
  double from = speech_ || !sounds_ ? *until_ - kWarmUp : *until_;
  for (std::size_t i = 0; i < listening_.size(); ++i) {
    IE_TRY(const double again, listening_[i].finder->resume(listening_states_[i]));
    listening_[i].from = *first_ + again;
    from = std::min(from, listening_[i].from);
  }
  return std::max(from, 0.0);
}

Status SoundAnalysis::hear() {
  worker::Task task;
  task.operations = worker::kSound;
  task.sound = plan_.track;
  // Of all the sound, also where only the end of it is heard.
  task.sound.loudness = !loudness_ ? 0 : until_ ? 2 : 1;
  IE_TRY(task.sound.from, decode_from());
  IE_TRY(worker::LeasedFile leased, worker::LeasedFile::open(plan_.run.pool, file_.file.seen.path));
  IE_CHECK(leased.start_sound(task));
  for (;;) {
    if (plan_.run.cancelled() || plan_.stop) {
      was_cancelled_ = true;
      return {};
    }
    IE_TRY(const std::optional<worker::SoundChunk> chunk, leased.next_sound());
    if (!chunk) break;
    const std::vector<float> samples = clean(leased.samples(*chunk));
    for (std::size_t at = 0; at < samples.size() && !plan_.run.cancelled(); at += kPiece) {
      const double seconds = chunk->seconds + static_cast<double>(at) / audio::kSampleRate;
      const Status fed = feed(seconds, std::span(samples).subspan(at, std::min(kPiece, samples.size() - at)));
      if (fed) continue;
      // A run of a model ends early when it is cancelled.
      if (plan_.run.cancelled() && fed.error().code == ErrorCode::kInterrupted) break;
      run_failed_ = true;
      return fed;
    }
  }
  is_cut_off_ = leased.sound().is_cut_off;
  Status finished = finish(&leased.sound());
  was_cancelled_ = !finished && plan_.run.cancelled() && finished.error().code == ErrorCode::kInterrupted;
  run_failed_ = !finished && !was_cancelled_;
  return was_cancelled_ ? Status{} : finished;
}

Status SoundAnalysis::feed(double seconds, std::span<const float> samples) {
  constexpr double kRate = audio::kSampleRate;
  if (!std::exchange(has_begun_, true)) IE_CHECK(begin(seconds));
  if (transcriber_) IE_CHECK(transcriber_->add(samples));
  for (Listening& one : listening_) {
    const double skipped = std::clamp((one.from - seconds) * kRate, 0.0, static_cast<double>(samples.size()));
    IE_TRY(const std::vector<SoundSpan> spans,
           one.finder->add(samples.subspan(static_cast<std::size_t>(std::llround(skipped)))));
    for (const SoundSpan& span : spans) add_span(span);
  }
  position_ = seconds + static_cast<double>(samples.size()) / kRate;
  take();
  count_to(position_);
  if (position_ - written_ < kWriteEverySound && std::chrono::steady_clock::now() - written_at_ < kWriteEveryTime)
    return {};
  return write();
}

// The finders' times are from the first sample on.
void SoundAnalysis::add_span(const SoundSpan& span) {
  const double from = std::max(span.from + *first_, 0.0);
  spans_.push_back({span.name, from, std::max(span.to + *first_, from), span.confidence});
}

// Whole seconds, for the progress.
void SoundAnalysis::count_to(double seconds) {
  const auto steps = static_cast<std::uint64_t>(std::max(seconds - *first_ - counted_, 0.0));
  plan_.progress.add(steps);
  counted_ += static_cast<double>(steps);
}

void SoundAnalysis::take() {
  if (!transcriber_) return;
  std::ranges::move(transcriber_->take(), std::back_inserter(segments_));
  std::ranges::move(transcriber_->take_voice(), std::back_inserter(voice_));
  language_ = transcriber_->language();
}

Status SoundAnalysis::write() {
  if (!has_begun_) return {};
  written_ = position_;
  written_at_ = std::chrono::steady_clock::now();
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  IE_CHECK(put_segments());
  IE_CHECK(
      run.writer.put_progress(file_.file.asset, kSpeechStage, store::AnalysisProgress{progress_key_, progress_data()}));
  return run.batch.commit();
}

// What was found since the last write. The sink's.
Status SoundAnalysis::put_segments() {
  store::RecordWriter& writer = plan_.run.writer;
  for (const SpeechSegment& segment : segments_) {
    const store::Moment moment{next_speech_++, store::MomentKind::kSpeech, segment.from, segment.to};
    words_ += segment.words.size();
    IE_CHECK(writer.put_moment(file_.file.asset, moment));
    const std::vector<store::Fact> facts = {store::TextFacts{store::TextField::kSaid, {segment.text()}}};
    IE_CHECK(writer.put_moment_record(file_.file.asset, {moment.id, kSpeechStage, speech_record(segment)}, facts));
  }
  for (const SoundSpan& span : spans_) {
    const store::Moment moment{next_sound_++, store::MomentKind::kSound, span.from, span.to};
    surest_[span.name] = std::max(surest_[span.name], span.confidence);
    IE_CHECK(writer.put_moment(file_.file.asset, moment));
    const std::vector<store::Fact> facts = {
        store::ClassFacts{store::TextField::kSound, {{span.name, span.confidence, {}}}}};
    IE_CHECK(writer.put_moment_record(file_.file.asset, {moment.id, kSoundsStage, ""}, facts));
  }
  segments_.clear();
  spans_.clear();
  return {};
}

std::string SoundAnalysis::progress_data() const {
  const audio::Dropped dropped = all_dropped();
  json states = json::array();
  for (const Listening& one : listening_) states.push_back(one.finder->state());
  return json_text(json{{"until", transcriber_ ? transcriber_->until() : position_},
                        {"first", *first_},
                        {"language", language_},
                        {"next_speech", next_speech_},
                        {"next_sound", next_sound_},
                        {"words", words_},
                        {"heard", surest_},
                        {"voice", spans_json(voice_)},
                        {"dropped", {dropped.unsure, dropped.loops, dropped.silent}},
                        {"listening", std::move(states)}});
}

// The whole is found by each sound that is heard in it.
Status SoundAnalysis::put_sounds() {
  store::ClassFacts facts{store::TextField::kSound, {}};
  for (const auto& [name, confidence] : surest_) facts.classes.push_back({name, confidence, {}});
  const std::vector<store::Fact> all = {std::move(facts)};
  return put_record(*plan_.sounds, json_text(json{{"spans", next_sound_ - store::kFirstSoundMoment}}), all);
}

Status SoundAnalysis::put_record(const store::StageKey& key, const std::string& data,
                                 std::span<const store::Fact> facts) {
  store::Record record;
  record.key = key;
  record.device = "cpu";
  if (plan_.speech && key.stage == plan_.speech->stage) record.precision = plan_.models.precision;
  record.data = data;
  plan_.run.renewed_videos.erase(file_.file.asset);
  plan_.run.renewed.insert(file_.file.asset);
  return plan_.run.writer.put_record(file_.file.asset, record, facts);
}

// No more sound comes.
Status SoundAnalysis::finish_models() {
  if (transcriber_) IE_CHECK(transcriber_->finish());
  for (const Listening& one : listening_) {
    if (!has_begun_) break;
    IE_TRY(const std::vector<SoundSpan> spans, one.finder->finish());
    for (const SoundSpan& span : spans) add_span(span);
  }
  take();
  return {};
}

// `summary`: null where there is no sound to hear.
Status SoundAnalysis::finish(const worker::SoundSummary* summary) {
  IE_CHECK(finish_models());
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  IE_CHECK(put_segments());
  if (speech_) IE_CHECK(put_record(*plan_.speech, speech_data()));
  if (speech_) IE_CHECK(put_sidecar());
  if (sounds_) IE_CHECK(put_sounds());
  if (loudness_) {
    IE_CHECK(run.writer.drop_other_records(file_.file.asset, *plan_.loudness));
    IE_CHECK(put_record(*plan_.loudness, json_text(loudness_of(summary))));
  }
  IE_CHECK(run.writer.put_progress(file_.file.asset, kSpeechStage, std::nullopt));
  if (is_cut_off_) {
    const store::StageKey key = speech_ ? *plan_.speech : sounds_ ? *plan_.sounds : *plan_.loudness;
    IE_CHECK(run.record_failure(row_, key, {ErrorCode::kCorrupt, kEndsEarly}));
  }
  IE_CHECK(run.batch.commit());
  return run.announce();
}

std::string SoundAnalysis::speech_data() const {
  const audio::Dropped dropped = all_dropped();
  return json_text(
      json{{"language", language_.empty() ? json() : json(language_)},
           {"source", kHeardByModel},
           {"segments", next_speech_ - store::kFirstSpeechMoment},
           {"words", words_},
           {"voice_activity", spans_json(voice_)},
           {"dropped", {{"unsure", dropped.unsure}, {"loops", dropped.loops}, {"silent", dropped.silent}}}});
}

audio::Dropped SoundAnalysis::all_dropped() const {
  audio::Dropped all = dropped_;
  if (!transcriber_) return all;
  all.unsure += transcriber_->dropped().unsure;
  all.loops += transcriber_->dropped().loops;
  all.silent += transcriber_->dropped().silent;
  return all;
}

json SoundAnalysis::loudness_of(const worker::SoundSummary* summary) {
  if (summary == nullptr) return json::object();
  json out = summary->loudness;
  out["track"] = summary->track;
  return out;
}

// The file is to blame. What was heard stays, and is searched for; --retry begins anew.
Status SoundAnalysis::give_up(const Error& error) {
  IE_CHECK(finish_models());
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  IE_CHECK(put_segments());
  if (speech_) IE_CHECK(run.writer.index_speech(file_.file.asset));
  if (speech_) IE_CHECK(put_sidecar());
  IE_CHECK(run.writer.put_progress(file_.file.asset, kSpeechStage, std::nullopt));
  for (const auto& [due, key] :
       {std::pair(speech_, &plan_.speech), std::pair(sounds_, &plan_.sounds), std::pair(loudness_, &plan_.loudness)})
    if (due) IE_CHECK(run.record_failure(row_, **key, error));
  IE_CHECK(run.batch.commit());
  return run.announce();
}

}  // namespace image_engine::pipeline
