#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/text.h"
#include "pipeline/thumbnails.h"
#include "search/vectors.h"
#include "store/maintenance.h"

namespace image_engine::cli {
namespace {

constexpr char kCatalogExamples[] = R"(
Examples:
  image-engine catalog check
  image-engine catalog backup ~/catalog-2026.db
  image-engine catalog relocate /mnt/old/Pictures /mnt/new/Pictures --dry-run
  image-engine catalog prune --dry-run

None of these touches a photo.)";

struct CatalogFlags {
  std::string target, from, to, root;
  bool overwrite = false, dry_run = false, user_data = false;
};

std::string count(std::int64_t value, std::string_view one) {
  return human_count(static_cast<std::uint64_t>(value), one);
}

// The files of vectors beside the catalogue. A missing one is no problem.
void check_vectors(const Context& context, std::vector<std::string>& problems) {
  const auto reader = store::CatalogueReader::open(context.catalogue);
  const auto status = reader ? reader->status() : Result<store::CatalogueStatus>(fail(reader.error()));
  if (!status) return;
  for (const store::Space& space : status->spaces)
    if (const Status sound = search::VectorIndex::check(context.catalogue, space);
        !sound && sound.error().code == ErrorCode::kCorrupt)
      problems.push_back(to_utf8(store::vectors_path(context.catalogue, space.id)) + ": " + sound.error().message +
                         " (the next search rebuilds it)");
}

Result<int> check(const Context& context) {
  IE_TRY(store::CheckReport report, store::check(context.catalogue));
  check_vectors(context, report.problems);
  if (context.json) {
    print_json("catalog-check", {{"problems", report.problems},
                                 {"assets", report.assets},
                                 {"files", report.files},
                                 {"records", report.records}});
  } else {
    for (const std::string& problem : report.problems) print_line(styled(context, Style::kRed, problem));
    print_line(fmt::format(
        "{}, {}, {}: {}", count(report.assets, "asset"), count(report.files, "file"), count(report.records, "record"),
        report.problems.empty() ? "no problems found" : human_count(report.problems.size(), "problem")));
  }
  return report.problems.empty() ? kDone : kFailed;
}

Result<int> backup(const Context& context, const CatalogFlags& flags) {
  const std::string target = absolute_path(flags.target);
  IE_CHECK(store::backup(context.catalogue, target, flags.overwrite));
  if (context.json)
    print_json("catalog-backup", {{"path", to_utf8(target)}});
  else if (!context.quiet)
    print_line("Copied to " + printable(target));
  return kDone;
}

Result<int> relocate(const Context& context, const CatalogFlags& flags) {
  IE_TRY(const store::WriterLock lock, lock_catalogue(context, "catalog relocate", false));
  IE_TRY(const store::RelocateReport report,
         store::relocate(context.catalogue, lock, absolute_path(flags.from), absolute_path(flags.to), flags.dry_run));
  if (context.json)
    print_json("catalog-relocate",
               {{"files", report.files}, {"failures", report.failures}, {"dry_run", flags.dry_run}});
  else if (!context.quiet)
    print_line(
        fmt::format("{} {}", count(report.files, "file"), flags.dry_run ? "would get a new path" : "got a new path"));
  return kDone;
}

Result<int> prune(const Context& context, const CatalogFlags& flags) {
  IE_TRY(const store::WriterLock lock, lock_catalogue(context, "catalog prune", false));
  store::PruneOptions options;
  options.root = flags.root.empty() ? "" : absolute_path(flags.root);
  options.user_data = flags.user_data;
  options.dry_run = flags.dry_run;
  IE_TRY(const store::PruneReport report, store::prune(context.catalogue, lock, options));
  if (!flags.dry_run) pipeline::ThumbnailCache().forget(report.pictures);
  if (context.json)
    print_json("catalog-prune", {{"files", report.files},
                                 {"assets", report.assets},
                                 {"records", report.records},
                                 {"failures", report.failures},
                                 {"user_data", report.user_data},
                                 {"freed_bytes", report.freed_bytes},
                                 {"dry_run", flags.dry_run}});
  else if (!context.quiet)
    print_line(fmt::format(
        "{}: {}, {}, {}, {}{}", flags.dry_run ? "Would forget" : "Forgot",
        count(report.files, "missing or excluded file"), count(report.assets, "asset"), count(report.records, "record"),
        count(report.failures, "failure"),
        report.freed_bytes > 0 ? "; freed " + human_bytes(static_cast<std::uint64_t>(report.freed_bytes)) : ""));
  return kDone;
}

}  // namespace

Action setup_catalog(Arguments app, Settings&) {
  auto flags = std::make_shared<CatalogFlags>();
  app.require_subcommand();
  app.footer(kCatalogExamples);
  Arguments check_app = app.add_subcommand("check", "Check for damage; changes nothing");
  Arguments backup_app = app.add_subcommand("backup", "Copy it, even while an analyze is running");
  backup_app.add_option("FILE", flags->target, "The copy").required();
  backup_app.add_flag("--overwrite", flags->overwrite, "Replace FILE");
  Arguments relocate_app = app.add_subcommand("relocate", "Update the paths of photos that were moved together");
  relocate_app.add_option("OLD", flags->from, "The folder they were in").required();
  relocate_app.add_option("NEW", flags->to, "The folder they are in now").required();
  relocate_app.add_flag("--dry-run", flags->dry_run, "Only count");
  Arguments prune_app =
      app.add_subcommand("prune", "Delete missing and excluded files from the catalogue, with their results");
  prune_app.add_option("--root", flags->root, "Only below this folder").type_name("FOLDER");
  prune_app.add_flag("--user-data", flags->user_data, "Also delete your labels and ratings of them");
  prune_app.add_flag("--dry-run", flags->dry_run, "Only count");
  return [=](Context& context) -> Result<int> {
    // Makes the message for a missing catalogue the same everywhere.
    if (Result<store::CatalogueReader> reader = open_reader(context);
        !reader && reader.error().code == ErrorCode::kNotFound)
      return fail(reader.error());
    if (check_app.parsed()) return check(context);
    if (backup_app.parsed()) return backup(context, *flags);
    if (relocate_app.parsed()) return relocate(context, *flags);
    return prune(context, *flags);
  };
}

}  // namespace image_engine::cli
