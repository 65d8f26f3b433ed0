#include "infer/sharing_session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "core/log.h"
#include "core/text.h"

namespace image_engine::infer {
namespace {

class SharingSession final : public Session {
 public:
  SharingSession(std::vector<std::unique_ptr<Session>> sessions, int runs_each)
      : sessions_(std::move(sessions)), lost_(sessions_.size()) {
    for (int i = 0; i < runs_each; ++i)
      for (std::size_t gpu = 0; gpu < sessions_.size(); ++gpu) free_.push_back(gpu);
  }

  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return sessions_.front()->inputs(); }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return sessions_.front()->outputs(); }
  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    return sessions_.front()->metadata(key);
  }
  [[nodiscard]] Placement placement() const override {
    Placement placement = sessions_.front()->placement();
    std::vector<std::string> devices;
    for (const auto& session : sessions_) devices.push_back(session->placement().device);
    placement.device = fmt::format("{}", fmt::join(devices, "+"));
    return placement;
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    for (;;) {
      const std::size_t gpu = take();
      auto made = sessions_[gpu]->run(inputs, outputs);
      const bool lost = !made && made.error().code == ErrorCode::kInternal;
      const bool one_is_left = put(gpu, lost);
      if (!lost || !one_is_left) return made;
      log_warning("{} is no longer used: {}", sessions_[gpu]->placement().device, printable(made.error().message));
    }
  }

  // One GPU after the other.
  [[nodiscard]] Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> inputs) const override {
    const std::size_t gpu = take();
    put(gpu, false);
    return sessions_[gpu]->resident(inputs);
  }

 private:
  [[nodiscard]] std::size_t take() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !free_.empty(); });
    const std::size_t gpu = free_.front();
    free_.pop_front();
    return gpu;
  }

  // Whether a GPU is left. The last one is kept, to return its error again.
  bool put(std::size_t gpu, bool lost) const {
    const std::lock_guard lock(mutex_);
    lost_[gpu] = lost_[gpu] || lost;
    const bool one_is_left = std::ranges::count(lost_, false) > 0;
    if (lost_[gpu] && one_is_left) {
      std::erase(free_, gpu);
    } else {
      free_.push_back(gpu);
      changed_.notify_one();
    }
    return one_is_left;
  }

  std::vector<std::unique_ptr<Session>> sessions_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::deque<std::size_t> free_;  // each GPU once per concurrent run; the longest free one first
  mutable std::vector<bool> lost_;
};

}  // namespace

std::unique_ptr<Session> make_sharing(std::vector<std::unique_ptr<Session>> sessions, int runs_each) {
  return std::make_unique<SharingSession>(std::move(sessions), runs_each);
}

}  // namespace image_engine::infer
