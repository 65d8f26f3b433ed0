#include "search/duplicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/app.h"
#include "cli/output.h"
#include "core/json.h"
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
  image-engine duplicates --kind exact --print0 | xargs -0 ls -l      (copies of the best, byte for byte)

exact: files with the same coded picture or sound (their metadata may differ; --verify compares every byte).
video: the same recording, re-encoded, resized or trimmed; sound is not compared, and keeps a file from being removable.
near: pictures that look the same. burst: similar photos of one camera, shot in sequence.
subject: perhaps the same subject before other backgrounds, in photos that analyze --segment has seen. All are to be kept.
Links, mounts and other spellings of a file count as one file. Hard links are shown, and count no bytes.
Nothing is ever deleted or changed.)";

struct DuplicatesFlags {
  std::vector<std::string> kinds;
  int distance = 6;
  bool verify = false, print0 = false;
};

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

// A file's relation to the best one's: the effect of deleting it.
std::string_view sameness_name(const search::DuplicateFile& file, const search::DuplicateFile& best) {
  if (&file == &best) return "best";
  switch (file.sameness) {
    case Sameness::kDistinct:
      return file.hard_link ? "hard-link" : "distinct";
    case Sameness::kHardLink:
      return "hard-link";
    case Sameness::kSame:
      return "same";
    case Sameness::kUnknown:
      break;
  }
  return "unknown";
}

void put_video(nlohmann::json& item, const search::DuplicateFile& file) {
  item["seconds"] = thousandths(file.seconds);
  if (file.part) item["part"] = {{"from", thousandths(file.part->first)}, {"to", thousandths(file.part->second)}};
  item["silent"] = file.silent;
}

nlohmann::json group_json(const search::DuplicateGroup& group, bool verify) {
  nlohmann::json out = {
      {"kind", search::duplicate_kind_name(group.kind)}, {"why", group.reasons}, {"files", nlohmann::json::array()}};
  out["best"] = to_utf8(group.files.front().path);
  for (const search::DuplicateFile& file : group.files) {
    nlohmann::json item = nlohmann::json::object();
    store::put_path(item, file.path);
    item["bytes"] = file.bytes;
    item["width"] = file.width;
    item["height"] = file.height;
    if (group.kind == search::DuplicateKind::kVideo)
      put_video(item, file);
    else
      item["distance"] = file.distance;
    item["has"] = file.advantages;
    if (!file.pair.empty()) item["pair"] = to_utf8(file.pair);
    if (file.same_bytes) item["same_bytes"] = *file.same_bytes;
    item["file"] = sameness_name(file, group.files.front());
    if (verify) item["removable"] = file.removable;
    out["files"].push_back(std::move(item));
  }
  return out;
}

std::string video_facts(const search::DuplicateFile& file) {
  std::string facts = ", " + clock_text(std::round(file.seconds * 10) / 10);
  if (file.part)
    facts += fmt::format(", {}–{} of the best", clock_text(std::round(file.part->first * 10) / 10),
                         clock_text(std::round(file.part->second * 10) / 10));
  if (file.silent) facts += ", without sound";
  return facts;
}

void print_group(const Context& context, const search::DuplicateGroup& group, bool verify) {
  const bool verified = verify && group.kind == search::DuplicateKind::kExact;
  for (size_t i = 0; i < group.files.size(); ++i) {
    const search::DuplicateFile& file = group.files[i];
    std::string facts = human_bytes(static_cast<std::uint64_t>(file.bytes));
    if (file.width > 0) facts = fmt::format("{} × {}, {}", file.width, file.height, facts);
    if (group.kind == search::DuplicateKind::kVideo) facts += video_facts(file);
    if (!file.pair.empty()) facts += ", with " + printable(file_name(file.pair));
    if (file.same_bytes) facts += *file.same_bytes ? ", same bytes" : ", other bytes";
    if (verified && !file.same_bytes) facts += ", cannot be read";
    if (file.hard_link || file.sameness == Sameness::kHardLink)
      facts += ", hard link: takes no space";
    else if (i > 0 && file.sameness == Sameness::kUnknown)
      facts += ", perhaps the same file by another name";
    if (!file.advantages.empty()) facts += "; to be kept: " + joined(file.advantages);
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
    if (group.kind == search::DuplicateKind::kSubject) continue;  // other pictures
    for (const search::DuplicateFile& file : std::span(group.files).subspan(1)) {
      if (file.hard_link || file.sameness != Sameness::kDistinct) continue;
      ++files;
      bytes += static_cast<std::uint64_t>(file.bytes);
    }
  }
  if (!context.quiet)
    print_line(fmt::format("{}; {} ({}) beside the best of each", human_count(groups.size(), "group"),
                           human_count(files, "file"), human_bytes(bytes)));
}

}  // namespace

Action setup_duplicates(Arguments app, Settings&) {
  auto flags = std::make_shared<DuplicatesFlags>();
  app.add_option("--kind", flags->kinds, "exact, near, burst, video or subject (may be repeated; all without it)")
      .one_of({"exact", "near", "burst", "video", "subject"})
      .one_value_each();
  app.add_option("--distance", flags->distance, "Bits of 64 by which near pictures may differ")
      .range(0, 16)
      .show_default();
  app.add_flag("--verify", flags->verify, "Compare the bytes of exact groups");
  app.add_flag(
      "--print0", flags->print0,
      "Only the paths of removable files, each ended by NUL: copies with the same bytes; with --kind near or video "
      "also those that have nothing that a better one lacks");
  app.footer(kDuplicatesExamples);
  return [flags](Context& context) -> Result<int> {
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    search::DuplicateOptions options;
    options.hash_stage = pipeline::hash_key();
    options.fingerprint_stage = pipeline::fingerprint_key();
    options.quality_stage = pipeline::quality_key();
    options.thumbnail_stage = pipeline::thumbnail_key(context.config);
    options.max_distance = flags->distance;
    options.verify = flags->verify || flags->print0;
    if (flags->print0 && flags->kinds.empty()) flags->kinds = {"exact"};
    for (const search::DuplicateKind kind : search::kDuplicateKinds)
      if (std::ranges::find(flags->kinds, search::duplicate_kind_name(kind)) != flags->kinds.end())
        options.kinds.push_back(kind);
    options.threads = static_cast<int>(context.config.worker_count());
    IE_TRY(const std::vector<search::DuplicateGroup> groups, search::find_duplicates(reader, options));
    if (context.json) {
      nlohmann::json list = nlohmann::json::array();
      for (const search::DuplicateGroup& group : groups) list.push_back(group_json(group, flags->verify));
      print_json("duplicates", {{"groups", std::move(list)}});
    } else if (flags->print0) {
      for (const search::DuplicateGroup& group : groups)
        for (const search::DuplicateFile& file : group.files)
          if (file.removable) print_path0(file.path);
    } else {
      print_groups(context, groups, flags->verify);
    }
    return kDone;
  };
}

}  // namespace image_engine::cli
