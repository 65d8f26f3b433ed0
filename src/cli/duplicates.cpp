#include "search/duplicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "core/text.h"
#include "pipeline/stages.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kDuplicatesExamples[] = R"(
Examples:
  image-engine duplicates
  image-engine duplicates --kind exact --verify
  image-engine duplicates --json | jq '.groups[0]'
  image-engine duplicates --kind exact --verify --print0 | xargs -0 ls -l      (copies of the best, byte for byte)

exact: files with the same coded picture (their metadata may differ; --verify compares every byte).
near: pictures that look the same. burst: shot one after the other by one camera, and alike.
Nothing is ever deleted or changed.)";

struct DuplicatesFlags {
  std::vector<std::string> kinds;
  int distance = 6;
  bool verify = false, print0 = false;
};

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

nlohmann::json group_json(const search::DuplicateGroup& group) {
  nlohmann::json out = {
      {"kind", search::duplicate_kind_name(group.kind)}, {"why", group.reasons}, {"files", nlohmann::json::array()}};
  out["best"] = to_utf8(group.files.front().path);
  for (const search::DuplicateFile& file : group.files) {
    nlohmann::json item = nlohmann::json::object();
    store::put_path(item, file.path);
    item["bytes"] = file.bytes;
    item["width"] = file.width;
    item["height"] = file.height;
    item["distance"] = file.distance;
    if (file.same_bytes) item["same_bytes"] = *file.same_bytes;
    out["files"].push_back(std::move(item));
  }
  return out;
}

void print_group(const Context& context, const search::DuplicateGroup& group, bool verify) {
  const bool verified = verify && group.kind == search::DuplicateKind::kExact;
  for (size_t i = 0; i < group.files.size(); ++i) {
    const search::DuplicateFile& file = group.files[i];
    std::string facts =
        fmt::format("{} × {}, {}", file.width, file.height, human_bytes(static_cast<std::uint64_t>(file.bytes)));
    if (file.same_bytes) facts += *file.same_bytes ? ", same bytes" : ", other bytes";
    if (verified && !file.same_bytes) facts += ", not to be read";
    const std::string mark = i == 0 ? styled(context, Style::kGreen, "best ") : "     ";
    print_line(fmt::format("  {}{}  {}", mark, printable(file.path), styled(context, Style::kDim, facts)));
  }
  print_line(styled(context, Style::kDim, "       " + joined(group.reasons)));
}

void print_groups(const Context& context, const std::vector<search::DuplicateGroup>& groups, bool verify) {
  std::uint64_t files = 0, bytes = 0;
  const search::DuplicateGroup* last = nullptr;
  for (const search::DuplicateGroup& group : groups) {
    if (last == nullptr || last->kind != group.kind)
      print_line(styled(context, Style::kBold, search::duplicate_kind_name(group.kind)));
    print_group(context, group, verify);
    last = &group;
    files += group.files.size() - 1;
    for (size_t i = 1; i < group.files.size(); ++i) bytes += static_cast<std::uint64_t>(group.files[i].bytes);
  }
  if (!context.quiet)
    print_line(fmt::format("{} groups; {} files ({}) beside the best of each", human_count(groups.size()),
                           human_count(files), human_bytes(bytes)));
}

}  // namespace

Action setup_duplicates(Arguments app, Settings&) {
  auto flags = std::make_shared<DuplicatesFlags>();
  app.add_option("--kind", flags->kinds, "exact, near or burst (may be repeated; all without it)")
      .one_of({"exact", "near", "burst"})
      .one_value_each();
  app.add_option("--distance", flags->distance, "Bits of 64 by which near pictures may differ")
      .range(0, 16)
      .show_default();
  app.add_flag("--verify", flags->verify, "Compare the bytes of exact groups");
  app.add_flag("--print0", flags->print0,
               "Only the paths of all but the best, each ended by NUL; with --verify, of exact groups those whose "
               "every byte is the best one's");
  app.footer(kDuplicatesExamples);
  return [flags](Context& context) -> Result<int> {
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    search::DuplicateOptions options;
    options.hash_stage = pipeline::hash_key();
    options.quality_stage = pipeline::quality_key();
    options.max_distance = flags->distance;
    options.verify = flags->verify;
    options.threads = static_cast<int>(context.config.worker_count());
    IE_TRY(std::vector<search::DuplicateGroup> groups, search::find_duplicates(reader, options));
    std::erase_if(groups, [&](const search::DuplicateGroup& group) {
      const auto name = search::duplicate_kind_name(group.kind);
      return !flags->kinds.empty() && std::find(flags->kinds.begin(), flags->kinds.end(), name) == flags->kinds.end();
    });
    if (context.json) {
      nlohmann::json list = nlohmann::json::array();
      for (const search::DuplicateGroup& group : groups) list.push_back(group_json(group));
      print_json("duplicates", {{"groups", std::move(list)}});
    } else if (flags->print0) {
      for (const search::DuplicateGroup& group : groups)
        for (size_t i = 1; i < group.files.size(); ++i)
          if (!flags->verify || group.files[i].same_bytes.value_or(group.kind != search::DuplicateKind::kExact))
            print_path0(group.files[i].path);
    } else {
      print_groups(context, groups, flags->verify);
    }
    return kDone;
  };
}

}  // namespace image_engine::cli
