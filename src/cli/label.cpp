#include "pipeline/labels.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/text.h"
#include "models/install_paths.h"

namespace image_engine::cli {
namespace {

constexpr char kLabelExamples[] = R"(
Examples:
  image-engine label 'our garden' --add g1.jpg g2.jpg g3.jpg --not park.jpg
  image-engine search 'tag:"our garden"'
  image-engine label 'my dog' --object dog --add rex1.jpg rex2.jpg --not neighbours-dog.jpg
  image-engine label 'our garden' --not wrong.jpg       (adds a counterexample: examples accumulate)
  image-engine label list
  image-engine label remove 'our garden'

A label learns from the vectors of its examples and is assigned to every similar picture, also to pictures that are
analyzed later. Nothing is written to the pictures.)";

struct LabelFlags {
  std::string name, removed;
  std::vector<std::string> add, reject, forget;
  std::string object;
  bool objects = false, wait = false;
};

nlohmann::json label_json(const store::LearnedLabel& label) {
  nlohmann::json out = {{"label", to_utf8(label.name)}, {"positive", label.positive}, {"negative", label.negative},
                        {"found", label.found},         {"trained", label.trained},   {"object", nullptr}};
  if (!label.object.empty()) out["object"] = label.object;
  return out;
}

std::string label_text(const store::LearnedLabel& label) {
  return fmt::format("{}; {}{}{}", human_count(static_cast<std::uint64_t>(label.found), "picture"),
                     human_count(static_cast<std::uint64_t>(label.positive), "example"),
                     label.negative > 0 ? fmt::format(", {} that are not", label.negative) : "",
                     label.object.empty() ? "" : fmt::format("; applies to each {}", label.object));
}

std::vector<std::string> absolute(const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(absolute_path(file));
  return paths;
}

Result<int> teach(const LabelFlags& flags, const Context& context) {
  if (flags.name.empty())
    return fail(ErrorCode::kInvalidArgument, "label needs a NAME, or one of: label list, label remove NAME");
  IE_CHECK(catch_interrupts());
  pipeline::LabelRequest request;
  request.catalogue = context.catalogue;
  request.name = flags.name;
  request.add = absolute(flags.add);
  request.reject = absolute(flags.reject);
  request.forget = absolute(flags.forget);
  if (flags.objects) request.object = flags.object.empty() ? "auto" : flags.object;
  request.config = context.config;
  request.models = models::find_install_paths(context.config.models.folder);
  request.progress = !context.quiet;
  request.stop = interruption();
  IE_CHECK(open_reader(context));  // without a catalogue, its error explains how to create one
  IE_TRY(store::WriterLock lock, lock_catalogue(context, "label", flags.wait));
  IE_TRY(const pipeline::LabelReport report, pipeline::teach_label(request, std::move(lock)));
  if (context.json) {
    nlohmann::json out = label_json(report.label);
    out["notes"] = report.notes;
    out["train_seconds"] = report.train_seconds;
    out["apply_seconds"] = report.apply_seconds;
    print_json("label", out);
    return kDone;
  }
  for (const std::string& note : report.notes) print_line(styled(context, Style::kYellow, note));
  if (!context.quiet)
    print_line(fmt::format("{}: {} (trained in {}, applied in {})", printable(report.label.name),
                           label_text(report.label), human_duration(report.train_seconds),
                           human_duration(report.apply_seconds)));
  return kDone;
}

Result<int> list(const Context& context) {
  IE_TRY(const store::CatalogueReader reader, open_reader(context));
  IE_TRY(const std::vector<store::LearnedLabel> labels, reader.learned_labels());
  if (context.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const store::LearnedLabel& label : labels) all.push_back(label_json(label));
    print_json("label-list", {{"labels", all}});
    return kDone;
  }
  for (const store::LearnedLabel& label : labels)
    print_line(fmt::format("{}  {}", printable(label.name), styled(context, Style::kDim, label_text(label))));
  if (labels.empty() && !context.quiet) print_line("there is no label yet: image-engine label NAME --add FILE…");
  return kDone;
}

Result<int> remove(const LabelFlags& flags, const Context& context) {
  IE_CHECK(open_reader(context));
  IE_TRY(store::WriterLock lock, lock_catalogue(context, "label", flags.wait));
  IE_TRY(store::CatalogueWriter writer, store::CatalogueWriter::open(context.catalogue, std::move(lock)));
  IE_CHECK(writer.remove_learned_label(flags.removed));
  if (context.json)
    print_json("label-remove", {{"label", to_utf8(flags.removed)}});
  else if (!context.quiet)
    print_line(fmt::format("{} is forgotten, with its examples", printable(flags.removed)));
  return kDone;
}

}  // namespace

Action setup_label(Arguments app, Settings&) {
  auto flags = std::make_shared<LabelFlags>();
  app.add_option("NAME", flags->name, "Its name, searched for by tag:");
  app.add_option("--add", flags->add, "Catalogued pictures that show it").type_name("FILE");
  app.add_option("--not", flags->reject, "Catalogued pictures that do not").type_name("FILE");
  app.add_option("--forget", flags->forget, "Pictures to remove from the examples").type_name("FILE");
  const Option object = app.add_option("--object", flags->object,
                                       "Classify each object of this class that a detector found; without "
                                       "CLASS, the one that most examples show")
                            .type_name("CLASS")
                            .optional_value();
  app.add_flag("--wait", flags->wait, "Wait while another command is writing");
  app.footer(kLabelExamples);
  Arguments list_command = app.add_subcommand("list", "All labels, with what was found");
  Arguments remove_command = app.add_subcommand("remove", "Forget a label and its examples");
  remove_command.add_option("NAME", flags->removed, "The label").required();
  return [=](Context& context) -> Result<int> {
    flags->objects = object.given();
    if (list_command.parsed()) return list(context);
    if (remove_command.parsed()) return remove(*flags, context);
    return teach(*flags, context);
  };
}

}  // namespace image_engine::cli
