#include "infer/sharing_session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "core/log.h"
#include "core/text.h"
#include "infer/choose_device.h"
#include "infer/gpu_rows.h"

namespace image_engine::infer {
namespace {

class SharingSession final : public Session {
 public:
  SharingSession(std::vector<std::unique_ptr<Session>> sessions, int runs_each)
      : sessions_(std::move(sessions)), lost_(sessions_.size()), waiting_(sessions_.size()) {
    for (const auto& session : sessions_) devices_.push_back(device_number(session->placement().device));
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
      const std::size_t gpu = take(home_in(inputs));
      auto made = sessions_[gpu]->run(inputs, outputs);
      const bool lost = !made && made.error().code == ErrorCode::kInternal;
      const bool one_is_left = put(gpu, lost);
      if (!lost || !one_is_left) return made;
      log_warning("{} is no longer used: {}", sessions_[gpu]->placement().device, printable(made.error().message));
    }
  }

  // One GPU after the other.
  [[nodiscard]] Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> inputs) const override {
    const std::size_t gpu = take({});
    put(gpu, false);
    return sessions_[gpu]->resident(inputs);
  }

 private:
  // The session on the GPU with most of the inputs' rows; none: they are on no GPU of these.
  [[nodiscard]] std::optional<std::size_t> home_in(std::span<const Tensor> inputs) const {
    const std::optional<int> home = home_of(inputs);
    if (!home) return std::nullopt;
    const auto found = std::ranges::find(devices_, *home);
    if (found == devices_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - devices_.begin());
  }

  [[nodiscard]] std::size_t take(std::optional<std::size_t> home) const {
    std::unique_lock lock(mutex_);
    if (home) ++waiting_[*home];
    auto found = free_.end();
    changed_.wait(lock, [&] { return (found = best_free(home)) != free_.end(); });
    const std::size_t gpu = *found;
    free_.erase(found);
    if (home && --waiting_[*home] == 0) changed_.notify_all();  // others may use that GPU now
    return gpu;
  }

  [[nodiscard]] std::deque<std::size_t>::iterator best_free(std::optional<std::size_t> home) const {
    if (!home || lost_[*home]) return free_.begin();
    const auto own = std::ranges::find(free_, *home);
    return own != free_.end() ? own : std::ranges::find_if(free_, [&](std::size_t gpu) { return waiting_[gpu] == 0; });
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
    }
    changed_.notify_all();
    return one_is_left;
  }

  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<int> devices_;  // their GPUs
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::deque<std::size_t> free_;  // each GPU once per concurrent run; the longest free one first
  mutable std::vector<bool> lost_;
  mutable std::vector<std::size_t> waiting_;  // runs whose rows are on that GPU
};

}  // namespace

std::unique_ptr<Session> make_sharing(std::vector<std::unique_ptr<Session>> sessions, int runs_each) {
  return std::make_unique<SharingSession>(std::move(sessions), runs_each);
}

}  // namespace image_engine::infer
