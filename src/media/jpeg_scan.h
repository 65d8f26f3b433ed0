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

// The coefficients of 8 × 8 samples, quantized, row by row.
struct CoefficientBlock {
  alignas(32) std::array<std::int16_t, 64> values{};
  bool is_flat = true;  // all but the first are 0
};

// A Huffman table as JPEG defines it (ITU-T T.81, C.2): the number of codes of each length 1…16, and their symbols.
struct HuffmanCodes {
  std::array<std::uint8_t, 16> counts{};
  std::array<std::uint8_t, 256> symbols{};
};

struct ScanCodes {
  struct Component {
    std::size_t dc = 0, ac = 0;  // its tables
  };
  std::vector<HuffmanCodes> dc, ac;
  std::vector<Component> components;
  unsigned restart_interval = 0;  // MCUs; 0: none
};

// Reads blocks in the order of the file. One thread at a time.
class JpegScan {
 public:
  // The most blocks in an MCU.
  static constexpr std::size_t kMostBlocks = 10;

  // `data` begins behind the header of the scan. Nothing if a table is not one.
  static std::optional<JpegScan> create(const ScanCodes& codes, Bytes data);

  // To be called before the blocks of each MCU, at most kMostBlocks. These are false once anything is not as it should
  // be: a code that is none, a marker within the data or none where one is due, data left over.
  [[nodiscard]] bool begin_mcu();
  [[nodiscard]] bool read(std::size_t component, CoefficientBlock& block);
  // After the last block: whether the picture ends here.
  [[nodiscard]] bool ends() const { return is_at(kEndOfImage); }

 private:
  static constexpr std::uint8_t kRestart = 0xD0, kEndOfImage = 0xD9;
  static constexpr unsigned kLookBits = 10;
  // Bytes that an MCU has at most: 31 bits a coefficient.
  static constexpr std::size_t kMostOfMcu = kMostBlocks * 64 * 31 / 8 + 8;
  static constexpr std::size_t kChunk = std::size_t{32} << 10;

  // What the next bits begin with: a code and the number behind it.
  struct Coefficient {
    std::int16_t value = 0;
    std::uint8_t skip = 0;  // zeros before it
    std::uint8_t bits = 0;  // of both; 0 in Table::look: they are longer than kLookBits, or there is no such code
  };
  struct Table {
    std::array<Coefficient, 1U << kLookBits> look{};
    // By the length of a code: the first one that is longer, aligned to 16 bits, and what to add to a code to get the
    // place of its symbol.
    std::array<std::uint32_t, 17> end{};
    std::array<std::int32_t, 17> place{};
    std::array<std::uint8_t, 256> symbols{};
    bool is_ac = false;
  };
  struct Component {
    std::size_t dc = 0, ac = 0;
    std::int32_t before = 0;  // the first coefficient of the block before
  };
  // `count` bits are valid, from the top of `bits`; those behind them are what follows, or 0.
  struct Reader {
    const std::uint8_t* at = nullptr;
    std::uint64_t bits = 0;
    unsigned count = 0;

    void fill();  // to at least 56
    [[nodiscard]] std::uint32_t peek(unsigned width) const { return static_cast<std::uint32_t>(bits >> (64 - width)); }
    void drop(unsigned width) { bits <<= width, count -= width; }
  };

  static bool make(const HuffmanCodes& codes, bool is_ac, Table& table);
  static Coefficient read_long(Reader reader, const Table& table);
  // Copies what follows without the zeros behind 0xFF, up to a marker.
  void fill_chunk();
  [[nodiscard]] std::ptrdiff_t bits_left() const { return (chunk_end_ - reader_.at) * 8 + reader_.count; }
  [[nodiscard]] bool is_at(std::uint8_t marker) const;
  bool restart();

  std::vector<Table> dc_, ac_;
  std::vector<Component> components_;
  Bytes data_;                       // not yet copied
  std::vector<std::uint8_t> chunk_;  // with zeros behind its end, as many as an MCU may read
  const std::uint8_t* chunk_end_ = nullptr;
  Reader reader_;
  unsigned interval_ = 0, until_restart_ = 0;
  std::uint8_t next_restart_ = 0;
};

}  // namespace image_engine::media
