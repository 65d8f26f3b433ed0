#include <gmodule.h>
#include <vips/vips.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/file.h"
#include "media/colour.h"
#include "media/colour_code.h"
#include "media/decoders.h"
#include "media/heif_items.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/text.h"
#include "media/tiff_structure.h"
#include "media/tone_map.h"

namespace image_engine::media {
namespace {

constexpr int kStrip = 64;  // rows asked for at a time
constexpr double kWhite = 255;

// Where a format stores its tags.
enum class TagsIn : std::uint8_t {
  kBlobs,      // the loader finds EXIF and XMP
  kItems,      // HEIF's items, found by find_tag_blocks()
  kStructure,  // likewise of other containers
};

struct Loader {
  std::string_view operation;  // as named in the formats' rows
  const char* type;            // its class, to be allowed
  TagsIn tags;
  bool turned;      // the library applies the container's own rotation: no other one counts
  bool pages_move;  // several pages are an animation
};
constexpr std::array kLoaders{
    Loader{"pngload_buffer", "VipsForeignLoadPng", TagsIn::kStructure, false, false},
    Loader{"webpload_buffer", "VipsForeignLoadWebp", TagsIn::kBlobs, false, true},
    Loader{"gifload_buffer", "VipsForeignLoadNsgif", TagsIn::kStructure, false, true},
    Loader{"tiffload_buffer", "VipsForeignLoadTiff", TagsIn::kStructure, false, false},
    Loader{"heifload_buffer", "VipsForeignLoadHeif", TagsIn::kItems, true, false},
    Loader{"jxlload_buffer", "VipsForeignLoadJxl", TagsIn::kStructure, true, true},
};

const Loader& loader_of(Bytes file) {
  const std::string_view operation = reader_of(detect_format(file)).name;
  return *std::find_if(kLoaders.begin(), kLoaders.end() - 1, [&](const Loader& l) { return l.operation == operation; });
}

bool is_tiff(const Loader& loader) { return loader.operation.starts_with("tiff"); }

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
using Picture = std::unique_ptr<VipsImage, Unref>;
using Region = std::unique_ptr<VipsRegion, Unref>;

// Some libraries, such as libpng, only warn about what then makes vips fail: vips' errors keep the warning with this
// prefix.
constexpr const char* kWarning = "warning";
constexpr std::string_view kWarningPrefix = "warning: ";

void keep_warning(const char*, GLogLevelFlags level, const char* message, void*) {
  if ((level & G_LOG_LEVEL_WARNING) != 0 && message != nullptr) vips_error(kWarning, "%s", message);
}

// The first error in vips' buffer, else the last warning.
std::string_view reason_in(std::string_view lines) {
  std::string_view warning;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.starts_with(kWarningPrefix))
      warning = line.substr(kWarningPrefix.size());
    else if (!line.empty())
      return line;
  }
  return warning.empty() ? "it is damaged" : warning;
}

// vips' error buffer is global: read and cleared, so that it never grows.
Error vips_failure(ErrorCode code) {
  const std::unique_ptr<char, decltype(&g_free)> all(vips_error_buffer_copy(), g_free);
  std::string_view reason = reason_in(all.get());
  if (reason.starts_with("source: bad seek")) reason = "it points beyond its own end: truncated or damaged";
  return {code, "the picture cannot be decoded: " + clean_text(reason.substr(0, 200))};
}

// Opens lazily: reads the header; pixels are read on demand. Streams top to bottom if the format can.
Result<Picture> open(const Loader& loader, Bytes file, VipsFailOn fail_on) {
  if (loader.tags == TagsIn::kItems && heif_contains_itself(file))
    return fail(ErrorCode::kCorrupt, "the picture cannot be decoded: it is made of tiles that contain it");
  const std::unique_ptr<VipsBlob, void (*)(VipsBlob*)> blob(
      vips_blob_new(nullptr, file.data(), file.size()),
      [](VipsBlob* b) { vips_area_unref(reinterpret_cast<VipsArea*>(b)); });
  vips_error_clear();  // of messages about another file
  VipsImage* out = nullptr;
  // Others show their first picture, HEIF its primary one.
  const int page = is_tiff(loader) ? shown_page(file) : 0;
  const char* const page_option = page > 0 ? "page" : nullptr;
  if (vips_call(loader.operation.data(), blob.get(), &out, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", fail_on,
                page_option, page, nullptr) != 0)
    return fail(vips_failure(ErrorCode::kCorrupt));
  return Picture(out);
}

Bytes blob_of(VipsImage* image, const char* name) {
  const void* data = nullptr;
  size_t size = 0;
  if (!vips_image_get_typeof(image, name) || vips_image_get_blob(image, name, &data, &size) != 0) return {};
  return {static_cast<const std::byte*>(data), size};
}

Bytes exif_of(VipsImage* image) {
  const auto exif = blob_of(image, VIPS_META_EXIF_NAME);
  return ByteView(exif).starts_with(std::string_view("Exif\0\0", 6)) ? exif.subspan(6) : exif;
}

int integer_of(VipsImage* image, const char* name, int otherwise) {
  int value = otherwise;
  if (vips_image_get_typeof(image, name) == 0 || vips_image_get_int(image, name, &value) != 0) return otherwise;
  return value;
}

// PNG's "Creation Time" in a text chunk before the pixels (W3C PNG, 11.3.3.1), as libvips names it; empty without one.
std::string creation_time(VipsImage* image) {
  const std::unique_ptr<char*, decltype(&g_strfreev)> names(vips_image_get_fields(image), g_strfreev);
  for (char** name = names.get(); name != nullptr && *name != nullptr; ++name) {
    const std::string_view field(*name);
    const char* text = nullptr;
    if (field.starts_with("png-comment-") && field.ends_with("-Creation Time") &&
        vips_image_get_string(image, *name, &text) == 0)
      return clean_text(text);
  }
  return {};
}

// As Blocks::orientation. A TIFF states it in the page that is shown.
std::uint32_t stated_orientation(const Loader& loader, VipsImage* image) {
  if (loader.turned) return Blocks::kTurned;
  const Bytes exif = exif_of(image);
  if (!exif.empty()) return tiff_orientation(exif);
  const int stated = is_tiff(loader) ? integer_of(image, VIPS_META_ORIENTATION, 0) : 0;
  return stated >= 1 && stated <= 8 ? static_cast<std::uint32_t>(stated) : 0;
}

// Replaces `image` by the result of an operation; false on failure.
template <typename Operation>
bool apply(Picture& image, Operation operation) {
  VipsImage* out = nullptr;
  if (operation(image.get(), &out) != 0) return false;
  image.reset(out);
  return true;
}

// Numbers without a standard range (float, 32-bit, signed): 0 to 1 if they fit that, else scaled to the next usual full
// scale. Needs the whole picture in memory once.
bool stretch(Picture& image) {
  double most = 0;
  if (!apply(image, [](VipsImage* in, VipsImage** out) { return (*out = vips_image_copy_memory(in)) ? 0 : -1; }) ||
      vips_max(image.get(), &most, nullptr) != 0)
    return false;
  const bool light = vips_band_format_isfloat(image->BandFmt) && most <= 2 && image->Bands >= 3;
  if (light) {
    return apply(image,
                 [](VipsImage* in, VipsImage** out) {
                   return vips_copy(in, out, "interpretation", VIPS_INTERPRETATION_scRGB, nullptr);
                 }) &&
           apply(image, [](VipsImage* in, VipsImage** out) {
             return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, nullptr);
           });
  }
  double scale = std::max(most, 1e-30);
  for (const double usual : {4294967295.0, 65535.0, 255.0, 1.0})
    if (most <= usual) scale = usual;
  return apply(image,
               [&](VipsImage* in, VipsImage** out) {
                 return vips_linear1(in, out, kWhite / scale, 0.5, "uchar", TRUE, nullptr);
               }) &&
         apply(image, [](VipsImage* in, VipsImage** out) {
           return vips_copy(in, out, "interpretation",
                            in->Bands >= 3 ? VIPS_INTERPRETATION_sRGB : VIPS_INTERPRETATION_B_W, nullptr);
         });
}

bool is_plain(const VipsImage* image) {
  return image->BandFmt == VIPS_FORMAT_UCHAR &&
         (image->Type == VIPS_INTERPRETATION_sRGB || image->Type == VIPS_INTERPRETATION_RGB ||
          image->Type == VIPS_INTERPRETATION_B_W || image->Type == VIPS_INTERPRETATION_MULTIBAND ||
          image->Type == VIPS_INTERPRETATION_CMYK);
}

// Alpha over white, whose number is this.
bool flatten(Picture& image, double white) {
  return apply(image, [&](VipsImage* in, VipsImage** out) {
    const std::unique_ptr<VipsArrayDouble, void (*)(VipsArrayDouble*)> background(
        vips_array_double_newv(1, white), [](VipsArrayDouble* a) { vips_area_unref(VIPS_AREA(a)); });
    return vips_flatten(in, out, "background", background.get(), nullptr);
  });
}

// 16 bits to 8, whatever they mean.
bool halve_depth(Picture& image) {
  return apply(image, [](VipsImage* in, VipsImage** out) {
    return vips_linear1(in, out, 1.0 / 257, 0.5, "uchar", TRUE, nullptr);
  });
}

// For vips' own transform: the profile may be made of what is stated otherwise.
void set_profile(VipsImage* image, Bytes icc) {
  vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, icc.data(), icc.size());
}

// To 8 bits of 1 (grey), 3 (RGB) or 4 (CMYK) bands, alpha over white. `icc` is emptied once it has been applied: to 16
// bits, before precision is lost.
bool simplify(Picture& image, Bytes& icc) {
  if (image->Type == VIPS_INTERPRETATION_CMYK && image->BandFmt == VIPS_FORMAT_USHORT && !halve_depth(image))
    return false;
  if (image->BandFmt == VIPS_FORMAT_USHORT && needs_transform(icc)) {
    if (vips_image_hasalpha(image.get()) && !flatten(image, 65535)) return false;
    set_profile(image.get(), icc);
    if (apply(image, [](VipsImage* in, VipsImage** out) {
          return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_PERCEPTUAL,
                                    "black_point_compensation", TRUE, "depth", 8, nullptr);
        }))
      icc = {};
    else
      vips_error_clear();
  }
  const bool known = image->Type == VIPS_INTERPRETATION_RGB16 || image->Type == VIPS_INTERPRETATION_GREY16 ||
                     image->Type == VIPS_INTERPRETATION_LAB || image->Type == VIPS_INTERPRETATION_LABS ||
                     image->Type == VIPS_INTERPRETATION_scRGB || image->Type == VIPS_INTERPRETATION_XYZ;
  if (!is_plain(image.get())) {
    const bool done =
        known && apply(image, [](VipsImage* in, VipsImage** out) {
          const bool grey = in->Type == VIPS_INTERPRETATION_GREY16;
          return vips_colourspace(in, out, grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, nullptr);
        });
    if (!done && !stretch(image)) return false;
  }
  if (image->Type == VIPS_INTERPRETATION_CMYK) {
    return image->Bands == 4 ||
           apply(image, [](VipsImage* in, VipsImage** out) { return vips_extract_band(in, out, 0, "n", 4, nullptr); });
  }
  const int colours = image->Bands >= 3 ? 3 : 1;
  if (image->Bands > colours + 1 && !apply(image, [&](VipsImage* in, VipsImage** out) {
        return vips_extract_band(in, out, 0, "n", colours, nullptr);
      }))
    return false;
  if (image->Bands == colours) return true;
  return flatten(image, kWhite);
}

// Grey and CMYK become RGB: by `transform`, unless it is null.
void write_row(const VipsPel* from, int bands, const ColourTransform* transform, std::uint8_t* to, size_t width) {
  if (transform != nullptr) return transform->apply(from, to, width);
  switch (bands) {
    case 1:
      for (size_t x = 0; x < width; ++x) to[x * 3] = to[x * 3 + 1] = to[x * 3 + 2] = from[x];
      break;
    case 3:
      std::copy_n(from, width * 3, to);
      break;
    default:
      cmyk_to_rgb(from, to, width);
  }
}

// Writes a row of `width` pixels as sRGB.
using WriteRow = std::function<void(const VipsPel* from, std::uint8_t* to, size_t width)>;

Result<Image> pull_rows(VipsImage* image, Size target, const WriteRow& write, LumaAccumulator* luma) {
  const Size full{static_cast<std::uint32_t>(image->Xsize), static_cast<std::uint32_t>(image->Ysize)};
  const Region region(vips_region_new(image));
  if (!region) return fail(vips_failure(ErrorCode::kOutOfMemory));
  RowResizer resizer(full, target);
  resizer.watch(luma);
  for (int top = 0; top < image->Ysize; top += kStrip) {
    const VipsRect rows{0, top, image->Xsize, std::min(kStrip, image->Ysize - top)};
    if (vips_region_prepare(region.get(), &rows) != 0) return fail(vips_failure(ErrorCode::kCorrupt));
    for (int y = top; y < top + rows.height; ++y) {
      write(VIPS_REGION_ADDR(region.get(), 0, y), resizer.next_row(), full.width);
      resizer.commit_row();
    }
  }
  return resizer.finish();
}

// By what the container states, the picture's profile, Exif; in that order.
Colours stated_colours(const Loader& loader, Bytes file, VipsImage* image) {
  const Bytes icc = blob_of(image, VIPS_META_ICC_NAME);
  const int channels = image->Bands >= 3 ? 3 : 1;
  if (loader.operation.starts_with("png")) {
    Colours colours = png_colours(file, icc, channels);
    if (!colours.icc.empty() || colours.hdr) return colours;
  }
  if (loader.tags == TagsIn::kItems) {
    const auto code = heif_colour_code(file);
    Colours colours = code ? colours_of(*code, channels) : Colours{};
    if (colours.hdr || icc.empty()) return colours;
  }
  if (!icc.empty()) return colours_of(icc);
  return {channels == 3 ? exif_profile(exif_of(image)) : std::vector<std::byte>{}, std::nullopt, {}};
}

// Codes of any depth as 16 bits, full scale.
template <typename Code>
void widen(const Code* codes, size_t bands, int bits, std::vector<std::uint16_t>& row) {
  for (size_t x = 0; x * 3 < row.size(); ++x)
    for (size_t c = 0; c < 3; ++c) {
      const unsigned code = codes[x * bands + c];
      // The loader shifts codes to the top of 16 bits: their own top bits fill the rest, so that the largest is 65535.
      row[x * 3 + c] = static_cast<std::uint16_t>(sizeof(Code) == 1 ? code * 257 : code | code >> bits);
    }
}

bool is_hdr_readable(const VipsImage* image) {
  return image->Bands >= 3 && (image->BandFmt == VIPS_FORMAT_USHORT || image->BandFmt == VIPS_FORMAT_UCHAR);
}

// Alpha does not count.
Result<Image> pull_hdr_rows(VipsImage* image, Size target, const HdrKind& kind, LumaAccumulator* luma) {
  const ToneMapper mapper(kind, 0);
  const auto bands = static_cast<size_t>(image->Bands);
  const int bits = std::clamp(integer_of(image, "heif-bitdepth", 16), 1, 16);
  std::vector<std::uint16_t> row;
  const WriteRow write = [&](const VipsPel* from, std::uint8_t* to, size_t width) {
    row.resize(width * 3);
    if (image->BandFmt == VIPS_FORMAT_UCHAR)
      widen(from, bands, bits, row);
    else
      widen(reinterpret_cast<const std::uint16_t*>(from), bands, bits, row);
    mapper.map(row, to);
  };
  return pull_rows(image, target, write, luma);
}

// By the chunk of animated PNGs (PNG's third edition, 11.3.5.1), which lies before the pixels; libvips sees one
// picture.
std::uint32_t frames_of_png(Bytes file) {
  const ByteView view(file);
  for (std::uint64_t at = 8; view.has(at, 12);) {
    const std::uint64_t size = view.u32(at);
    const std::string_view type = view.text(at + 4, 4);
    if (type == "acTL" && size == 8) return std::max(view.u32(at + 8), 1U);
    if (type == "IDAT" || type == "IEND") break;
    at += size + 12;
  }
  return 1;
}

std::uint32_t frames_of(Bytes file, VipsImage* image) {
  const int pages = std::max(integer_of(image, VIPS_META_N_PAGES, 1), 1);
  return pages == 1 && sniff_format(file) == MediaFormat::kPng ? frames_of_png(file)
                                                               : static_cast<std::uint32_t>(pages);
}

Result<Decoded> decode_once(const Loader& loader, Bytes file, const DecodeOptions& options, VipsFailOn fail_on) {
  IE_TRY(auto image, open(loader, file, fail_on));
  const Size full{static_cast<std::uint32_t>(image->Xsize), static_cast<std::uint32_t>(image->Ysize)};
  IE_CHECK(check_size(full, options));
  const Colours colours = stated_colours(loader, file, image.get());  // outlives the pipeline's images
  Bytes icc = colours.icc;

  Decoded decoded;
  const bool pages_move = loader.pages_move || sniff_format(file) == MediaFormat::kPng;
  decoded.animated = pages_move && frames_of(file, image.get()) > 1;
  const Size target = fit(full, options.max_edge);
  if (colours.hdr && is_hdr_readable(image.get())) {
    IE_TRY(decoded.image, pull_hdr_rows(image.get(), target, *colours.hdr, options.luma));
  } else {
    if (!simplify(image, icc)) return fail(vips_failure(ErrorCode::kCorrupt));
    std::optional<ColourTransform> transform;
    if (image->Bands != 3 && needs_transform(icc)) {
      if (auto made = ColourTransform::create(icc, image->Bands))
        transform = std::move(*made);
      else
        decoded.warnings.push_back(std::move(made).error().message);
    }
    const WriteRow write = [&, bands = image->Bands](const VipsPel* from, std::uint8_t* to, size_t width) {
      write_row(from, bands, transform ? &*transform : nullptr, to, width);
    };
    IE_TRY(decoded.image, pull_rows(image.get(), target, write, options.luma));
    if (image->Bands == 3) to_srgb(decoded, icc);
  }
  decoded.full_width = full.width;
  decoded.full_height = full.height;
  return decoded;
}

// HEIC, AVIF and JPEG XL are loadable modules. libvips itself would load every module of the system, including image
// viewers' delegates and document renderers: it gets an empty module path, and these two are opened from the program's
// folder or the system's.
void load_modules() {
  const std::string name =
      "vips-modules-" + std::to_string(VIPS_MAJOR_VERSION) + "." + std::to_string(VIPS_MINOR_VERSION);
  for (const std::string& folder :
       {join_path(executable_folder(), "../lib/" + name), std::string(IE_VIPS_LIBDIR "/") + name}) {
    bool found = false;
    for (const char* module : {"/vips-heif.so", "/vips-jxl.so"})
      found |= g_module_open((folder + module).c_str(), G_MODULE_BIND_LAZY) != nullptr;
    if (found) return;
  }
}

}  // namespace

Status init_vips(int threads) {
  g_setenv("VIPSHOME", "/nonexistent", TRUE);
  g_setenv("VIPS_NOVECTOR", "1", TRUE);  // generates code at run time, which the sandbox refuses
  g_log_set_default_handler(keep_warning, nullptr);
  if (vips_init("image-engine-worker") != 0) return fail(vips_failure(ErrorCode::kInternal));
  load_modules();
  vips_concurrency_set(std::max(threads, 1));
  // Cached operations are keyed by their buffer's address, which a later file may reuse.
  vips_cache_set_max(0);
  vips_operation_block_set("VipsForeignLoad", TRUE);
  for (const auto& loader : kLoaders) vips_operation_block_set(loader.type, FALSE);
  vips_icc_present();
  return {};
}

std::string vips_version() { return vips_version_string(); }

Result<Decoded> decode_vips(Bytes file, const DecodeOptions& options) {
  const auto& loader = loader_of(file);
  if (const Bytes jpeg = old_style_jpeg(file); is_tiff(loader) && !jpeg.empty()) return decode_jpeg(jpeg, options);
  auto strict = decode_once(loader, file, options, VIPS_FAIL_ON_TRUNCATED);
  if (strict || strict.error().code != ErrorCode::kCorrupt) return strict;
  auto lenient = decode_once(loader, file, options, VIPS_FAIL_ON_NONE);
  if (!lenient) return strict;
  lenient->partial = true;
  lenient->warnings.push_back(std::move(strict).error().message);
  return lenient;
}

Result<Blocks> read_vips_blocks(Bytes file, Metadata& metadata) {
  const auto& loader = loader_of(file);
  if (const Bytes jpeg = old_style_jpeg(file); is_tiff(loader) && !jpeg.empty()) {
    IE_TRY(Blocks of_jpeg, read_jpeg_blocks(jpeg, metadata));
    Blocks blocks;
    blocks.icc = std::move(of_jpeg.icc);
    blocks.orientation = tiff_orientation(file);
    blocks.tags = find_tag_blocks(metadata.format, file);
    return blocks;
  }
  IE_TRY(const auto image, open(loader, file, VIPS_FAIL_ON_NONE));
  metadata.width = static_cast<std::uint32_t>(image->Xsize);
  metadata.height = static_cast<std::uint32_t>(image->Ysize);
  metadata.frames = frames_of(file, image.get());
  metadata.has_alpha = vips_image_hasalpha(image.get());
  const int depth = static_cast<int>(vips_format_sizeof(image->BandFmt)) * 8;
  metadata.bit_depth = static_cast<std::uint32_t>(
      integer_of(image.get(), "heif-bitdepth", integer_of(image.get(), "bits-per-sample", depth)));

  Blocks blocks;
  blocks.orientation = stated_orientation(loader, image.get());
  Colours colours = stated_colours(loader, file, image.get());
  blocks.icc = std::move(colours.icc);
  blocks.colours = std::move(colours.name);
  blocks.time = creation_time(image.get());
  if (loader.tags != TagsIn::kBlobs) {
    blocks.tags = find_tag_blocks(metadata.format, file);
    return blocks;
  }
  for (const auto& [from, to] : {std::pair{exif_of(image.get()), &blocks.tags.exif},
                                 {blob_of(image.get(), VIPS_META_XMP_NAME), &blocks.tags.xmp}})
    to->emplace_back(blocks.tags.storage.emplace_back(from.begin(), from.end()));
  return blocks;
}

}  // namespace image_engine::media
