#include "media/part_output.h"

#include <algorithm>

namespace image_engine::media {
namespace {

tl::unexpected<Error> no_memory_to_write() { return fail(ErrorCode::kOutOfMemory, "no memory to write a video"); }

}  // namespace

// Bytes that a muxer writes, with the place where they go.
struct PartOutput::Writer {
  const WritePart& write;
  std::uint64_t at = 0, size = 0;

  static int put(void* opaque, std::uint8_t* bytes, int count) {
    auto& self = *static_cast<Writer*>(opaque);
    self.write(self.at, {reinterpret_cast<const std::byte*>(bytes), static_cast<size_t>(count)});
    self.at += static_cast<std::uint64_t>(count);
    self.size = std::max(self.size, self.at);
    return count;
  }
  static std::int64_t seek(void* opaque, std::int64_t offset, int whence) {
    auto& self = *static_cast<Writer*>(opaque);
    if ((whence & AVSEEK_SIZE) != 0) return static_cast<std::int64_t>(self.size);
    const auto base = whence == SEEK_CUR ? self.at : whence == SEEK_END ? self.size : 0;
    if (static_cast<std::int64_t>(base) + offset < 0) return AVERROR(EINVAL);
    self.at = static_cast<std::uint64_t>(static_cast<std::int64_t>(base) + offset);
    return static_cast<std::int64_t>(self.at);
  }
};

PartOutput::PartOutput() = default;
PartOutput::PartOutput(PartOutput&&) noexcept = default;
PartOutput::~PartOutput() = default;

Result<PartOutput> PartOutput::open(const ClipFormatRow& row, const WritePart& write) {
  constexpr int kBuffer = 256 << 10;
  PartOutput output;
  AVFormatContext* context = nullptr;
  if (avformat_alloc_output_context2(&context, nullptr, row.muxer, nullptr) < 0) return no_memory_to_write();
  output.context_.reset(context);
  output.writer_ = std::make_unique<Writer>(Writer{write});
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
  output.io_.reset(avio_alloc_context(buffer, kBuffer, 1, output.writer_.get(), nullptr, Writer::put, Writer::seek));
  if (!output.io_) {
    av_free(buffer);
    return no_memory_to_write();
  }
  context->pb = output.io_.get();
  context->flags |= AVFMT_FLAG_BITEXACT;
  context->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  context->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;  // Dolby Vision's configuration in MP4
  return output;
}

unsigned codec_tag(const AVFormatContext& output, const AVCodecParameters& source) {
  const AVCodecTag* const* tags = output.oformat->codec_tag;
  unsigned tag = 0;
  const bool is_known = tags != nullptr && av_codec_get_id(tags, source.codec_tag) == source.codec_id;
  const bool is_free = tags == nullptr || av_codec_get_tag2(tags, source.codec_id, &tag) == 0;
  return is_known || is_free ? source.codec_tag : 0;
}

Result<AVStream*> PartOutput::add_copy(const AVStream& in) {
  AVStream* out = avformat_new_stream(context_.get(), nullptr);
  if (out == nullptr || avcodec_parameters_copy(out->codecpar, in.codecpar) < 0) return no_memory_to_write();
  out->codecpar->codec_tag = codec_tag(*context_, *in.codecpar);
  out->time_base = in.time_base;
  out->avg_frame_rate = in.avg_frame_rate;
  out->sample_aspect_ratio = in.sample_aspect_ratio;
  out->disposition = in.disposition;
  for (int i = 0; i < in.nb_side_data; ++i) {
    const AVPacketSideData& data = in.side_data[i];
    std::uint8_t* copy = av_stream_new_side_data(out, data.type, data.size);
    if (copy == nullptr) return no_memory_to_write();
    std::copy_n(data.data, data.size, copy);
  }
  return out;
}

bool PartOutput::finish() {
  if (av_write_trailer(context_.get()) < 0) return false;
  avio_flush(io_.get());
  return true;
}

}  // namespace image_engine::media
