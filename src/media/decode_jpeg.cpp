#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <cstring>
#include <optional>

#define JPEG_INTERNALS  // for the cosine transforms
// clang-format off: jerror.h needs jpeglib.h
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "media/colour.h"
#include "media/decoders.h"
#include "media/jpeg_scan.h"
#include "media/libraries.h"
#include "media/ycc_planes.h"

namespace image_engine::media {
namespace {

// A progressive picture has about ten scans; each costs a pass over all coefficients, so thousands are an attack.
constexpr int kMaxScans = 500;
// What libjpeg may hold: the coefficients of a progressive picture of 300 megapixels, 4:2:0.
constexpr long kMaxMemory = 1L << 30;

struct Code {
  int message;
  ErrorCode code;
};
constexpr std::array kErrorCodes{
    Code{JERR_BAD_PRECISION, ErrorCode::kUnsupported},      Code{JERR_SOF_UNSUPPORTED, ErrorCode::kUnsupported},
    Code{JERR_CONVERSION_NOTIMPL, ErrorCode::kUnsupported}, Code{JERR_NO_BACKING_STORE, ErrorCode::kTooLarge},
    Code{JERR_OUT_OF_MEMORY, ErrorCode::kOutOfMemory},
};
// Warnings that mean missing or wrong pixels, not just an untidy file.
constexpr std::array kDamage{JWRN_JPEG_EOF, JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_MUST_RESYNC,
                             JWRN_BOGUS_PROGRESSION};

struct ErrorHandler {
  jpeg_error_mgr base{};  // first member: libjpeg passes a pointer to it back
  std::jmp_buf jump{};
  int fatal = 0;  // the message that ended decoding
  bool ended_early = false;
  bool damaged = false;
  std::uint64_t passed_over = 0;             // stray bytes before a marker
  std::array<char, JMSG_LENGTH_MAX> text{};  // of the error, or else of the first warning

  ErrorHandler() {
    jpeg_std_error(&base);
    base.error_exit = [](j_common_ptr info) {
      auto& self = of(info);
      self.fatal = info->err->msg_code;
      info->err->format_message(info, self.text.data());
      std::longjmp(self.jump, 1);
    };
    base.emit_message = [](j_common_ptr info, int level) {
      if (level >= 0) return;
      auto& self = of(info);
      if (info->err->num_warnings++ == 0) info->err->format_message(info, self.text.data());
      const int code = info->err->msg_code;
      if (code == JWRN_EXTRANEOUS_DATA) self.passed_over += static_cast<unsigned>(info->err->msg_parm.i[0]);
      self.ended_early |= code == JWRN_JPEG_EOF;
      self.damaged |= std::find(kDamage.begin(), kDamage.end(), code) != kDamage.end();
    };
    base.output_message = [](j_common_ptr) {};
  }
  static ErrorHandler& of(j_common_ptr info) { return *reinterpret_cast<ErrorHandler*>(info->err); }
};

// Owns a libjpeg decompressor. Calls go through guarded(), the target of longjmp.
class Decompressor {
 public:
  Decompressor() { info.err = &errors.base; }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor() { jpeg_destroy_decompress(&info); }

  // False when libjpeg failed inside `call`, which must own nothing that needs a destructor.
  template <typename Call>
  bool guarded(Call call) {
    if (setjmp(errors.jump) != 0) return false;
    call();
    return true;
  }
  [[nodiscard]] Error error() const {
    const auto* known =
        std::find_if(kErrorCodes.begin(), kErrorCodes.end(), [&](const Code& c) { return c.message == errors.fatal; });
    return {known == kErrorCodes.end() ? ErrorCode::kCorrupt : known->code,
            std::string("the JPEG cannot be decoded: ") + errors.text.data()};
  }

  ErrorHandler errors;
  bool ended_before_first_rows = false;
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};
};

void limit_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) ERREXIT(info, JERR_NO_BACKING_STORE);
}

// The smallest DCT scale, in eighths, at which both edges are still that many times the target's: below it the scaled
// DCT's cut-off is visible. Compared with resizing a full decode, the worst of 586 working pictures differs by 1.4/255
// on average at 2.5 times, by 0.6/255 at these. Small pictures may be all fine texture, and cost little. libjpeg-turbo
// has fast code only for these four scales.
unsigned choose_eighths(Size full, Size target) {
  constexpr std::uint64_t kSmall = 4'000'000;  // pixels
  const unsigned times = std::uint64_t{full.width} * full.height < kSmall ? 4 : 3;
  for (const unsigned eighths : {1U, 2U, 4U}) {
    const auto enough = [&](std::uint64_t edge, std::uint64_t wanted) { return edge * eighths >= wanted * times * 8; };
    if (enough(full.width, target.width) && enough(full.height, target.height)) return eighths;
  }
  return 8;
}

// The conversion of libjpeg's samples before the resizer.
struct RowConversion {
  int channels = 3;
  bool inverted = false;  // Adobe stores 255 − ink
  std::optional<ColourTransform> transform;

  void apply(std::vector<std::uint8_t>& in, std::uint8_t* out) const {
    const size_t pixels = in.size() / static_cast<size_t>(channels);
    if (inverted)
      for (auto& sample : in) sample = static_cast<std::uint8_t>(255 - sample);
    if (transform)
      transform->apply(in.data(), out, pixels);
    else
      cmyk_to_rgb(in.data(), out, pixels);
  }
};

// CMYK and profiled grey become RGB row by row; libjpeg outputs the rest as RGB, which is converted after resizing.
RowConversion choose_conversion(jpeg_decompress_struct& info, Bytes icc, Decoded& decoded) {
  RowConversion conversion;
  const bool ink = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  const bool grey = info.jpeg_color_space == JCS_GRAYSCALE && needs_transform(icc);
  info.out_color_space = ink ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
  conversion.channels = ink ? 4 : grey ? 1 : 3;
  conversion.inverted = ink && info.saw_Adobe_marker;
  if (conversion.channels == 3 || icc.empty()) return conversion;
  if (auto transform = ColourTransform::create(icc, conversion.channels)) {
    conversion.transform = std::move(*transform);
  } else {
    decoded.warnings.push_back(std::move(transform).error().message);
    if (grey) info.out_color_space = JCS_RGB, conversion.channels = 3;
  }
  return conversion;
}

// Full resolution without unneeded work: libjpeg's own planes, before chroma upsampling and conversion. Luma goes
// directly to the accumulator; the working picture is made from means of factor × factor pixels.
class PlaneReader {
 public:
  // Whether the planes divide evenly: chroma samples must lie within the cells.
  static bool takes(const jpeg_decompress_struct& info, unsigned factor) {
    if (info.jpeg_color_space != JCS_YCbCr || factor < 2) return false;
    const auto divides = [&](const jpeg_component_info& c) {
      return info.max_h_samp_factor % c.h_samp_factor == 0 && info.max_v_samp_factor % c.v_samp_factor == 0 &&
             factor % (info.max_h_samp_factor / c.h_samp_factor) == 0 &&
             factor % (info.max_v_samp_factor / c.v_samp_factor) == 0;
    };
    const auto& luma = info.comp_info[0];
    return luma.h_samp_factor == info.max_h_samp_factor && luma.v_samp_factor == info.max_v_samp_factor &&
           divides(info.comp_info[1]) && divides(info.comp_info[2]);
  }

  // After jpeg_start_decompress with raw_data_out.
  PlaneReader(const jpeg_decompress_struct& info, unsigned factor)
      : factor_(factor), group_rows_(info.max_v_samp_factor * DCTSIZE) {
    for (size_t i = 0; i < planes_.size(); ++i) {
      const jpeg_component_info& c = info.comp_info[i];
      Plane& plane = planes_[i];
      plane.size = {c.downsampled_width, c.downsampled_height};
      plane.fx = factor * c.h_samp_factor / info.max_h_samp_factor;
      plane.fy = factor * c.v_samp_factor / info.max_v_samp_factor;
      const size_t stride = size_t{c.width_in_blocks} * DCTSIZE, rows = size_t(c.v_samp_factor) * DCTSIZE;
      plane.samples.resize(stride * rows);
      for (size_t y = 0; y < rows; ++y) plane.rows.push_back(plane.samples.data() + y * stride);
      plane.reduced.resize((plane.size.width + plane.fx - 1) / plane.fx);
      into_[i] = plane.rows.data();
    }
  }

  JSAMPIMAGE into() { return into_.data(); }
  [[nodiscard]] JDIMENSION group_rows() const { return group_rows_; }

  // The group of rows that begins at luma row `top` has been read.
  void pass_on(std::uint32_t top, LumaAccumulator& luma, RowResizer& resizer) {
    const Plane& y = planes_[0];
    const std::uint32_t rows = std::min<std::uint32_t>(group_rows_, y.size.height - top);
    for (std::uint32_t r = 0; r < rows; ++r) luma.add_row({y.rows[r], y.size.width});
    for (std::uint32_t cell = 0; cell * factor_ < rows; ++cell) {
      for (Plane& plane : planes_) {
        const std::uint32_t plane_top = top / factor_ * plane.fy, first = cell * plane.fy;
        const std::uint32_t left = plane.size.height - std::min(plane.size.height, plane_top + first);
        const std::uint32_t count = std::clamp<std::uint32_t>(left, 1, plane.fy);
        const JSAMPROW* const from = plane.rows.data() + std::min<size_t>(first, plane.rows.size() - count);
        plane.row = plane.fx * plane.fy == 1 ? *from : plane.reduced.data();
        if (plane.row != *from) average_cells(from, count, plane.size.width, plane.fx, plane.reduced.data());
      }
      const size_t width = std::min({planes_[0].reduced.size(), planes_[1].reduced.size(), planes_[2].reduced.size()});
      ycc_to_rgb(planes_[0].row, planes_[1].row, planes_[2].row, resizer.next_row(), width);
      resizer.commit_row();
    }
  }

 private:
  struct Plane {
    Size size;
    unsigned fx = 1, fy = 1;
    std::vector<JSAMPLE> samples;
    std::vector<JSAMPROW> rows;
    std::vector<std::uint8_t> reduced;
    const std::uint8_t* row = nullptr;  // of cells: in `reduced`, or one of `rows` if a cell is one sample
  };
  unsigned factor_;
  JDIMENSION group_rows_;
  std::array<Plane, 3> planes_;
  std::array<JSAMPARRAY, 3> into_{};
};

// A baseline picture truncated before its first rows shows nothing; a progressive one has them only at its end.
void note_early_end(Decompressor& jpeg) {
  jpeg.ended_before_first_rows = jpeg.errors.ended_early && !jpeg_has_multiple_scans(&jpeg.info);
}

// Reads all rows as RGB; false when libjpeg failed.
bool read_rows(Decompressor& jpeg, const RowConversion& conversion, RowResizer& resizer) {
  auto& info = jpeg.info;
  std::vector<std::uint8_t> samples(conversion.channels == 3 ? 0 : size_t{info.output_width} * conversion.channels);
  while (info.output_scanline < info.output_height) {
    std::uint8_t* row = resizer.next_row();
    JSAMPROW into = samples.empty() ? row : samples.data();
    if (!jpeg.guarded([&] { jpeg_read_scanlines(&info, &into, 1); })) return false;
    if (!samples.empty()) conversion.apply(samples, row);
    resizer.commit_row();
    if (resizer.rows() == 1) note_early_end(jpeg);
    if (jpeg.ended_before_first_rows) return true;
  }
  return true;
}

// Those that are absent have no codes.
std::vector<HuffmanCodes> codes_of(JHUFF_TBL* const (&tables)[NUM_HUFF_TBLS]) {
  std::vector<HuffmanCodes> codes(NUM_HUFF_TBLS);
  for (size_t i = 0; i < codes.size(); ++i) {
    if (tables[i] == nullptr) continue;
    std::copy_n(tables[i]->bits + 1, codes[i].counts.size(), codes[i].counts.begin());
    std::copy_n(tables[i]->huffval, codes[i].symbols.size(), codes[i].symbols.begin());
  }
  return codes;
}

// After jpeg_start_decompress, which gives files without tables the standard ones: the only scan of a baseline file, if
// all components are in it.
std::optional<JpegScan> open_plain_scan(const jpeg_decompress_struct& info) {
  const bool is_sequential = !info.progressive_mode && !info.arith_code && info.Ss == 0 && info.Se == DCTSIZE2 - 1 &&
                             info.Ah == 0 && info.Al == 0;
  if (!is_sequential || info.comps_in_scan != info.num_components) return std::nullopt;
  ScanCodes codes;
  codes.restart_interval = info.restart_interval;
  codes.dc = codes_of(info.dc_huff_tbl_ptrs);
  codes.ac = codes_of(info.ac_huff_tbl_ptrs);
  for (int i = 0; i < info.comps_in_scan; ++i) {
    const jpeg_component_info& c = *info.cur_comp_info[i];
    if (&c != &info.comp_info[i]) return std::nullopt;
    codes.components.push_back({static_cast<size_t>(c.dc_tbl_no), static_cast<size_t>(c.ac_tbl_no)});
  }
  const auto* data = reinterpret_cast<const std::byte*>(info.src->next_input_byte);
  return JpegScan::create(codes, {data, info.src->bytes_in_buffer});
}

// The samples of a block, from `column` on. Of a flat one they are equal: as libjpeg's transform rounds them, which for
// means beyond what pictures have is left to it.
void write_samples(jpeg_decompress_struct& info, int component, CoefficientBlock& block, JSAMPARRAY rows,
                   JDIMENSION column) {
  jpeg_component_info& c = info.comp_info[component];
  constexpr int kMostMean = 4096;  // times 8
  const int mean = block.values[0] * c.quant_table->quantval[0];
  if (!block.is_flat || std::abs(mean) > kMostMean)
    return info.idct->inverse_DCT[component](&info, &c, block.values.data(), rows, column);
  const int level = std::clamp(((mean + 4) >> 3) + CENTERJSAMPLE, 0, MAXJSAMPLE);
  for (int y = 0; y < DCTSIZE; ++y) std::memset(rows[y] + column, level, DCTSIZE);
}

// The next MCU of `scan`, in `column`, as samples; what jpeg_read_raw_data makes of it. `block` is memory for it.
// False at any fault.
bool read_mcu(JpegScan& scan, jpeg_decompress_struct& info, JDIMENSION column, CoefficientBlock& block,
              JSAMPIMAGE into) {
  if (!scan.begin_mcu()) return false;
  for (int i = 0; i < info.num_components; ++i) {
    jpeg_component_info& c = info.comp_info[i];
    const auto across = static_cast<JDIMENSION>(c.h_samp_factor);
    for (int y = 0; y < c.v_samp_factor; ++y)
      for (JDIMENSION x = column * across; x < (column + 1) * across; ++x) {
        if (!scan.read(static_cast<size_t>(i), block)) return false;
        if (x < c.width_in_blocks) write_samples(info, i, block, into[i] + y * DCTSIZE, x * DCTSIZE);
      }
  }
  return true;
}

bool read_row_of_mcus(JpegScan& scan, jpeg_decompress_struct& info, JSAMPIMAGE into) {
  CoefficientBlock block;
  for (JDIMENSION column = 0; column < info.MCUs_per_row; ++column)
    if (!read_mcu(scan, info, column, block, into)) return false;
  return true;
}

// Reads all rows through a PlaneReader; false when `read_group`, which fills the planes from luma row `top` on, is.
template <typename ReadGroup>
bool read_planes(Decompressor& jpeg, unsigned factor, LumaAccumulator& luma, RowResizer& resizer,
                 ReadGroup read_group) {
  const auto& info = jpeg.info;
  PlaneReader planes(info, factor);
  luma.begin(info.output_width, info.output_height);
  for (std::uint32_t top = 0; top < info.output_height; top += planes.group_rows()) {
    if (!read_group(planes)) return false;
    if (top == 0) note_early_end(jpeg);
    if (jpeg.ended_before_first_rows) return true;
    planes.pass_on(top, luma, resizer);
  }
  return true;
}

// By libjpeg, whatever the data are; false when it failed.
bool read_planes_of_any(Decompressor& jpeg, unsigned factor, LumaAccumulator& luma, RowResizer& resizer) {
  return read_planes(jpeg, factor, luma, resizer, [&](PlaneReader& planes) {
    return jpeg.guarded([&] { jpeg_read_raw_data(&jpeg.info, planes.into(), planes.group_rows()); });
  });
}

// The same samples of a baseline scan, by JpegScan and libjpeg's transforms. False, and libjpeg's state is as before,
// if the scan is of another kind or has any fault.
bool read_planes_of_plain(Decompressor& jpeg, unsigned factor, LumaAccumulator& luma, RowResizer& resizer) {
  auto scan = open_plain_scan(jpeg.info);
  return scan &&
         read_planes(jpeg, factor, luma, resizer,
                     [&](PlaneReader& planes) { return read_row_of_mcus(*scan, jpeg.info, planes.into()); }) &&
         scan->ends();
}

// After the header: whether the scan uses a Huffman table that the file lacks. libjpeg-turbo then uses the standard
// one, which is right for frames of Motion JPEG, but shows noise if a table was lost.
bool lacks_table(const jpeg_decompress_struct& info) {
  if (info.progressive_mode || info.arith_code) return false;
  return std::any_of(info.cur_comp_info, info.cur_comp_info + info.comps_in_scan, [&](const jpeg_component_info* c) {
    const auto absent = [](JHUFF_TBL* const* tables, int number) {
      return number >= 0 && number < NUM_HUFF_TBLS && tables[number] == nullptr;
    };
    return absent(info.dc_huff_tbl_ptrs, c->dc_tbl_no) || absent(info.ac_huff_tbl_ptrs, c->ac_tbl_no);
  });
}

// After all rows: whether much of the coded data was unused, as with wrong Huffman tables. Cameras pad by less than the
// sixteenth of a file that is allowed here.
bool leaves_data(Decompressor& jpeg, size_t file_size) {
  jpeg.errors.passed_over = 0;
  jpeg.guarded([&] { jpeg_finish_decompress(&jpeg.info); });
  return jpeg.errors.passed_over > file_size / 16;
}

}  // namespace

#define IE_TEXT_OF(value) #value
#define IE_TEXT(value) IE_TEXT_OF(value)
std::string jpeg_version() { return IE_TEXT(LIBJPEG_TURBO_VERSION); }

Result<Decoded> decode_jpeg(Bytes file, const DecodeOptions& options, Bytes icc) {
  Decompressor jpeg;
  auto& info = jpeg.info;
  const bool opened = jpeg.guarded([&] {
    jpeg_create_decompress(&info);
    info.mem->max_memory_to_use = kMaxMemory;
    jpeg.progress.progress_monitor = limit_scans;
    info.progress = &jpeg.progress;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&info, TRUE);
  });
  if (!opened) return fail(jpeg.error());

  const Size full{info.image_width, info.image_height};
  IE_CHECK(check_size(full, options));
  const Size target = fit(full, options.max_edge);
  Decoded decoded;
  if (lacks_table(info)) decoded.warnings.emplace_back("the JPEG lacks a Huffman table: the standard one was used");
  const unsigned eighths = choose_eighths(full, target);
  const unsigned factor = 8 / eighths;
  const bool by_planes = options.luma != nullptr && PlaneReader::takes(info, factor);
  info.scale_num = options.luma != nullptr ? 8 : eighths;
  info.scale_denom = 8;
  const auto conversion = choose_conversion(info, icc, decoded);
  if (by_planes) info.raw_data_out = TRUE;
  if (!jpeg.guarded([&] { jpeg_start_decompress(&info); })) return fail(jpeg.error());

  const unsigned cell = by_planes ? factor : 1;
  const double scale = info.scale_num / 8.0 / cell;
  const auto make_resizer = [&] {
    return RowResizer({(info.output_width + cell - 1) / cell, (info.output_height + cell - 1) / cell}, target,
                      full.width * scale, full.height * scale);
  };
  RowResizer resizer = make_resizer();
  const bool is_plain = by_planes && read_planes_of_plain(jpeg, factor, *options.luma, resizer);
  bool whole = true;
  if (by_planes && !is_plain) {
    resizer = make_resizer();
    whole = read_planes_of_any(jpeg, factor, *options.luma, resizer);
  } else if (!by_planes) {
    resizer.watch(options.luma);
    whole = read_rows(jpeg, conversion, resizer);
  }
  if (jpeg.ended_before_first_rows) return fail(ErrorCode::kCorrupt, "the JPEG ends before its first rows");
  if (resizer.rows() == 0) return fail(jpeg.error());

  decoded.partial = !whole || jpeg.errors.damaged;
  if (jpeg.errors.text[0] != 0) decoded.warnings.emplace_back(jpeg.errors.text.data());
  if (!decoded.partial && !is_plain && leaves_data(jpeg, file.size())) {
    decoded.partial = true;
    decoded.warnings.emplace_back("the JPEG's picture ends before its coded data: its tables are damaged");
  }
  decoded.image = resizer.finish();
  if (conversion.channels == 3) to_srgb(decoded, icc);
  decoded.full_width = full.width;
  decoded.full_height = full.height;
  return decoded;
}

Result<Decoded> decode_jpeg(Bytes file, const DecodeOptions& options) {
  const auto header = read_jpeg_header(file);
  if (!header) return fail(ErrorCode::kCorrupt, "the JPEG has no frame header");
  IE_CHECK(check_size({header->width, header->height}, options));
  return decode_jpeg(file, options, header->icc);
}

}  // namespace image_engine::media
