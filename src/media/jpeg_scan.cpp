#include "media/jpeg_scan.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/cpu.h"

namespace image_engine::media {
namespace {

// What the end of a block counts as: further on than any coefficient.
constexpr std::uint8_t kEndOfBlock = 101;
constexpr std::size_t kBlockEnd = 64;
constexpr std::uint8_t kMarker = 0xFF;

#if defined(__x86_64__)
const bool kHasBmi2 = cpu_uses(CpuLevel::kAvx2) && __builtin_cpu_supports("bmi2") != 0;
#endif

using EightValues = std::int16_t __attribute__((vector_size(16), may_alias));

// Not by a loop, std::fill or memset: of this known size, compilers make a slow "rep stos" of them.
[[gnu::always_inline]] inline void clear(CoefficientBlock& block) {
  auto* eights = reinterpret_cast<EightValues*>(block.values.data());
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) __attribute__((always_inline)) {
    ((eights[kIndex] = EightValues{}), ...);
  }
  (std::make_index_sequence<8>());
}

// The place of the k-th coefficient, from 1 on (T.81, figure A.6); those behind the last share its place.
constexpr auto kPlace = [] {
  std::array<std::uint8_t, kBlockEnd + kEndOfBlock> order{};
  std::size_t k = 1;
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
  std::uint8_t places;
  unsigned size;  // bits of the number behind it
};
constexpr Symbol meaning_of(unsigned symbol, bool is_ac) {
  if (!is_ac) return {1, symbol};
  if (symbol == 0) return {kEndOfBlock, 0};
  return {static_cast<std::uint8_t>((symbol >> 4) + 1), symbol & 15U};
}
// Not all symbols have a meaning in a baseline scan.
constexpr bool is_meant(unsigned symbol, bool is_ac) {
  return is_ac ? (symbol & 15U) != 0 || symbol == 0 || symbol == 0xF0 : symbol < 16;
}

}  // namespace

bool JpegScan::make(const HuffmanCodes& codes, bool is_ac, Table& table) {
  table.symbols = codes.symbols;
  table.is_ac = is_ac;
  table.look.fill({{}, {0, kLookBits + 1, 0}});
  std::uint32_t code = 0;
  std::size_t used = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    const unsigned count = codes.counts[length - 1];
    if (used + count > table.symbols.size() || code + count > 1U << length) return false;
    table.place[length] = static_cast<std::int32_t>(used) - static_cast<std::int32_t>(code);
    for (unsigned i = 0; i < count; ++i, ++code, ++used) {
      const unsigned symbol = table.symbols[used];
      if (!is_meant(symbol, is_ac)) return false;
      const auto [places, size] = meaning_of(symbol, is_ac);
      if (length > kLookBits) continue;
      if (length + size > kLookBits) {
        std::fill_n(&table.look[code << (kLookBits - length)], std::size_t{1} << (kLookBits - length),
                    Entry{{}, {0, static_cast<std::uint8_t>(length), 0}});
        continue;
      }
      const unsigned rest = kLookBits - length - size;
      for (std::uint32_t number = 0; number < 1U << size; ++number) {
        const Step step{extend(number, size), places, static_cast<std::uint8_t>(length + size)};
        std::fill_n(&table.look[((code << size) + number) << rest], std::size_t{1} << rest,
                    Entry{step, {step.value, 0, step.bits}});
      }
    }
    table.end[length] = code << (16 - length);
    code <<= 1;
  }
  if (is_ac) add_second_steps(table);
  return true;
}

void JpegScan::add_second_steps(Table& table) {
  for (std::uint32_t i = 0; i < table.look.size(); ++i) {
    Entry& entry = table.look[i];
    if (entry.first.bits == 0 || entry.first.places == kEndOfBlock) continue;
    const Step next = table.look[i << entry.first.bits & (table.look.size() - 1)].first;
    const unsigned bits = entry.first.bits + next.bits;
    if (next.bits > 0 && bits <= kLookBits) entry.second = {next.value, next.places, static_cast<std::uint8_t>(bits)};
  }
}

std::optional<JpegScan> JpegScan::create(const ScanCodes& codes, Bytes data) {
  JpegScan scan;
  scan.dc_.resize(codes.dc.size());
  scan.ac_.resize(codes.ac.size());
  for (std::size_t i = 0; i < codes.dc.size(); ++i)
    if (!make(codes.dc[i], false, scan.dc_[i])) return std::nullopt;
  for (std::size_t i = 0; i < codes.ac.size(); ++i)
    if (!make(codes.ac[i], true, scan.ac_[i])) return std::nullopt;
  for (const auto& component : codes.components) {
    if (component.dc >= scan.dc_.size() || component.ac >= scan.ac_.size()) return std::nullopt;
    scan.components_.push_back({&scan.dc_[component.dc], &scan.ac_[component.ac]});
  }
  scan.data_ = data;
  scan.chunk_.resize(kChunk + kMostOfMcu);
  scan.reader_.at = scan.chunk_end_ = scan.chunk_.data();
  scan.interval_ = scan.until_restart_ = codes.restart_interval;
  return scan;
}

// Copies what follows without the zeros behind 0xFF, up to a marker. Not after the last chunk.
void JpegScan::fill_chunk() {
  const auto kept = static_cast<std::size_t>(chunk_end_ - reader_.at);
  std::uint8_t* to = chunk_.data();
  std::memmove(to, reader_.at, kept);
  to += kept;
  const std::uint8_t* const full = chunk_.data() + kChunk;
  const auto* from = reinterpret_cast<const std::uint8_t*>(data_.data());
  const auto* const end = from + data_.size();
  while (to < full && from < end) {
    const auto room = static_cast<std::size_t>(std::min(full - to, end - from));
    const auto* found = static_cast<const std::uint8_t*>(std::memchr(from, kMarker, room));
    const std::size_t plain = found == nullptr ? room : static_cast<std::size_t>(found - from);
    std::memcpy(to, from, plain);
    to += plain, from += plain;
    if (found == nullptr) continue;
    is_last_ = end - from < 2 || from[1] != 0;
    if (is_last_) break;
    *to++ = kMarker;
    from += 2;
  }
  is_last_ |= from == end;
  data_ = data_.subspan(data_.size() - static_cast<std::size_t>(end - from));
  std::memset(to, 0, kMostOfMcu);
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

// One that Table::look lacks; the reader has at least 31 bits. Its `bits` are 0 if there is no such code.
JpegScan::Step JpegScan::read_long(Reader reader, const Table& table) {
  const std::uint32_t next = reader.peek(16);
  for (unsigned length = table.look[reader.peek(kLookBits)].second.places; length <= 16; ++length) {
    if (next >= table.end[length]) continue;
    const auto code = static_cast<std::int32_t>(next >> (16 - length));
    const unsigned symbol = table.symbols[static_cast<std::size_t>(code + table.place[length]) % table.symbols.size()];
    const auto [places, size] = meaning_of(symbol, table.is_ac);
    const std::uint32_t number = reader.peek(length + size) & ((1U << size) - 1);
    return {extend(number, size), places, static_cast<std::uint8_t>(length + size)};
  }
  return {};
}

[[gnu::always_inline]] inline bool JpegScan::read_block(Component& component, CoefficientBlock& block) {
  const Table &dc = *component.dc, &ac = *component.ac;
  Reader reader = reader_;  // in registers
  clear(block);

  reader.fill();
  Step step = dc.look[reader.peek(kLookBits)].first;
  if (step.bits == 0) step = read_long(reader, dc);
  if (step.bits == 0) return false;
  reader.drop(step.bits);
  component.before += step.value;
  if (component.before != static_cast<std::int16_t>(component.before)) return false;
  block.values[0] = static_cast<std::int16_t>(component.before);

  std::size_t k = 1;  // coefficients that are known
  const auto take = [&](const Step& next) {
    k += next.places;
    block.values[kPlace[k]] = next.value;
  };
  while (k < kBlockEnd) {
    reader.fill();
    for (unsigned i = 0; i < kLooks; ++i) {
      const Entry& found = ac.look[reader.peek(kLookBits)];
      if (found.first.bits == 0) [[unlikely]] {
        reader.fill();
        step = read_long(reader, ac);
        if (step.bits == 0) return false;
        take(step);
        reader.drop(step.bits);
        break;
      }
      take(found.first);
      if (k >= kBlockEnd) {  // the second one is of the next block
        reader.drop(found.first.bits);
        break;
      }
      take(found.second);
      reader.drop(found.second.bits);
      if (k >= kBlockEnd) break;
    }
  }
  reader_ = reader;
  block.is_flat = k == 1 + kEndOfBlock;
  return k == kBlockEnd || k > kEndOfBlock;
}

#if defined(__x86_64__)
// Shifts by a variable number are twice as fast there.
[[gnu::target("avx2,bmi2")]] bool JpegScan::read_bmi2(Component& component, CoefficientBlock& block) {
  return read_block(component, block);
}
bool JpegScan::read(std::size_t component, CoefficientBlock& block) {
  return kHasBmi2 ? read_bmi2(components_[component], block) : read_block(components_[component], block);
}
#else
bool JpegScan::read(std::size_t component, CoefficientBlock& block) {
  return read_block(components_[component], block);
}
#endif

bool JpegScan::begin_mcu() {
  if (bits_left() < 0) return false;
  if (interval_ > 0) {
    if (until_restart_ == 0 && !restart()) return false;
    --until_restart_;
  }
  if (!is_last_ && chunk_end_ - reader_.at < static_cast<std::ptrdiff_t>(kMostOfMcu)) fill_chunk();
  return true;
}

bool JpegScan::is_at(std::uint8_t marker) const {
  const std::ptrdiff_t left = bits_left();
  return left >= 0 && left < 8 && data_.size() >= 2 && std::to_integer<std::uint8_t>(data_[0]) == kMarker &&
         std::to_integer<std::uint8_t>(data_[1]) == marker;
}

bool JpegScan::restart() {
  if (!is_at(static_cast<std::uint8_t>(kFirstRestart + next_restart_))) return false;
  data_ = data_.subspan(2);
  reader_ = {chunk_.data()};
  chunk_end_ = reader_.at;
  is_last_ = false;
  next_restart_ = (next_restart_ + 1) % 8;
  until_restart_ = interval_;
  for (Component& component : components_) component.before = 0;
  return true;
}

}  // namespace image_engine::media
