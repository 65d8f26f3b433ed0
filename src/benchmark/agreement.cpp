// How answers of models compare.
#include <algorithm>
#include <cmath>

#include "benchmark/net.h"

namespace image_engine::benchmark {
namespace {

using vision::DetectedObject;

constexpr float kConfident = 0.5F;
constexpr double kSamePlace = 0.98;  // IoU
constexpr double kSameThing = 0.5;   // IoU

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 0;
  double product = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += double{a[i]} * b[i];
    square_a += double{a[i]} * a[i];
    square_b += double{b[i]} * b[i];
  }
  const double lengths = std::sqrt(square_a) * std::sqrt(square_b);
  return lengths > 0 ? product / lengths : 0;
}

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  const double common = std::max(width, 0.0) * std::max(height, 0.0);
  const double both = double{a.width} * a.height + double{b.width} * b.height - common;
  return both > 0 ? common / both : 0;
}

struct Count {
  std::size_t confident = 0, met = 0;
};

// The confident objects of one that the other has, at any confidence.
template <typename Same>
void count_met(const std::vector<DetectedObject>& ones, const std::vector<DetectedObject>& others, double least,
               const Same& same, Count& count) {
  for (const DetectedObject& one : ones) {
    if (one.confidence < kConfident) continue;
    ++count.confident;
    count.met += std::ranges::any_of(
        others, [&](const DetectedObject& other) { return same(one, other) && overlap(one.box, other.box) >= least; });
  }
}

std::string_view best_label(const models::Spec& spec, const Answer& answer) {
  const auto best = std::ranges::max_element(answer.numbers);
  auto at = static_cast<std::size_t>(best - answer.numbers.begin());
  if (answer.numbers.size() == spec.labels.size() + 1) {  // the first is none
    if (at == 0) return {};
    --at;
  }
  return at < spec.labels.size() ? std::string_view(spec.labels[at]) : std::string_view();
}

std::size_t nearest(const std::vector<Answer>& all, std::size_t to) {
  std::size_t best = to;
  double most = -2;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == to) continue;
    const double found = cosine(all[i].numbers, all[to].numbers);
    if (found > most) best = i, most = found;
  }
  return best;
}

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double deviation_of(const std::vector<Answer>& right, const std::vector<Answer>& answers) {
  const std::size_t pictures = std::min(right.size(), answers.size());
  double sum = 0;
  std::size_t vectors = 0;
  Count count;
  const auto same = [](const DetectedObject& a, const DetectedObject& b) { return a.label == b.label; };
  for (std::size_t i = 0; i < pictures; ++i) {
    if (!right[i].numbers.empty()) {
      sum += 1 - cosine(right[i].numbers, answers[i].numbers);
      ++vectors;
    }
    count_met(right[i].objects, answers[i].objects, kSamePlace, same, count);
    count_met(answers[i].objects, right[i].objects, kSamePlace, same, count);
  }
  if (vectors > 0) return std::max(0.0, sum / static_cast<double>(vectors));
  return 1 - share(count.met, count.confident);
}

namespace {

LabelAgreement objects_agreement(const models::Spec& one, const std::vector<Answer>& ones, const models::Spec& other,
                                 const std::vector<Answer>& others, std::size_t pictures) {
  Count count;
  const auto name = [](const models::Spec& spec, std::uint32_t label) {
    return label < spec.labels.size() ? std::string_view(spec.labels[label]) : std::string_view();
  };
  const auto forth = [&](const auto& a, const auto& b) { return name(one, a.label) == name(other, b.label); };
  const auto back = [&](const auto& b, const auto& a) { return forth(a, b); };
  for (std::size_t i = 0; i < pictures; ++i) {
    count_met(ones[i].objects, others[i].objects, kSameThing, forth, count);
    count_met(others[i].objects, ones[i].objects, kSameThing, back, count);
  }
  return {"objects", count.confident, share(count.met, count.confident)};
}

}  // namespace

std::optional<LabelAgreement> label_agreement(const models::Spec& one, const std::vector<Answer>& ones,
                                              const models::Spec& other, const std::vector<Answer>& others) {
  const std::size_t pictures = std::min(ones.size(), others.size());
  const PictureAnswer answer = answer_of(one);
  if (answer != answer_of(other)) return std::nullopt;
  std::size_t same = 0;
  switch (answer) {
    case PictureAnswer::kObjects: {
      LabelAgreement found = objects_agreement(one, ones, other, others, pictures);
      return found.compared > 0 ? std::optional(std::move(found)) : std::nullopt;
    }
    case PictureAnswer::kLabel:
      for (std::size_t i = 0; i < pictures; ++i) same += best_label(one, ones[i]) == best_label(other, others[i]);
      return LabelAgreement{"labels", pictures, share(same, pictures)};
    case PictureAnswer::kVector:
      for (std::size_t i = 0; i < pictures; ++i) same += nearest(ones, i) == nearest(others, i);
      return LabelAgreement{"nearest pictures", pictures, share(same, pictures)};
    case PictureAnswer::kNone:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace image_engine::benchmark
