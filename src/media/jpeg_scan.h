// The Huffman codes of a baseline JPEG's only scan, for data without fault. Whatever is odd is left to libjpeg, which
// knows what to make of it and what to say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "media/media.h"

namespace image_engine::media {

// The quantized coefficients of 8 × 8 samples, row by row.
struct CoefficientBlock {
  alignas(32) std::array<std::int16_t, 64> values{};
  bool is_flat = false;  // all but the first are 0
};

// A Huffman table as JPEG defines it (ITU-T T.81, C.2): the number of codes of each length 1…16, and their symbols.
struct HuffmanCodes {
  std::array<std::uint8_t, 16> counts{};
  std::array<std::uint8_t, 256> symbols{};
};

struct ScanCodes {
  struct Component {
    std::size_t dc = 0, ac = 0;  // indices of its tables
  };
  std::vector<HuffmanCodes> dc, ac;
  std::vector<Component> components;
  unsigned restart_interval = 0;  // MCUs; 0: none
};

// Reads blocks in the order of the file. One thread at a time.
class JpegScan {
 public:
  // The most blocks in an MCU (T.81, B.2.3).
  static constexpr std::size_t kMostBlocks = 10;

  // `data`, which is borrowed, begins behind the header of the scan. Nothing if a table is invalid, or if a component
  // names one that is absent.
  static std::optional<JpegScan> create(const ScanCodes& codes, Bytes data);
  JpegScan(JpegScan&&) noexcept = default;
  JpegScan& operator=(JpegScan&&) noexcept = default;

  // To be called before the blocks of each MCU, at most kMostBlocks. Both are false at the first irregularity: an
  // invalid code, a marker within the data, or no marker where one is due. Nothing can be read afterwards.
  [[nodiscard]] bool begin_mcu();
  [[nodiscard]] bool read(std::size_t component, CoefficientBlock& block);
  // After the last block: whether the picture ends here, with no data left over.
  [[nodiscard]] bool ends() const { return is_at(kEndOfImage); }

 private:
  JpegScan() = default;

  static constexpr std::uint8_t kFirstRestart = 0xD0, kEndOfImage = 0xD9;
  static constexpr unsigned kLookBits = 11;
  static constexpr unsigned kLooks = 56 / kLookBits;  // as many as a filled reader has bits for
  // Bytes that an MCU has at most, 31 bits a coefficient, and what is read ahead.
  static constexpr std::size_t kMostOfMcu = kMostBlocks * 64 * 31 / 8 + 64;
  static constexpr std::size_t kChunk = std::size_t{32} << 10;

  // A coefficient: how far on it is, so many less one are zero before it, and the bits of its code and value.
  struct Step {
    std::int16_t value = 0;
    std::uint8_t places = 0;
    std::uint8_t bits = 0;
  };
  // What the next kLookBits bits begin with: one coefficient, or two.
  struct Entry {
    Step first;   // of no bits: not all of its bits are among these
    Step second;  // `bits` are those of both; if there is but one, the same value 0 places on; if none, `places` is the
                  // least length of its code
  };
  struct Table {
    std::array<Entry, 1U << kLookBits> look{};
    // By the length of a code: the first one that is longer, aligned to 16 bits, and what to add to a code to get the
    // place of its symbol.
    std::array<std::uint32_t, 17> end{};
    std::array<std::int32_t, 17> place{};
    std::array<std::uint8_t, 256> symbols{};
    bool is_ac = false;
  };
  struct Component {
    const Table *dc, *ac;
    std::int32_t before = 0;  // the first coefficient of the block before
  };
  // `count` bits are valid, from the top of `bits`; those below are what follows, or 0.
  struct Reader {
    const std::uint8_t* at = nullptr;
    std::uint64_t bits = 0;
    unsigned count = 0;

    void fill();  // to at least 56
    [[nodiscard]] std::uint32_t peek(unsigned width) const { return static_cast<std::uint32_t>(bits >> (64 - width)); }
    void drop(unsigned width) { bits <<= width, count -= width; }
  };

  bool read_block(Component& component, CoefficientBlock& block);
  bool read_bmi2(Component& component, CoefficientBlock& block);
  static bool make(const HuffmanCodes& codes, bool is_ac, Table& table);
  static Step read_long(Reader reader, const Table& table);
  static void add_second_steps(Table& table);
  void fill_chunk();
  [[nodiscard]] std::ptrdiff_t bits_left() const { return (chunk_end_ - reader_.at) * 8 + reader_.count; }
  [[nodiscard]] bool is_at(std::uint8_t marker) const;
  bool restart();

  std::vector<Table> dc_, ac_;
  std::vector<Component> components_;
  Bytes data_;                       // not yet copied
  std::vector<std::uint8_t> chunk_;  // with kMostOfMcu zeros behind its end
  const std::uint8_t* chunk_end_ = nullptr;
  bool is_last_ = false;  // a marker or the end of the data is behind the chunk: the reader may pass the chunk's end
  Reader reader_;
  unsigned interval_ = 0, until_restart_ = 0;
  std::uint8_t next_restart_ = 0;
};

}  // namespace image_engine::media
