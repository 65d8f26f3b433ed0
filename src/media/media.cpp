#include "media/media.h"

#include <algorithm>

#include "core/file.h"
#include "media/colour.h"
#include "media/colour_code.h"
#include "media/decoders.h"
#include "media/jpeg_segments.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/sound_tags.h"

namespace image_engine::media {
namespace {

// A library that reads pictures: their headers, their pixels. A format's row in types/media_format.cpp names it.
struct PictureReader {
  Codec codec;
  Result<Blocks> (*read_blocks)(Bytes file, Metadata& metadata);
  Result<Decoded> (*decode)(Bytes file, const DecodeOptions& options);
};

constexpr PictureReader kPictureReaders[] = {
    {Codec::kJpeg, read_jpeg_blocks, decode_jpeg},
    {Codec::kVips, read_vips_blocks, decode_vips},
    {Codec::kBmp, read_bmp_blocks, decode_bmp},
    {Codec::kLibRaw, read_raw_blocks, decode_raw},
};

Result<const PictureReader*> find_reader(MediaFormat format) {
  const auto* found = std::ranges::find(kPictureReaders, reader_of(format).codec, &PictureReader::codec);
  if (found == std::end(kPictureReaders))
    return fail(ErrorCode::kUnsupported, "this is not a supported picture, video or sound file");
  return found;
}

// The tags of a picture that cannot be read for `error`, and those of its sidecar; `error` where there are none.
Result<Metadata> tags_alone(MediaFormat format, Bytes file, Bytes sidecar, const Error& error) {
  Metadata metadata;
  metadata.format = format;
  metadata.warnings = {error.message};
  Blocks blocks;
  blocks.tags = find_tag_blocks(format, file);
  merge_tags(file, blocks, sidecar, metadata);
  Metadata nothing;
  nothing.format = format;
  nothing.orientation = metadata.orientation;
  nothing.warnings = metadata.warnings;
  if (metadata == nothing) return fail(error);
  return metadata;
}

}  // namespace

Status init(int threads) {
  IE_CHECK(init_vips(threads));
  IE_CHECK(init_tags());
  init_video();
  return {};
}

std::vector<std::pair<std::string, std::string>> library_versions() {
  return {{"libvips", vips_version()}, {"libjpeg-turbo", jpeg_version()}, {"LibRaw", libraw_version()},
          {"exiv2", exiv2_version()},  {"FFmpeg", ffmpeg_version()},      {"Little CMS", lcms_version()}};
}

MediaFormat detect_format(Bytes file) { return sniff_format(file); }

Result<Metadata> read_metadata(Bytes file, Bytes sidecar) {
  const auto kind = detect_format(file);
  if (reader_of(kind).codec == Codec::kFfmpeg) {
    IE_TRY(Metadata of_container, read_container_metadata(kind, file));
    merge_sidecar(sidecar, of_container);
    return of_container;
  }
  IE_TRY(const PictureReader* reader, find_reader(kind));
  Metadata metadata;
  metadata.format = kind;
  Result<Blocks> found = reader->read_blocks(file, metadata);
  if (!found) return tags_alone(kind, file, sidecar, found.error());
  const Blocks& blocks = *found;
  metadata.colour_profile = blocks.icc.empty() ? blocks.colours : profile_description(blocks.icc);
  merge_tags(file, blocks, sidecar, metadata);
  const Size size = upright({metadata.width, metadata.height}, metadata.orientation);
  metadata.width = size.width;
  metadata.height = size.height;
  return metadata;
}

std::uint32_t orientation_of(Bytes file) {
  if (media_kind(detect_format(file)) != MediaKind::kPhoto) return 1;
  const Result<Metadata> metadata = read_metadata(file, {});
  return metadata ? metadata->orientation : 1;
}

namespace {

Hash128 hash_in_windows(Bytes bytes, bool is_mapped) {
  constexpr size_t kWindow = size_t{32} << 20;
  const bool is_large =
      is_mapped && bytes.size() > 2 * kWindow;  // a picture is about to be decoded from the same pages
  ContentHasher hasher;
  for (size_t at = 0; at < bytes.size(); at += kWindow) {
    const Bytes window = bytes.subspan(at, std::min(kWindow, bytes.size() - at));
    hasher.update(window);
    if (is_large) give_back_pages(window);
  }
  return hasher.digest();
}

}  // namespace

ContentHashes content_hashes(Bytes file, bool is_mapped) {
  const MediaFormat format = detect_format(file);
  if (format == MediaFormat::kJpeg) return jpeg_hashes(file);
  const Hash128 whole = hash_in_windows(file, is_mapped);
  const Bytes sound = without_sound_tags(format, file);
  return {whole, sound.size() == file.size() ? whole : hash_in_windows(sound, is_mapped)};
}

Hash128 former_coded_hash(Bytes file) {
  return detect_format(file) == MediaFormat::kJpeg ? jpeg_former_coded_hash(file) : hash128(file);
}

Result<Decoded> decode(Bytes file, const DecodeOptions& options) {
  const auto kind = detect_format(file);
  if (as_video(kind) != MediaFormat::kNone) return decode_video_frame(file, options);
  if (media_kind(kind) == MediaKind::kAudio)
    return fail(ErrorCode::kUnsupported, "this is a sound file: it has no picture");
  IE_TRY(const PictureReader* reader, find_reader(kind));
  IE_TRY(Decoded decoded, reader->decode(file, options));
  const std::uint32_t orientation = options.orientation != 0 ? options.orientation : orientation_of(file);
  decoded.image = apply_orientation(std::move(decoded.image), orientation);
  const Size whole = upright({decoded.full_width, decoded.full_height}, orientation);
  decoded.full_width = whole.width;
  decoded.full_height = whole.height;
  return decoded;
}

Result<Blocks> read_jpeg_blocks(Bytes file, Metadata& metadata) {
  auto header = read_jpeg_header(file);
  if (!header) return fail(ErrorCode::kCorrupt, "the JPEG has no frame header");
  metadata.width = header->width;
  metadata.height = header->height;
  metadata.bit_depth = header->bit_depth;
  metadata.progressive = header->progressive;
  Blocks blocks;
  blocks.tags = std::move(header->tags);
  blocks.icc = std::move(header->icc);
  blocks.orientation = header->orientation;
  return blocks;
}

Status check_size(Size full, const DecodeOptions& options) {
  if (full.width == 0 || full.height == 0) return fail(ErrorCode::kCorrupt, "the picture has no pixels");
  if (std::uint64_t{full.width} * full.height > options.max_pixels)
    return fail(ErrorCode::kTooLarge, "the picture has " + std::to_string(full.width) + " × " +
                                          std::to_string(full.height) + " pixels, more than the limit of " +
                                          std::to_string(options.max_pixels));
  return {};
}

namespace {

void tone_map(Image& image, const HdrKind& kind) {
  std::vector<std::uint16_t> row(image.row_bytes());
  const ToneMapper mapper(kind, 0);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    std::uint8_t* pixels = image.pixels.data() + y * image.row_bytes();
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint16_t>(pixels[i] * 257);
    mapper.map(row, pixels);
  }
}

}  // namespace

void to_srgb(Decoded& decoded, Bytes icc) {
  if (!needs_transform(icc)) return;
  if (const Colours colours = colours_of(icc); colours.hdr) return tone_map(decoded.image, *colours.hdr);
  const auto transform = ColourTransform::create(icc, 3);
  if (!transform) {
    decoded.warnings.push_back(transform.error().message);
    return;
  }
  auto& pixels = decoded.image.pixels;
  transform->apply(pixels.data(), pixels.data(), pixels.size() / 3);
}

}  // namespace image_engine::media
