#include "plugins/index.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/digest.h"
#include "models/http.h"
#include "plugins/description.h"
#include "plugins/signature.h"

namespace image_engine::plugins {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMostIndex = std::uint64_t{4} << 20, kMostSignature = std::uint64_t{64} << 10,
                        kMostPlugin = std::uint64_t{256} << 20;

bool is_address(const std::string& place) { return place.starts_with("https://") || place.starts_with("http://"); }

Status fetch(const std::string& url, const std::string& path, std::uint64_t most, const std::stop_token& stop) {
  models::HttpRequest request;
  request.url = url;
  request.most_bytes = most;
  request.stop = stop;
  IE_TRY([[maybe_unused]] const models::HttpAnswer answer, models::http_download(request, path));
  return {};
}

Result<std::string> read_named(const std::string& path, std::uint64_t most) {
  Result<std::string> text = read_file(path, most);
  if (!text) return fail(text.error().code, printable(path) + ": " + text.error().message);
  return text;
}

Result<std::string> read_place(const std::string& place, std::uint64_t most, const std::stop_token& stop) {
  if (!is_address(place)) return read_named(place, most);
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  const std::string path = join_path(folder.path(), "fetched");
  IE_CHECK(fetch(place, path, most, stop));
  return read_file(path, most);
}

std::string machine() {
  utsname system{};
  return ::uname(&system) == 0 ? system.machine : "";
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A name beside the index is no path.
bool is_place(const std::string& file) {
  return is_address(file) || (!file.empty() && file.find('/') == std::string::npos && file != "." && file != "..");
}

Result<IndexEntry> entry_of(const json& in) {
  IndexEntry entry{in.at("name"),    in.at("version"), in.at("licence"), in.at("summary"),
                   in.at("machine"), in.at("file"),    in.at("sha256")};
  if (!is_plugin_name(entry.name) || !is_sha256(entry.sha256) || !is_place(entry.file))
    return fail(ErrorCode::kCorrupt,
                fmt::format("its entry '{}' has a wrong name, file or checksum", printable(entry.name)));
  return entry;
}

Result<std::vector<IndexEntry>> parse_index(const std::string& text) try {
  const json document = parse_json(text);
  if (!document.is_object() || document.value("schema", "") != "image-engine/plugin-index/1")
    return fail(ErrorCode::kCorrupt, "it is no index of plugins");
  std::vector<IndexEntry> entries;
  for (const json& item : document.at("plugins")) {
    IE_TRY(IndexEntry entry, entry_of(item));
    entries.push_back(std::move(entry));
  }
  return entries;
} catch (const json::exception& error) {
  return fail(ErrorCode::kCorrupt, std::string("it is no index of plugins: ") + error.what());
}

}  // namespace

Result<std::vector<IndexEntry>> read_index(const IndexOptions& options) {
  if (options.place.empty() || options.key.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        "no index of plugins is configured: set plugins.index and plugins.index_key, or give --index and --key");
  IE_TRY(const std::string text, read_place(options.place, kMostIndex, options.stop));
  IE_TRY(const std::string signature, read_place(options.place + ".minisig", kMostSignature, options.stop));
  const auto named = [&](const Error& error) {
    return fail(error.code, printable(options.place) + ": " + error.message);
  };
  if (const Status right = check_signature(std::as_bytes(std::span(text)), signature, options.key); !right)
    return named(right.error());
  Result<std::vector<IndexEntry>> entries = parse_index(text);
  if (!entries) return named(entries.error());
  return entries;
}

Status fetch_plugin(const IndexOptions& options, const IndexEntry& entry, const std::string& path) {
  std::string place = entry.file;
  if (!is_address(place)) place = options.place.substr(0, options.place.rfind('/') + 1) + place;
  if (is_address(place)) {
    IE_CHECK(fetch(place, path, kMostPlugin, options.stop));
  } else {
    IE_TRY(const std::string bytes, read_named(place, kMostPlugin));
    IE_CHECK(write_file_atomically(path, bytes, 0600));
  }
  IE_TRY(const std::string sha256, models::sha256_of(path));
  if (sha256 == entry.sha256) return {};
  return fail(ErrorCode::kCorrupt,
              printable(place) + ": its checksum is not the index's: it was changed, or is not whole");
}

std::vector<IndexEntry> matching(const std::vector<IndexEntry>& entries, const std::string& words) {
  const std::string wanted = ascii_lower(words), here = machine();
  std::vector<IndexEntry> found;
  std::ranges::copy_if(entries, std::back_inserter(found), [&](const IndexEntry& entry) {
    return entry.machine == here && ascii_lower(entry.name + " " + entry.summary).find(wanted) != std::string::npos;
  });
  return found;
}

}  // namespace image_engine::plugins
