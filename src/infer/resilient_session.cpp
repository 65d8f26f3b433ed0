#include "infer/resilient_session.h"

#include <mutex>

namespace image_engine::infer {
namespace {

class ResilientSession final : public Session {
 public:
  ResilientSession(std::unique_ptr<Session> session, TakeOver take_over)
      : inputs_(session->inputs()),
        outputs_(session->outputs()),
        current_(std::move(session)),
        take_over_(std::move(take_over)) {}

  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  [[nodiscard]] Placement placement() const override {
    const std::lock_guard lock(mutex_);
    Placement placement = current_->placement();
    placement.precision = precision_;
    return placement;
  }
  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    return current()->metadata(key);
  }
  [[nodiscard]] Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> inputs) const override {
    return current()->resident(inputs);
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    for (;;) {
      const std::shared_ptr<Session> session = current();
      auto made = session->run(inputs, outputs);
      const bool broken =
          !made && (made.error().code == ErrorCode::kOutOfMemory || made.error().code == ErrorCode::kInternal);
      if (!broken || !replace(session, made.error())) return made;
    }
  }

 private:
  [[nodiscard]] std::shared_ptr<Session> current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

  // Whether there is another session than `failed` now.
  [[nodiscard]] bool replace(const std::shared_ptr<Session>& failed, const Error& error) const {
    const std::lock_guard lock(mutex_);
    if (current_ != failed) return true;  // another thread was faster
    auto next = take_over_(error);
    if (!next) return false;
    current_ = std::move(next->session);
    if (!next->precision.empty()) precision_ = next->precision;
    return true;
  }

  std::vector<TensorInfo> inputs_, outputs_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Session> current_;
  mutable std::string precision_;
  TakeOver take_over_;
};

}  // namespace

std::unique_ptr<Session> make_resilient(std::unique_ptr<Session> session, TakeOver take_over) {
  return std::make_unique<ResilientSession>(std::move(session), std::move(take_over));
}

}  // namespace image_engine::infer
