#include "pipeline/action_windows.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

constexpr double kSameTime = 1e-6;  // seconds

}  // namespace

Status ActionWindows::add(double seconds, const ImageView& picture, preprocess::FullSize full) {
  if (!model_ || seconds <= until_ + kSameTime) return {};
  IE_TRY(preprocess::Prepared frame, model_->prepare(picture, full));
  frames_.push_back(std::move(frame));
  times_.push_back(seconds);
  if (frames_.size() < model_->frames) return {};
  const double step = (times_.back() - times_.front()) / static_cast<double>(times_.size() - 1);
  return name(seconds + step);
}

Status ActionWindows::finish(double end) {
  if (frames_.empty()) return {};
  const bool is_only = !std::isfinite(until_);
  if (!is_only && frames_.size() * 2 < model_->frames) return {};
  frames_.resize(model_->frames, preprocess::Prepared(frames_.back()));
  return name(std::max(end, times_.back()));
}

void ActionWindows::begin_again() {
  frames_.clear();
  times_.clear();
}

Status ActionWindows::name(double to) {
  const double from = times_.front();
  until_ = times_.back();
  Result<std::vector<video::ActionGuess>> found = model_->run(frames_);
  begin_again();
  if (!found) return fail(found.error());
  std::vector<video::ActionGuess> sure = video::sure_guesses(*found, 0);
  if (!sure.empty()) windows_.push_back({from, to, std::move(sure)});
  return {};
}

std::vector<video::ActionGuess> ActionWindows::between(double from, double to) const {
  std::vector<video::ActionGuess> found;
  for (const video::ActionWindow& window : windows_) {
    if (window.from >= to || window.to <= from) continue;
    for (const video::ActionGuess& guess : window.guesses) {
      const auto known = std::ranges::find(found, guess.action, &video::ActionGuess::action);
      if (known == found.end())
        found.push_back(guess);
      else
        known->confidence = std::max(known->confidence, guess.confidence);
    }
  }
  std::ranges::stable_sort(found, std::ranges::greater{}, &video::ActionGuess::confidence);
  return found;
}

json ActionWindows::progress() const {
  json windows = json::array();
  for (const video::ActionWindow& window : windows_) {
    json guesses = json::array();
    for (const video::ActionGuess& guess : window.guesses) guesses.push_back({guess.action, guess.confidence});
    windows.push_back({window.from, window.to, std::move(guesses)});
  }
  return {{"until", std::isfinite(until_) ? json(until_) : json()}, {"windows", std::move(windows)}};
}

void ActionWindows::restore(const json& progress) {
  std::vector<video::ActionWindow> windows;
  for (const json& one : progress.at("windows")) {
    video::ActionWindow& window = windows.emplace_back();
    window.from = one.at(0).get<double>(), window.to = one.at(1).get<double>();
    for (const json& guess : one.at(2))
      window.guesses.push_back({guess.at(0).get<std::string>(), guess.at(1).get<double>()});
  }
  const json& until = progress.at("until");
  until_ = until.is_null() ? -std::numeric_limits<double>::infinity() : until.get<double>();
  windows_ = std::move(windows);
}

}  // namespace image_engine::pipeline
