#include "models/spec_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "core/text.h"
#include "models/sound_check.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

constexpr std::uint32_t kMostFrames = 256, kMostStrideFrames = 1000;
constexpr double kLeastStride = 0.01, kMostStride = 60;  // seconds

tl::unexpected<Error> wrong(std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); }

Status check_names(const Spec& spec) {
  // A fetched file may also be an output of the conversion: it is then passed through, as vocabularies are.
  for (const std::vector<FileSpec>* list : {&spec.files, &spec.conversion.outputs}) {
    std::set<std::string_view> names;
    for (const FileSpec& file : *list)
      if (!names.insert(file.name).second) return wrong(fmt::format("has two files {}", printable(file.name)));
  }
  std::vector<const std::vector<Variant>*> lists{&spec.variants, &spec.text.variants};
  for (const auto& [name, part] : spec.parts) lists.push_back(&part.variants);
  for (const std::vector<Variant>* list : lists) {
    std::set<std::string_view> precisions;
    for (const Variant& variant : *list)
      if (!precisions.insert(variant.precision).second)
        return wrong(fmt::format("has two variants {}", printable(variant.precision)));
  }
  return {};
}

// A server's model installs nothing.
Status check_served(const Spec& spec) {
  if (spec.server != "nvidia")
    return wrong(fmt::format("has the server {}, which can be nvidia", printable(spec.server)));
  if (spec.task != "embedding") return wrong("has a server, which only models for embedding have");
  if (!spec.files.empty() || !spec.variants.empty() || !spec.parts.empty() || !spec.engine.empty())
    return wrong("has a server, and files too");
  return spec.version.empty() ? wrong("lacks `version`") : Status{};
}

// A model whose file the user brings says all but that. Of several files the parts have the names.
Status check_awaited(const Spec& spec) {
  const bool has_variants = !spec.variants.empty() && spec.parts.empty();
  if (!spec.files.empty() || has_variants || !spec.conversion.tool.empty()) return wrong("has `awaits`, and files too");
  if (!is_file_name(spec.awaits.file) || spec.awaits.from.empty())
    return wrong("needs in `awaits` the name of the file, and where it is from");
  const std::pair<std::string_view, bool> needed[] = {{"task", !spec.task.empty()},
                                                      {"licence.name", !spec.licence.name.empty()}};
  for (const auto& [key, is_there] : needed)
    if (!is_there) return wrong(fmt::format("lacks `{}`", key));
  return {};
}

// A model that sees several frames of a video at once; no other task has them.
Status check_frames(const Spec& spec) {
  constexpr std::string_view kLayouts[] = {"ncthw", "ntchw", "nthwc"}, kHeads[] = {"softmax", "sigmoid"};
  const InputSpec& input = spec.input;
  const bool has_strides = input.stride_seconds != 0 || input.stride_frames != 0;
  if (spec.task != "actions") {
    if (input.frames == 0 && !has_strides) return {};
    return wrong("has `input.frames` or a stride, which only models for actions have");
  }
  if (input.frames < 2 || input.frames > kMostFrames)
    return wrong(
        fmt::format("has {} `input.frames`; a model for actions sees 2…{} at once", input.frames, kMostFrames));
  if ((input.stride_seconds > 0) == (input.stride_frames > 0))
    return wrong("needs either `input.stride_seconds` or `input.stride_frames`: from one frame to the next");
  if (input.stride_seconds != 0 && !(input.stride_seconds >= kLeastStride && input.stride_seconds <= kMostStride))
    return wrong(fmt::format("has the stride {} s, not {}…{} s", input.stride_seconds, kLeastStride, kMostStride));
  if (input.stride_frames > kMostStrideFrames)
    return wrong(fmt::format("has the stride {} frames; at most {}", input.stride_frames, kMostStrideFrames));
  if (std::ranges::find(kLayouts, input.layout) == std::end(kLayouts))
    return wrong(fmt::format("has the layout {}; a model for actions has ncthw, ntchw or nthwc (t: frames)",
                             printable(input.layout)));
  if (std::ranges::find(kHeads, spec.head) == std::end(kHeads))
    return wrong(fmt::format("has the head \"{}\"; a model for actions has softmax or sigmoid", printable(spec.head)));
  return spec.labels.empty() ? wrong("lacks `labels`: the names of the actions") : Status{};
}

// Packages have checksums of their own, and the whole is checked; what other servers send is checked before it is kept.
Status check_parts(const FileSpec& file) {
  for (const FileSpec& part : file.parts) {
    const auto needs_sum = [](const Source& source) {
      return source.kind == SourceKind::kHttps || source.kind == SourceKind::kNgc;
    };
    if (part.sha256.empty() && std::ranges::any_of(part.sources, needs_sum))
      return wrong(fmt::format("lacks the sha256 of part {} of {}; https: and ngc: sources need it",
                               &part - file.parts.data() + 1, printable(file.name)));
  }
  return {};
}

Status check_complete(const Spec& spec) {
  if (!spec.server.empty()) return check_served(spec);
  if (!spec.awaits.file.empty() || !spec.awaits.from.empty()) return check_awaited(spec);
  const std::pair<std::string_view, bool> needed[] = {{"task", !spec.task.empty()},
                                                      {"version", !spec.version.empty()},
                                                      {"licence.name", !spec.licence.name.empty()},
                                                      {"files", !spec.files.empty()},
                                                      {"variants`, `file` or `parts", !spec.variants.empty()}};
  for (const auto& [key, is_there] : needed)
    if (!is_there) return wrong(fmt::format("lacks `{}`", key));
  IE_CHECK(check_frames(spec));
  for (const FileSpec& file : spec.files) {
    const std::vector<Source> sources = all_sources(file);
    if (sources.empty()) return wrong(fmt::format("has no source for {}", printable(file.name)));
    const bool known_elsewhere = std::ranges::all_of(sources, [](const Source& source) {
      return source.kind == SourceKind::kHuggingFace || source.kind == SourceKind::kFile;
    });
    if (file.sha256.empty() && !known_elsewhere)
      return wrong(fmt::format("lacks the sha256 of {}; only hf: and file: sources do without", printable(file.name)));
    IE_CHECK(check_parts(file));
  }
  const auto check_installed = [&](std::string_view what, const std::string& name) -> Status {
    const std::vector<FileSpec>& installed = installed_files(spec);
    if (name.empty() || std::ranges::find(installed, name, &FileSpec::name) != installed.end()) return {};
    return wrong(fmt::format("has {} {}, which is none of its {}", what, printable(name),
                             spec.conversion.tool.empty() ? "files" : "conversion's outputs"));
  };
  for (const Variant& variant : spec.variants) IE_CHECK(check_installed("a variant of", variant.file));
  for (const Variant& variant : spec.text.variants) IE_CHECK(check_installed("a text variant of", variant.file));
  for (const auto& [name, part] : spec.parts)
    for (const Variant& variant : part.variants) IE_CHECK(check_installed("a part's variant of", variant.file));
  return check_installed("the vocabulary", spec.text.vocabulary);
}

}  // namespace

Status check_spec(const Spec& spec, bool complete) {
  IE_CHECK(check_names(spec));
  if (complete || !spec.task.empty()) IE_CHECK(check_sound_input(spec));
  return complete ? check_complete(spec) : Status{};
}

}  // namespace image_engine::models
