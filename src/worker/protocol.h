// The protocol between the engine and image-engine-worker.
//
// A SOCK_SEQPACKET socket carries first the worker's Hello, sent before it reads any outside byte: then it is ready.
// After that one Request packet (with the media's and the sidecar's descriptors attached) and one ReplyHeader packet
// back; the reply itself is in shared memory: the archived Reply at 0, pixels and thumbnail at its offsets.
// Frames of a video (kVideoFrames) come in chunks before the reply: each in one of kVideoSlots slots of the shared
// memory, announced by a ReplyHeader that names the slot, and released by a Release packet. A worker whose slots are
// all in use waits, so that memory does not grow with the video. The bytes of a cut (kCut) and sound (kSound) come in
// the same way, and the bytes of a video that is written anew (kRewrite): there a slot may also hold a question about a
// frame; its release is the sign that the answer is in the file that came beside the video.
// Both programs come from one build, so the structs are sent as they are and only the version is checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "types/clip_format.h"
#include "types/condensed.h"
#include "types/luma.h"
#include "types/metadata.h"
#include "types/subtitle.h"
#include "types/transcript.h"
#include "types/video_edit.h"

namespace image_engine::worker {

inline constexpr std::uint32_t kProtocolVersion = 13;
inline constexpr size_t kMaxReplyBytes = size_t{8} << 20;  // of the archived Reply; pixels begin behind it
inline constexpr int kSocketFd = 3;                        // in the worker
inline constexpr int kMemoryFd = 4;                        // in the worker

enum Operation : std::uint32_t {
  kReadMetadata = 1,
  kHash = 2,
  kDecode = 4,
  kThumbnail = 8,
  kLuma = 16,          // with kDecode or kVideoFrames: statistics of the full-resolution luma, too
  kFormerHash = 64,    // with kHash: the asset's hash of catalogues up to format 4, too
  kVideoFrames = 128,  // chunks of a video's frames, with kThumbnail a JPEG of each chosen one; then the reply
  kSubtitles = 2048,   // the subtitles of a video, or of a file of its own, as text
  kPreview = 512,      // an animated WebP of some frames of a video
  kCut = 256,          // a part of a video as a file, its bytes in chunks; then the reply
  kSound = 1024,       // the sound of a video or of a recording as samples, in chunks; then the reply
  kEncode = 4096,      // a picture's pixels, which the file holds, as a PNG, JPEG or WebP
  kRewrite = 8192,     // a video with changed frames as a file, its bytes and questions in chunks; then the reply
  kVideoClip = 32,     // an MP4 that shows the picture, its longer edge as the thumbnail's
};

// The sandbox layers of a worker. A layer that the kernel lacks is no error: the others still hold.
struct Layers {
  std::uint8_t no_new_privileges = 0;
  std::uint8_t namespaces = 0;  // user, mount, network, IPC and host name of its own
  std::uint8_t processes = 0;   // a PID namespace of its own, in which it is alone
  std::uint8_t empty_root = 0;  // its root is an empty folder that cannot be written to
  std::uint8_t landlock = 0;    // ABI version in force; 0 none. 4 closes TCP, 6 also signals
  std::uint8_t seccomp = 0;     // system calls by allow-list
  std::uint8_t limits = 0;      // of memory, descriptors, core dumps and, with namespaces, threads
};

// The names of those that do not hold, as in `doctor --json`.
std::vector<std::string> missing_layers(const Layers& layers);

struct Hello {
  std::uint32_t version = kProtocolVersion;
  Layers layers;
  char problem[240] = {};  // why it cannot work, with the remedy; empty: it is ready
};

inline constexpr std::uint32_t kVideoSlots = 4;
inline constexpr size_t kMostChunkBytes = size_t{256} << 10;  // of the archived VideoChunk; pixels begin behind it
inline constexpr std::uint32_t kMostChunkFrames = 64;
inline constexpr std::uint32_t kMostSmallEdge = 256;  // pixels
inline constexpr std::uint32_t kMostSteps = 8;        // in a chunk

// What a worker reports of a video at most; what a file states beyond counts as unknown.
inline constexpr double kMostVideoSeconds = 1e9, kLeastFrameRate = 1e-3, kMostFrameRate = 1e6;

// Which frames of a video are sent, and as what.
struct VideoTask {
  double from = 0;    // seconds of presentation time; the first frame is the one shown then
  double fps = 1;     // chosen frames a second: the first at or after anchor + k / fps; 0: none
  double anchor = 0;  // seconds; the first frame's time, where `from` is not the start; else it is taken from the video
  // Of frames at this rate between the chosen ones, those are sent, too, whose small pictures differ from that of the
  // frame sent last, with a longer edge of at most `between_edge` pixels; up to `fps`: none.
  double track_fps = 0;
  std::uint32_t between_edge = 0;
  std::uint32_t small_width = 0, small_height = 0;  // of what is sent of every frame; 0: nothing is
  std::uint32_t threads = 1;                        // of the decoder
  std::uint8_t key_frames_only = 0;
  // Steps: more frames, for what sees several at once. The first at or after anchor + k × the distance.
  double step_seconds = 0;        // their distance; 0: as below
  std::uint32_t step_frames = 0;  // likewise, in frames of the rate that the container states (unknown: 25); 0: none
  std::uint32_t step_edge = 0;    // pixels of their longer edge, as Request::max_edge
};

// Which part of a video becomes a file of its own.
struct CutTask {
  double from = 0, to = 0;  // seconds of presentation time
  ClipFormat format = ClipFormat::kMp4;
};

inline constexpr std::uint32_t kSoundRate = 16'000;                  // samples a second, of one channel
inline constexpr std::uint32_t kMostChunkSamples = 30 * kSoundRate;  // 1.9 MB

// Which sound is sent: samples from -1 to 1 at kSoundRate, all channels mixed to one.
struct SoundTask {
  double from = 0;          // seconds of presentation time; up to 0: from the start
  std::int32_t track = -1;  // from 0 among the audio tracks; below 0: by `language`
  char language[8] = {};    // ISO 639, two or three letters; empty: the default track, else the first
  // 0: not measured; 1: of what is sent; 2: of all up to its end, also where `from` is later: then it is decoded from
  // the start, which takes some seconds for an hour of sound.
  std::uint8_t loudness = 1;
  double duration = 0;  // seconds of sound at most; 0: to the end
};

inline constexpr std::uint32_t kMostPreviewFrames = 24;

// An animation of a video.
struct PreviewTask {
  double times[kMostPreviewFrames] = {};  // of its frames, seconds of presentation time
  std::uint32_t frames = 0;
  std::uint32_t edge = 320;            // pixels, of the longer side at most
  std::uint32_t frame_duration = 250;  // milliseconds
};

// A video that is written anew, each of its frames changed as the engine answers. With another coding than kAsSource
// the pixels of every frame are sent and replaced.
struct RewriteTask {
  ClipFormat format = ClipFormat::kMp4;
  VideoCoding coding = VideoCoding::kAsSource;
  HideStyle style = HideStyle::kMosaic;
  std::uint32_t squares = 4;        // along the longer edge of what is hidden
  std::uint8_t sends_pictures = 0;  // of frames that are not replaced, too
  std::uint8_t with_sound = 1;      // and subtitles
  std::uint32_t threads = 1;        // of the decoder and of the encoder
};

// What becomes of a frame: the head of the file of answers, which the engine writes before it releases the question.
struct FrameAnswer {
  std::uint32_t areas = 0;                            // HiddenAreas behind it
  std::uint32_t width = 0, height = 0, channels = 0;  // of the pixels behind it: 3 and 4 replace the frame; 1: a mask
                                                      // outside of which all is hidden; 0: none
};

enum class PictureFormat : std::uint8_t { kPng, kJpeg, kWebp };

// Pixels that become a file: 8 bits a sample, rows without padding, upright sRGB.
struct EncodeTask {
  std::uint64_t offset = 0;  // in the file that is sent
  std::uint32_t width = 0, height = 0;
  std::uint32_t channels = 3;  // 1: grey; 3: RGB; 4: RGB and alpha that is not premultiplied, not for JPEG
  PictureFormat format = PictureFormat::kPng;
  std::uint32_t quality = 90;  // 1…100; WebP's 100: lossless
};

// Which subtitles are read.
struct SubtitlesTask {
  char language[8] = {};  // language_code(): preferred; empty: none is
};

// Bounds of what comes back.
inline constexpr size_t kMostSubtitleCues = 40'000, kMostSubtitleBytes = size_t{4} << 20;

struct Request {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t operations = 0;  // Operation bits
  std::uint32_t max_edge = 0;    // of the decoded picture, 0 for full size
  std::uint32_t thumbnail_edge = 256;
  std::uint32_t thumbnail_quality = 80;
  std::uint32_t orientation = 0;  // of the picture, EXIF's number; 0: as its file says
  std::uint64_t max_pixels = 0;
  std::uint64_t number = 0;  // of the request; comes back in the answer
  double at = -1;            // kDecode of a video: the frame shown at this time, seconds; below 0: no video is decoded
  VideoTask video;
  CutTask cut;
  SoundTask sound;
  SubtitlesTask subtitles;
  PreviewTask preview;
  EncodeTask encode;
  RewriteTask rewrite;
};

inline constexpr std::uint32_t kNoSlot = ~0U;  // it is the reply

struct ReplyHeader {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t reply_bytes = 0;  // of the archived Reply at the start of the shared memory
  std::uint64_t number = 0;       // the request's
  std::uint32_t slot = kNoSlot;   // of a chunk, whose archive is at the slot's start
};

// The part of the shared memory that a chunk in this slot may use.
struct SlotRange {
  std::uint64_t begin = 0, end = 0;
};
SlotRange slot_range(std::uint32_t slot, std::uint64_t memory_bytes);

// The engine has read the chunk in this slot.
struct Release {
  std::uint64_t number = 0;
  std::uint32_t slot = 0;
};

struct Hashes {
  Hash128 file;    // of all bytes
  Hash128 asset;   // asset_name() of the coded data and the orientation
  Hash128 coded;   // of the coded data
  Hash128 former;  // of the same by XXH3; zero unless requested
};

// A decoded picture: upright sRGB, RGB interleaved, without row padding.
struct Picture {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
  std::uint64_t offset = 0;  // in the shared memory
  bool partial = false;      // the file ended early
  bool animated = false;     // the first of several frames
  std::vector<std::string> warnings;
  LumaStatistics luma;         // zero unless requested
  CondensedPicture condensed;  // where a GPU decoded it, else nothing
};

// A JPEG, an MP4 or an animated WebP in the shared memory.
struct Thumbnail {
  std::uint64_t offset = 0, bytes = 0;
};

// A frame that was chosen. `picture` has its pixels' place and size.
struct ChosenFrame {
  double seconds = 0;  // presentation time
  Picture picture;
  Thumbnail thumbnail;      // no bytes unless asked for
  bool is_between = false;  // of VideoTask::track_fps: without luma and thumbnail
};

// Frames in order of presentation.
struct VideoChunk {
  std::vector<double> seconds;     // of every frame, presentation time, rising
  std::uint64_t small_offset = 0;  // their small pictures one behind the other, RGB; in the shared memory
  std::vector<ChosenFrame> chosen;
  std::vector<ChosenFrame> steps;  // without thumbnails and luma
};

// What a worker did to frames of one kind.
struct VideoStep {
  double seconds = 0;  // of wall time
  std::uint64_t frames = 0;
};

// What is known of a video when its last chunk was sent.
struct VideoSummary {
  double first = 0, last = 0;  // presentation times of the first and the last frame, seconds
  double duration = 0;         // that the container states, seconds; 0: unknown
  double frame_rate = 0;       // that the container states; 0: unknown
  std::uint64_t frames = 0;    // that were decoded
  std::uint32_t audio_streams = 0, subtitle_streams = 0;
  bool is_hdr = false;  // PQ or HLG
  std::vector<std::string> warnings;
  VideoStep decode, reduce, convert, thumbnail;  // small pictures are reduced, chosen frames converted
  double waited = 0;                             // seconds without a free slot
};

// Bytes of the file that a cut becomes. Positions go back: a container's header is completed at its end.
struct WrittenPart {
  std::uint64_t position = 0;  // in the file
  std::uint64_t offset = 0, bytes = 0;
};

// What a cut holds when its last part was sent.
struct CutSummary {
  double from = 0, to = 0;                              // that players show, seconds of the video's presentation time
  double key_frame = 0;                                 // where what was copied begins, at or before `from`
  std::vector<std::string> video_codecs, audio_codecs;  // of each stream
  std::vector<std::string> warnings;
};

// What a slot holds while a video is written anew: a part of the file, or a question about the frame at `seconds`, with
// its picture if the task says so.
struct RewriteStep {
  WrittenPart part;  // no bytes: a question
  double seconds = 0;
  Picture picture;
};

// What was made when the last part was sent.
struct RewriteSummary {
  std::uint64_t frames = 0;
  std::string codec;  // FFmpeg's name
  std::uint32_t sound_tracks = 0, subtitle_tracks = 0;
  std::vector<std::string> notes;
};

// Samples one behind the other, as floats. Chunks follow each other without a gap.
struct SoundChunk {
  double seconds = 0;         // presentation time of the first
  std::uint64_t offset = 0;   // in the shared memory, a multiple of four
  std::uint32_t samples = 0;  // 0: only a sign of life
};

// What is known of the sound when its last chunk was sent.
struct SoundSummary {
  double first = 0, last = 0;  // presentation times of the first sample and of the last one's end, seconds
  double duration = 0;         // that the container states, seconds; 0: unknown
  std::uint32_t track = 0;     // that was read
  std::vector<AudioTrack> tracks;
  Loudness loudness;        // of what was sent; empty unless requested
  bool is_cut_off = false;  // the file is damaged at its end, or ends early
  std::vector<std::string> warnings;
};

// Subtitles that are text.
struct Subtitles {
  std::int32_t stream = -1;  // its index in the container; −1: a file of its own, or there is none
  std::string codec;         // FFmpeg's name: "subrip"; empty: there is none
  std::string language;      // language_code(); empty: not stated
  std::string title;
  std::uint32_t text_streams = 0;   // of the container
  std::uint32_t other_streams = 0;  // likewise, pictures or in a codec that is not read
  std::vector<SubtitleCue> cues;    // in order of time
  std::vector<std::string> warnings;
};

// How long each part took in the worker, microseconds.
struct Timings {
  std::uint32_t metadata = 0, hash = 0, decode = 0, thumbnail = 0;
};

inline tl::unexpected<Error> not_asked() { return fail(ErrorCode::kInternal, "not asked for"); }

// One result per operation; those not requested hold not_asked().
struct Reply {
  Result<Metadata> metadata = not_asked();
  Result<Hashes> hashes = not_asked();
  Result<Picture> picture = not_asked();
  Result<Thumbnail> thumbnail = not_asked();
  Result<Thumbnail> clip = not_asked();
  Result<VideoSummary> video = not_asked();
  Result<CutSummary> cut = not_asked();
  Result<SoundSummary> sound = not_asked();
  Result<Subtitles> subtitles = not_asked();
  Result<Thumbnail> preview = not_asked();
  Result<Thumbnail> encoded = not_asked();
  Result<RewriteSummary> rewritten = not_asked();
  Timings timings;
};

template <typename Archive>
void visit_fields(Archive& archive, Same<Hashes> auto& h) {
  archive(h.file), archive(h.asset), archive(h.coded), archive(h.former);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Picture> auto& p) {
  archive(p.width), archive(p.height), archive(p.full_width), archive(p.full_height), archive(p.offset);
  archive(p.partial), archive(p.animated), archive(p.warnings), archive(p.luma), archive(p.condensed);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Thumbnail> auto& t) {
  archive(t.offset), archive(t.bytes);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<ChosenFrame> auto& f) {
  archive(f.seconds), archive(f.picture), archive(f.thumbnail), archive(f.is_between);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<VideoChunk> auto& c) {
  archive(c.seconds), archive(c.small_offset), archive(c.chosen), archive(c.steps);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<VideoStep> auto& s) {
  archive(s.seconds), archive(s.frames);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<VideoSummary> auto& v) {
  archive(v.first), archive(v.last), archive(v.duration), archive(v.frame_rate), archive(v.frames), archive(v.warnings);
  archive(v.audio_streams), archive(v.subtitle_streams), archive(v.is_hdr);
  archive(v.decode), archive(v.reduce), archive(v.convert), archive(v.thumbnail), archive(v.waited);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<WrittenPart> auto& p) {
  archive(p.position), archive(p.offset), archive(p.bytes);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<CutSummary> auto& c) {
  archive(c.from), archive(c.to), archive(c.key_frame), archive(c.video_codecs), archive(c.audio_codecs);
  archive(c.warnings);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<RewriteStep> auto& s) {
  archive(s.part), archive(s.seconds), archive(s.picture);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<RewriteSummary> auto& s) {
  archive(s.frames), archive(s.codec), archive(s.sound_tracks), archive(s.subtitle_tracks), archive(s.notes);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<SoundChunk> auto& c) {
  archive(c.seconds), archive(c.offset), archive(c.samples);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Loudness> auto& l) {
  archive(l.integrated), archive(l.range), archive(l.true_peak), archive(l.clipped_seconds);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<SoundSummary> auto& s) {
  archive(s.first), archive(s.last), archive(s.duration), archive(s.track), archive(s.tracks), archive(s.loudness);
  archive(s.is_cut_off), archive(s.warnings);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Subtitles> auto& s) {
  archive(s.stream), archive(s.codec), archive(s.language), archive(s.title);
  archive(s.text_streams), archive(s.other_streams), archive(s.cues), archive(s.warnings);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Timings> auto& t) {
  archive(t.metadata), archive(t.hash), archive(t.decode), archive(t.thumbnail);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Reply> auto& r) {
  archive(r.metadata), archive(r.hashes), archive(r.picture), archive(r.thumbnail), archive(r.clip);
  archive(r.video), archive(r.cut), archive(r.sound), archive(r.subtitles), archive(r.preview);
  archive(r.encoded), archive(r.rewritten);
  archive(r.timings);
}

}  // namespace image_engine::worker
