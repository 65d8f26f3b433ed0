#include "worker/process/service.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <new>
#include <optional>

#include "core/file.h"
#include "media/media.h"
#include "media/subtitles.h"
#include "types/asset_name.h"
#include "worker/archive.h"
#include "worker/process/arena.h"
#include "worker/process/cut_sender.h"
#include "worker/process/lifetime.h"
#include "worker/process/rewrite_sender.h"
#include "worker/process/sound_sender.h"
#include "worker/process/video_sender.h"
#include "worker/protocol.h"

namespace image_engine::worker {
namespace {

static_assert(media::kMostCues <= kMostSubtitleCues && media::kMostCuesBytes <= kMostSubtitleBytes);

// By PictureFormat.
constexpr std::array kEncodings = {media::Encoding::kPng, media::Encoding::kJpeg, media::Encoding::kWebp};

struct Incoming {
  Request request;
  UniqueFd media, sidecar;
};

// The next request; nullopt when the engine has closed the socket.
std::optional<Incoming> receive() {
  Incoming incoming;
  iovec part{&incoming.request, sizeof incoming.request};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  msghdr message{};
  ssize_t count = 0;
  do {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    count = ::recvmsg(kSocketFd, &message, MSG_CMSG_CLOEXEC);
    // The last slots of a video are released after its reply has been sent.
  } while ((count < 0 && errno == EINTR) || count == sizeof(Release));
  if (count != sizeof incoming.request || incoming.request.version != kProtocolVersion) return std::nullopt;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type != SCM_RIGHTS) continue;
    int descriptors[2] = {-1, -1};
    std::memcpy(descriptors, CMSG_DATA(header), std::min(sizeof descriptors, header->cmsg_len - CMSG_LEN(0)));
    incoming.media.reset(descriptors[0]);
    incoming.sidecar.reset(descriptors[1]);
  }
  return incoming;
}

// Microseconds since its creation.
class Stopwatch {
 public:
  [[nodiscard]] std::uint32_t lap() {
    const auto now = std::chrono::steady_clock::now();
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now - std::exchange(last_, now)).count());
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

class Service {
 public:
  explicit Service(std::span<std::byte> memory) : memory_(memory) {}

  void answer(Incoming incoming) {
    number_ = incoming.request.number;
    Reply reply;
    if (Status opened = open(incoming); !opened)
      reply = failed(opened.error());
    else
      fill(incoming, reply);
    media_ = {};
    sidecar_ = {};
    send(reply);
  }

 private:
  Status open(Incoming& incoming) {
    IE_TRY(media_, MappedFile::create(incoming.media.get()));
    if (incoming.sidecar) {
      IE_TRY(sidecar_, MappedFile::create(incoming.sidecar.get()));
    }
    if (media_.bytes().empty()) return fail(ErrorCode::kCorrupt, "the file is empty");
    return {};
  }

  static Reply failed(const Error& error) {
    Reply reply;
    reply.metadata = fail(error);
    reply.hashes = fail(error);
    reply.picture = fail(error);
    reply.thumbnail = fail(error);
    reply.clip = fail(error);
    reply.video = fail(error);
    reply.cut = fail(error);
    reply.sound = fail(error);
    reply.subtitles = fail(error);
    reply.preview = fail(error);
    reply.encoded = fail(error);
    reply.rewritten = fail(error);
    return reply;
  }

  void fill(const Incoming& incoming, Reply& reply) {
    const Request& request = incoming.request;
    Stopwatch stopwatch;
    if (request.operations & kReadMetadata) {
      reply.metadata = media::read_metadata(media_.bytes(), sidecar_.bytes());
      reply.timings.metadata = stopwatch.lap();
    }
    if (request.operations & kHash) {
      const media::ContentHashes hashes = media::content_hashes(media_.bytes(), true);
      const std::uint32_t turned =
          request.orientation != 0 ? request.orientation : media::orientation_of(media_.bytes());
      reply.hashes = Hashes{hashes.file, asset_name(hashes.coded, turned), hashes.coded, {}};
      if (request.operations & kFormerHash) reply.hashes->former = media::former_coded_hash(media_.bytes());
      reply.timings.hash = stopwatch.lap();
    }
    if (request.operations & kVideoFrames)
      reply.video = VideoSender(memory_, media_.bytes(), request).send_all();
    else if (request.operations & kSound)
      reply.sound = send_sound(memory_, media_.bytes(), request);
    else if (request.operations & kCut)
      reply.cut = send_cut(memory_, media_.bytes(), request);
    else if (request.operations & kRewrite)
      reply.rewritten = send_rewritten(memory_, media_.bytes(), incoming.sidecar.get(), request);
    else if (request.operations & kSubtitles)
      reply.subtitles = subtitles(request.subtitles);
    else if (request.operations & kPreview)
      reply.preview = preview(request.preview, request.max_pixels);
    else if (request.operations & kEncode)
      reply.encoded = encode(request.encode);
    else if (request.operations & (kDecode | kThumbnail | kVideoClip))
      decode(request, reply);
  }

  Result<Subtitles> subtitles(const SubtitlesTask& task) {
    const std::string language(task.language, ::strnlen(task.language, sizeof task.language));
    IE_TRY(media::SubtitleTrack track, media::read_subtitles(media_.bytes(), {language, true}));
    return Subtitles{track.stream,       std::move(track.codec), std::move(track.language), std::move(track.title),
                     track.text_streams, track.other_streams,    std::move(track.cues),     std::move(track.warnings)};
  }

  Result<Thumbnail> preview(const PreviewTask& task, std::uint64_t max_pixels) {
    const std::span<const double> times(task.times, std::min(task.frames, kMostPreviewFrames));
    IE_TRY(const std::vector<std::byte> webp,
           media::encode_preview(media_.bytes(), {times, task.edge, task.frame_duration, max_pixels}));
    Arena arena(memory_, kMaxReplyBytes, memory_.size());
    IE_TRY(const std::uint64_t offset, arena.put(webp));
    return Thumbnail{offset, webp.size()};
  }

  Result<Thumbnail> encode(const EncodeTask& task) {
    const std::uint64_t size = std::uint64_t{task.width} * task.height * task.channels;
    if (task.offset > media_.bytes().size() || size > media_.bytes().size() - task.offset)
      return fail(ErrorCode::kInternal, "the picture is not within its file");
    const media::RawPicture picture{task.width, task.height, task.channels, media_.bytes().subspan(task.offset, size)};
    IE_TRY(const std::vector<std::byte> file,
           media::encode_picture(picture, kEncodings.at(static_cast<size_t>(task.format)),
                                 static_cast<int>(task.quality)));
    Arena arena(memory_, kMaxReplyBytes, memory_.size());
    IE_TRY(const std::uint64_t offset, arena.put(file));
    return Thumbnail{offset, file.size()};
  }

  void decode(const Request& request, Reply& reply) {
    media::DecodeOptions options;
    options.max_edge = request.operations & kDecode ? request.max_edge : request.thumbnail_edge;
    options.max_pixels = request.max_pixels;
    options.orientation = request.orientation;
    if (request.at >= 0) options.at = request.at;
    LumaAccumulator luma;
    if (request.operations & kLuma) options.luma = &luma;
    Stopwatch stopwatch;
    Result<media::Decoded> decoded = media::decode(media_.bytes(), options);
    reply.timings.decode = stopwatch.lap();
    if (!decoded) {
      reply.picture = fail(decoded.error());
      reply.thumbnail = fail(decoded.error());
      reply.clip = fail(decoded.error());
      return;
    }
    Arena arena(memory_, kMaxReplyBytes, memory_.size());
    const auto jpeg = [&](const ImageView& view) {
      return media::encode_jpeg(view, static_cast<int>(request.thumbnail_quality));
    };
    if (request.operations & kThumbnail) reply.thumbnail = encode_small(request, decoded->image, arena, jpeg);
    if (request.operations & kVideoClip) reply.clip = encode_small(request, decoded->image, arena, media::encode_mp4);
    reply.timings.thumbnail = stopwatch.lap();
    reply.picture = picture(std::move(*decoded), request.operations & kDecode, arena);
    if (reply.picture && options.luma != nullptr) reply.picture->luma = luma.finish();
  }

  static Result<Picture> picture(media::Decoded decoded, bool with_pixels, Arena& arena) {
    Picture picture;
    picture.full_width = decoded.full_width;
    picture.full_height = decoded.full_height;
    picture.partial = decoded.partial;
    picture.animated = decoded.animated;
    picture.warnings = std::move(decoded.warnings);
    if (with_pixels) {
      picture.width = decoded.image.width;
      picture.height = decoded.image.height;
      IE_TRY(picture.offset, arena.put(std::as_bytes(std::span(decoded.image.pixels))));
    }
    return picture;
  }

  void send(const Reply& reply) {
    ArchiveWriter writer;
    writer(reply);
    if (writer.bytes().size() > kMaxReplyBytes) {
      writer = {};
      writer(failed({ErrorCode::kTooLarge, "its metadata is too large"}));
    }
    std::memcpy(memory_.data(), writer.bytes().data(), writer.bytes().size());
    const ReplyHeader header{kProtocolVersion, static_cast<std::uint32_t>(writer.bytes().size()), number_};
    ::send(kSocketFd, &header, sizeof header, MSG_NOSIGNAL);
  }

 public:
  // For exceptions that pass a library's adapter.
  void answer_out_of_memory() {
    send(failed({ErrorCode::kOutOfMemory, "needs more memory than a worker may use (worker.memory_limit_mb)"}));
  }
  void answer_internal(const char* what) {
    send(failed({ErrorCode::kInternal, std::string("its decoder failed: ") + what}));
  }

 private:
  std::span<std::byte> memory_;
  MappedFile media_, sidecar_;
  std::uint64_t number_ = 0;  // of the request at hand
};

}  // namespace

int serve(const Layers& layers, std::string problem) {
  struct stat info {};
  const auto size = static_cast<size_t>(::fstat(kMemoryFd, &info) == 0 ? info.st_size : 0);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (memory == MAP_FAILED && problem.empty()) problem = "the memory that it shares cannot be mapped (ulimit -v)";
  if (problem.empty()) problem = end_with_the_engine();
  Hello hello;
  hello.layers = layers;
  problem.copy(hello.problem, sizeof hello.problem - 1);
  if (::send(kSocketFd, &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello || !problem.empty()) return 2;
  Service service({static_cast<std::byte*>(memory), size});
  while (std::optional<Incoming> incoming = receive()) {
    try {
      service.answer(std::move(*incoming));
    } catch (const std::bad_alloc&) {
      service.answer_out_of_memory();
    } catch (const std::exception& error) {
      service.answer_internal(error.what());
    }
  }
  return 0;
}

}  // namespace image_engine::worker
