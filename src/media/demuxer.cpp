#include "media/demuxer.h"

extern "C" {
#include <libavutil/display.h>
}

#include <algorithm>
#include <array>
#include <cstring>

#include "core/file.h"

namespace image_engine::media {

struct Demuxer::Source {
  Bytes bytes;
  bool is_mapped = false;
  std::int64_t at = 0;
  std::int64_t kept_from = 0;  // of what was read since the last seek, pages from here on are kept

  // They come from the page cache when they are read again.
  void give_back() {
    constexpr std::int64_t kKept = 4 << 20;
    const std::int64_t to = at - kKept;
    if (!is_mapped || to < kept_from + kKept) return;
    give_back_pages(bytes.subspan(static_cast<size_t>(kept_from), static_cast<size_t>(to - kept_from)));
    kept_from = to;
  }

  static int read(void* opaque, std::uint8_t* into, int count) {
    auto& self = *static_cast<Source*>(opaque);
    const auto left = static_cast<std::int64_t>(self.bytes.size()) - self.at;
    if (left <= 0) return AVERROR_EOF;
    const auto n = std::min<std::int64_t>(left, count);
    std::memcpy(into, self.bytes.data() + self.at, static_cast<size_t>(n));
    self.at += n;
    self.give_back();
    return static_cast<int>(n);
  }
  static std::int64_t seek(void* opaque, std::int64_t offset, int whence) {
    auto& self = *static_cast<Source*>(opaque);
    const auto size = static_cast<std::int64_t>(self.bytes.size());
    if (whence & AVSEEK_SIZE) return size;
    const auto base = whence == SEEK_CUR ? self.at : whence == SEEK_END ? size : 0;
    if (offset > size || base + offset < 0 || base + offset > size) return AVERROR(EINVAL);
    self.at = base + offset;
    self.kept_from = std::min(self.kept_from, self.at);
    return self.at;
  }
};

Demuxer::Demuxer() = default;
Demuxer::Demuxer(Demuxer&&) noexcept = default;
Demuxer::~Demuxer() = default;

Result<Demuxer> Demuxer::open(MediaFormat format, Bytes file, bool is_mapped) {
  return open(reader_of(format).name, file, is_mapped);
}

Result<Demuxer> Demuxer::open(const char* name, Bytes file, bool is_mapped) {
  constexpr int kBuffer = 32 << 10;
  constexpr const char* kProbeBytes = "1000000";
  constexpr const char* kProbeTime = "2000000";  // microseconds
  Demuxer demuxer;
  demuxer.source_ = std::make_unique<Source>(Source{file, is_mapped});
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
  demuxer.io_.reset(avio_alloc_context(buffer, kBuffer, 0, demuxer.source_.get(), Source::read, nullptr, Source::seek));
  if (!demuxer.io_) {
    av_free(buffer);
    return fail(ErrorCode::kOutOfMemory, "no memory to read a video's header");
  }
  const AVInputFormat* named = av_find_input_format(name);
  AVFormatContext* context = avformat_alloc_context();
  if (!named || !context) {
    avformat_free_context(context);
    return fail(ErrorCode::kUnsupported, "this FFmpeg cannot read such videos");
  }
  context->pb = demuxer.io_.get();
  context->io_open = [](AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); };
  AVDictionary* options = nullptr;
  av_dict_set(&options, "probesize", kProbeBytes, 0);
  av_dict_set(&options, "analyzeduration", kProbeTime, 0);
  const int code = avformat_open_input(&context, nullptr, named, &options);
  av_dict_free(&options);
  if (code < 0) return fail(ErrorCode::kCorrupt, "the video's header cannot be read");
  demuxer.input_.reset(context);
  return demuxer;
}

AVStream* Demuxer::stream(AVMediaType type) const {
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    AVStream* stream = input_->streams[i];
    if (stream->codecpar->codec_type == type && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC)) return stream;
  }
  return nullptr;
}

void Demuxer::read_stream_facts() { avformat_find_stream_info(input_.get(), nullptr); }

std::uint32_t orientation_of(const AVStream& stream) {
  size_t size = 0;
  const auto* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (!data || size < 9 * sizeof(std::int32_t)) return 1;
  std::array<std::int32_t, 9> matrix{};
  std::memcpy(matrix.data(), data, sizeof matrix);
  // x' = a·x + c·y, y' = b·x + d·y (ISO/IEC 14496-12, 6.2.2); only the signs count.
  const auto sign = [&](size_t at) { return matrix[at] > 0 ? 1 : matrix[at] < 0 ? -1 : 0; };
  const std::array<int, 4> turn{sign(0), sign(1), sign(3), sign(4)};
  constexpr std::array<std::array<int, 4>, 8> kTurns{{{1, 0, 0, 1},
                                                      {-1, 0, 0, 1},
                                                      {-1, 0, 0, -1},
                                                      {1, 0, 0, -1},
                                                      {0, 1, 1, 0},
                                                      {0, 1, -1, 0},
                                                      {0, -1, -1, 0},
                                                      {0, -1, 1, 0}}};
  const auto* found = std::ranges::find(kTurns, turn);
  return found == kTurns.end() ? 1 : static_cast<std::uint32_t>(found - kTurns.begin()) + 1;
}

}  // namespace image_engine::media
