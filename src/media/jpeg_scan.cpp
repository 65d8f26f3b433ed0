#include "media/jpeg_scan.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace image_engine::media {
namespace {

// What a block's end skips: more than any coefficient can.
constexpr std::uint8_t kEndOfBlock = 100;
constexpr std::size_t kLargestSkip = 15;
constexpr std::uint8_t kMarker = 0xFF;

// The place of the k-th coefficient (T.81, figure A.6); behind the last all are the last.
constexpr auto kZigzag = [] {
  std::array<std::uint8_t, 64 + kEndOfBlock> order{};
  std::size_t k = 0;
  for (int diagonal = 0; diagonal < 15; ++diagonal)
    for (int step = 0; step <= diagonal; ++step) {
      const int row = diagonal % 2 == 0 ? diagonal - step : step, column = diagonal - row;
      if (row < 8 && column < 8) order[k++] = static_cast<std::uint8_t>(row * 8 + column);
    }
  for (; k < order.size(); ++k) order[k] = 63;
  return order;
}();

// The number that `size` bits stand for (T.81, F.2.2.1).
constexpr std::int16_t extend(std::uint32_t bits, unsigned size) {
  if (size == 0) return 0;
  const auto value = static_cast<std::int32_t>(bits);
  return static_cast<std::int16_t>(bits >> (size - 1) != 0 ? value : value - (1 << size) + 1);
}

struct Symbol {
  std::uint8_t skip;
  unsigned size;  // bits of the number behind it
};
constexpr Symbol meaning_of(unsigned symbol, bool is_ac) {
  if (!is_ac) return {0, symbol};
  if (symbol == 0) return {kEndOfBlock, 0};
  return {static_cast<std::uint8_t>(symbol >> 4), symbol & 15U};
}
// Not all symbols have a meaning in a baseline scan.
constexpr bool is_meant(unsigned symbol, bool is_ac) {
  return is_ac ? (symbol & 15U) != 0 || symbol == 0 || symbol == 0xF0 : symbol < 16;
}

}  // namespace

bool JpegScan::make(const HuffmanCodes& codes, bool is_ac, Table& table) {
  table.symbols = codes.symbols;
  table.is_ac = is_ac;
  std::uint32_t code = 0;
  std::size_t used = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    const unsigned count = codes.counts[length - 1];
    if (used + count > table.symbols.size() || code + count > 1U << length) return false;
    table.place[length] = static_cast<std::int32_t>(used) - static_cast<std::int32_t>(code);
    for (unsigned i = 0; i < count; ++i, ++code, ++used) {
      const unsigned symbol = table.symbols[used];
      if (!is_meant(symbol, is_ac)) return false;
      const auto [skip, size] = meaning_of(symbol, is_ac);
      if (length + size > kLookBits) continue;
      const unsigned rest = kLookBits - length - size;
      for (std::uint32_t number = 0; number < 1U << size; ++number)
        std::fill_n(&table.look[((code << size) + number) << rest], std::size_t{1} << rest,
                    Coefficient{extend(number, size), skip, static_cast<std::uint8_t>(length + size)});
    }
    table.end[length] = code << (16 - length);
    code <<= 1;
  }
  return true;
}

std::optional<JpegScan> JpegScan::create(const ScanCodes& codes, Bytes data) {
  JpegScan scan;
  scan.dc_.resize(codes.dc.size());
  scan.ac_.resize(codes.ac.size());
  for (std::size_t i = 0; i < codes.dc.size(); ++i)
    if (!make(codes.dc[i], false, scan.dc_[i])) return std::nullopt;
  for (std::size_t i = 0; i < codes.ac.size(); ++i)
    if (!make(codes.ac[i], true, scan.ac_[i])) return std::nullopt;
  for (const auto& component : codes.components) scan.components_.push_back({component.dc, component.ac});
  scan.data_ = data;
  scan.chunk_.resize(kChunk + kMostOfMcu);
  scan.reader_.at = scan.chunk_end_ = scan.chunk_.data();
  scan.interval_ = scan.until_restart_ = codes.restart_interval;
  return scan;
}

void JpegScan::fill_chunk() {
  const auto kept = static_cast<std::size_t>(chunk_end_ - reader_.at);
  std::uint8_t* to = chunk_.data();
  std::memmove(to, reader_.at, kept);
  to += kept;
  const std::uint8_t* const full = chunk_.data() + kChunk;
  const auto* from = reinterpret_cast<const std::uint8_t*>(data_.data());
  const auto* const end = from + data_.size();
  while (to < full && from < end) {
    const std::size_t room = std::min(full - to, end - from);
    const auto* found = static_cast<const std::uint8_t*>(std::memchr(from, kMarker, room));
    const std::size_t plain = found == nullptr ? room : static_cast<std::size_t>(found - from);
    std::memcpy(to, from, plain);
    to += plain, from += plain;
    if (found == nullptr) continue;
    if (end - from < 2 || from[1] != 0) break;
    *to++ = kMarker;
    from += 2;
  }
  data_ = data_.subspan(data_.size() - static_cast<std::size_t>(end - from));
  std::memset(to, 0, static_cast<std::size_t>(chunk_.data() + chunk_.size() - to));
  reader_.at = chunk_.data();
  chunk_end_ = to;
}

// Reads 8 bytes from `at`: there are zeros behind the last.
[[gnu::always_inline]] inline void JpegScan::Reader::fill() {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
  bits |= word >> count;
  at += (63 - count) / 8;
  count |= 56;
}

// One that Table::look lacks, found with a reader that has at least 31 bits. Its `bits` are 0 if there is no such code.
JpegScan::Coefficient JpegScan::read_long(Reader reader, const Table& table) {
  const std::uint32_t next = reader.peek(16);
  for (unsigned length = 1; length <= 16; ++length) {
    if (next >= table.end[length]) continue;
    const auto code = static_cast<std::int32_t>(next >> (16 - length));
    const unsigned symbol = table.symbols[static_cast<std::size_t>(code + table.place[length]) % table.symbols.size()];
    const auto [skip, size] = meaning_of(symbol, table.is_ac);
    reader.drop(length);
    const std::int16_t value = size == 0 ? std::int16_t{0} : extend(reader.peek(size), size);
    return {value, skip, static_cast<std::uint8_t>(length + size)};
  }
  return {};
}

bool JpegScan::read(std::size_t component, CoefficientBlock& block) {
  Component& of = components_[component];
  const Table &dc = dc_[of.dc], &ac = ac_[of.ac];
  Reader reader = reader_;  // in registers
  block.values = {};

  reader.fill();
  Coefficient found = dc.look[reader.peek(kLookBits)];
  if (found.bits == 0) found = read_long(reader, dc);
  if (found.bits == 0) return false;
  reader.drop(found.bits);
  of.before += found.value;
  if (of.before != static_cast<std::int16_t>(of.before)) return false;
  block.values[0] = static_cast<std::int16_t>(of.before);

  std::size_t k = 1;
  while (k < 64) {
    reader.fill();
    for (int i = 0; i < 4 && k < 64; ++i) {
      found = ac.look[reader.peek(kLookBits)];
      if (found.bits == 0) [[unlikely]] {
        reader.fill();
        found = read_long(reader, ac);
        if (found.bits == 0) return false;
      }
      reader.drop(found.bits);
      k += found.skip;
      block.values[kZigzag[k++]] = found.value;
    }
  }
  block.is_flat = k == 1 + kEndOfBlock + 1;
  reader_ = reader;
  return k == 64 || k > 64 + kLargestSkip;
}

bool JpegScan::begin_mcu() {
  if (bits_left() < 0) return false;
  if (interval_ > 0) {
    if (until_restart_ == 0 && !restart()) return false;
    --until_restart_;
  }
  if (chunk_end_ - reader_.at < static_cast<std::ptrdiff_t>(kMostOfMcu)) fill_chunk();
  return true;
}

bool JpegScan::is_at(std::uint8_t marker) const {
  const std::ptrdiff_t left = bits_left();
  return left >= 0 && left < 8 && data_.size() >= 2 && std::to_integer<std::uint8_t>(data_[0]) == kMarker &&
         std::to_integer<std::uint8_t>(data_[1]) == marker;
}

bool JpegScan::restart() {
  if (!is_at(kRestart + next_restart_)) return false;
  data_ = data_.subspan(2);
  reader_ = {chunk_.data()};
  chunk_end_ = reader_.at;
  next_restart_ = (next_restart_ + 1) % 8;
  until_restart_ = interval_;
  for (Component& component : components_) component.before = 0;
  return true;
}

}  // namespace image_engine::media
