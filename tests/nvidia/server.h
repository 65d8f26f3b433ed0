// tests/nvidia/server.py as a program of its own, which ends with this object.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/file.h"

namespace image_engine::nvidia {

class Server {
 public:
  explicit Server(const std::vector<std::string>& arguments = {});
  Server(const Server&) = delete;
  ~Server();

  // "http://127.0.0.1:1234/v1/x", or https to localhost.
  [[nodiscard]] std::string url(const std::string& path = "") const { return origin_ + path; }
  [[nodiscard]] const std::string& certificate() const { return certificate_; }
  // {"faults": […], "latency": …}: see server.py.
  void control(const nlohmann::json& settings) const;
  void fault(const nlohmann::json& fault) const { control({{"faults", {fault}}}); }
  // [{"time", "method", "path", "headers", "bytes"}]
  [[nodiscard]] nlohmann::json requests() const;

 private:
  [[nodiscard]] std::string ask(const std::string& path, const std::string& body) const;
  UniqueFd input_;
  int pid_ = -1;
  std::string origin_, certificate_;
};

}  // namespace image_engine::nvidia
