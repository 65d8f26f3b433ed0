// What a person says of their pictures: rate, tag, title.
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/text.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kKept[] = R"(
It is kept in the catalogue for the picture itself: for all its copies, moved or renamed, and through every analysis.
Nothing is written to the pictures.)";
constexpr char kRateExamples[] = R"(
Examples:
  image-engine rate IMG_0042.jpg 4
  image-engine rate *.jpg 0
  image-engine rate IMG_0042.jpg none                  (the file's own rating counts again)
  image-engine search 'rating:4'
)";
constexpr char kTagExamples[] = R"(
Examples:
  image-engine tag IMG_0042.jpg --add Oma --add 'our garden'
  image-engine tag *.jpg --remove Oma
  image-engine search 'tag:oma'
)";
constexpr char kTitleExamples[] = R"(
Examples:
  image-engine title IMG_0042.jpg 'Oma in the garden'
  image-engine title IMG_0042.jpg ''                   (takes it away)
  image-engine search 'title:garden'
)";

// One line of text as it is kept, without blanks at its ends. kInvalidArgument for too long or unprintable text.
Result<std::string> line_of(const std::string& what, const std::string& given) {
  constexpr std::size_t kMost = 1000;  // bytes
  const std::size_t from = std::min(given.find_first_not_of(' '), given.size());
  std::string line = given.substr(from, given.find_last_not_of(' ') + 1 - from);
  if (line.size() > kMost || !is_utf8(line) || printable(line) != line)
    return fail(ErrorCode::kInvalidArgument, fmt::format("a {} is one line of text, at most {} bytes", what, kMost));
  return line;
}

struct Picture {
  std::string path;
  store::AssetId asset = 0;
};

// All or, where one of them is not in the catalogue, none.
Result<std::vector<Picture>> pictures_of(const Context& context, const std::vector<std::string>& files) {
  IE_TRY(const store::CatalogueReader reader, open_reader(context));
  std::vector<Picture> pictures;
  for (const std::string& file : files) {
    Picture& picture = pictures.emplace_back(Picture{absolute_path(file)});
    const Result<store::AssetId> asset = reader.find_asset_by_path(picture.path);
    if (!asset && asset.error().code == ErrorCode::kNotFound)
      return fail(ErrorCode::kNotFound, printable(file) + " is not in the catalogue: image-engine analyze adds it");
    IE_TRY(picture.asset, asset);
  }
  return pictures;
}

// Changes all pictures in one transaction.
Status change(const Context& context, const std::string& command, bool wait, const std::vector<Picture>& pictures,
              const std::function<Status(store::CatalogueWriter&, const Picture&)>& one) {
  IE_CHECK(catch_interrupts());
  IE_TRY(store::WriterLock lock, lock_catalogue(context, command, wait));
  IE_TRY(store::CatalogueWriter writer, store::CatalogueWriter::open(context.catalogue, std::move(lock)));
  IE_CHECK(writer.begin());
  for (const Picture& picture : pictures) IE_CHECK(one(writer, picture));
  return writer.commit();
}

int report(const Context& context, const std::string& command, const std::vector<Picture>& pictures,
           nlohmann::json said, const std::string& text) {
  if (context.json) {
    for (const Picture& picture : pictures) {
      nlohmann::json file = nlohmann::json::object();
      store::put_path(file, picture.path);
      said["files"].push_back(std::move(file));
    }
    print_json(command, said);
  } else if (!context.quiet) {
    print_line(fmt::format("{}: {}", human_count(pictures.size(), "file"), printable(text)));
  }
  return kDone;
}

struct RateFlags {
  std::vector<std::string> files;  // the last is the rating
  bool wait = false;
};

// nullopt: none.
Result<std::optional<int>> rating_of(const std::string& text) {
  if (text == "none") return std::optional<int>();
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '5') return std::optional<int>(text[0] - '0');
  return fail(ErrorCode::kInvalidArgument,
              printable(text) + " is no rating: write one of 0 to 5, or none, after the files");
}

Result<int> rate(const Context& context, const RateFlags& flags) {
  std::vector<std::string> files = flags.files;
  IE_TRY(const std::optional<int> rating, rating_of(files.back()));
  files.pop_back();
  if (files.empty()) return fail(ErrorCode::kInvalidArgument, "rate needs a FILE before the rating");
  IE_TRY(const std::vector<Picture> pictures, pictures_of(context, files));
  IE_CHECK(change(context, "rate", flags.wait, pictures, [&](store::CatalogueWriter& writer, const Picture& picture) {
    return writer.set_user_rating(picture.asset, rating);
  }));
  return report(context, "rate", pictures, {{"rating", rating ? nlohmann::json(*rating) : nlohmann::json()}},
                rating ? fmt::format("rated {}", *rating) : "not rated by you");
}

struct TagFlags {
  std::vector<std::string> files, add, remove;
  bool wait = false;
};

Result<std::vector<std::string>> labels_of(const std::vector<std::string>& given) {
  std::vector<std::string> labels;
  for (const std::string& text : given) {
    IE_TRY(labels.emplace_back(), line_of("tag", text));
    if (labels.back().empty()) return fail(ErrorCode::kInvalidArgument, "a tag needs a name");
  }
  return labels;
}

Result<int> tag(const Context& context, const TagFlags& flags) {
  IE_TRY(const std::vector<std::string> added, labels_of(flags.add));
  IE_TRY(const std::vector<std::string> removed, labels_of(flags.remove));
  if (added.empty() && removed.empty())
    return fail(ErrorCode::kInvalidArgument, "tag needs --add NAME or --remove NAME");
  IE_TRY(const std::vector<Picture> pictures, pictures_of(context, flags.files));
  const auto change_one = [&](store::CatalogueWriter& writer, const Picture& picture) -> Status {
    for (const std::string& label : removed) {
      const Status gone = writer.remove_label(picture.asset, label);
      if (!gone) return fail(gone.error().code, printable(picture.path) + ": " + gone.error().message);
    }
    for (const std::string& label : added) IE_CHECK(writer.add_label(picture.asset, label));
    return {};
  };
  IE_CHECK(change(context, "tag", flags.wait, pictures, change_one));
  std::string text;
  for (const std::string& label : added) text += (text.empty() ? "" : ", ") + ("tagged " + label);
  for (const std::string& label : removed) text += (text.empty() ? "" : ", ") + ("no longer tagged " + label);
  return report(context, "tag", pictures, {{"added", added}, {"removed", removed}}, text);
}

struct TitleFlags {
  std::string file, title;
  bool wait = false;
};

Result<int> title(const Context& context, const TitleFlags& flags) {
  IE_TRY(const std::string line, line_of("title", flags.title));
  IE_TRY(const std::vector<Picture> pictures, pictures_of(context, {flags.file}));
  IE_CHECK(change(context, "title", flags.wait, pictures, [&](store::CatalogueWriter& writer, const Picture& picture) {
    return writer.set_user_title(picture.asset, line);
  }));
  return report(context, "title", pictures, {{"title", line}}, line.empty() ? "no title by you" : "called " + line);
}

void add_wait(Arguments app, bool& wait) { app.add_flag("--wait", wait, "Wait while another command is writing"); }

}  // namespace

Action setup_rate(Arguments app, Settings&) {
  auto flags = std::make_shared<RateFlags>();
  app.add_option("FILE", flags->files, "Analyzed files, then the rating: 0 to 5, or none").required();
  add_wait(app, flags->wait);
  app.footer(std::string(kRateExamples) + kKept);
  return [flags](Context& context) { return rate(context, *flags); };
}

Action setup_tag(Arguments app, Settings&) {
  auto flags = std::make_shared<TagFlags>();
  app.add_option("FILE", flags->files, "Analyzed files").required();
  app.add_option("--add", flags->add, "A tag to give them; may be repeated").type_name("NAME").one_value_each();
  app.add_option("--remove", flags->remove, "A tag of yours to take away").type_name("NAME").one_value_each();
  add_wait(app, flags->wait);
  app.footer(std::string(kTagExamples) + kKept);
  return [flags](Context& context) { return tag(context, *flags); };
}

Action setup_title(Arguments app, Settings&) {
  auto flags = std::make_shared<TitleFlags>();
  app.add_option("FILE", flags->file, "An analyzed file").required();
  app.add_option("TEXT", flags->title, "Its title; empty to take it away").required().may_be_empty();
  add_wait(app, flags->wait);
  app.footer(std::string(kTitleExamples) + kKept);
  return [flags](Context& context) { return title(context, *flags); };
}

}  // namespace image_engine::cli
