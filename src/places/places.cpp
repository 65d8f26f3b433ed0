#include "places/places.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::places {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;  // IUGG mean radius R1
constexpr double kRadians = std::numbers::pi / 180;
constexpr int kRows = 180;  // cells of one degree, row 0 at the south pole, column 0 at 180° W
constexpr int kColumns = 360;
enum Field { kLat, kLon, kName, kAdmin1, kAdmin2, kCountry, kFields };
constexpr std::string_view kHeader = "lat,lon,name,admin1,admin2,cc";

using Vector = std::array<double, 3>;
using Fields = std::array<std::string_view, kFields>;

Vector unit_vector(double latitude, double longitude) {
  const double phi = latitude * kRadians, lambda = longitude * kRadians;
  return {std::cos(phi) * std::cos(lambda), std::cos(phi) * std::sin(lambda), std::sin(phi)};
}

double squared_chord(const Vector& a, const Vector& b) {
  const double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return x * x + y * y + z * z;
}

bool on_globe(double latitude, double longitude) {
  return std::abs(latitude) <= 90 && std::abs(longitude) <= 180;  // false for NaN
}

int row_of(double latitude) { return std::clamp(static_cast<int>(std::floor(latitude + 90)), 0, kRows - 1); }
int column_of(double longitude) {
  return ((static_cast<int>(std::floor(longitude)) + 180) % kColumns + kColumns) % kColumns;
}

bool parse_degrees(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// Reads RFC 4180 rows; doubled quotes are undone in place, so that the fields are views of the text.
class CsvReader {
 public:
  explicit CsvReader(std::string& text) : at_(text.data()), end_(text.data() + text.size()) {}

  [[nodiscard]] bool done() const { return at_ == end_; }

  // Reads to the row's end; false if it has not just as many fields as `fields` or its quotes are wrong.
  bool row(Fields& fields) {
    for (size_t count = 0;; ++count) {
      std::string_view value;
      const bool sound = at_ != end_ && *at_ == '"' ? quoted(value) : plain(value);
      if (!sound) return skip_line();
      if (count < fields.size()) fields[count] = value;
      if (at_ != end_ && *at_ == ',') {
        ++at_;
        continue;
      }
      skip_line();
      return count + 1 == fields.size();
    }
  }

 private:
  bool plain(std::string_view& value) {
    char* const start = at_;
    while (at_ != end_ && *at_ != ',' && *at_ != '\n') ++at_;
    value = {start, static_cast<size_t>(at_ - start)};
    if (value.ends_with('\r')) value.remove_suffix(1);
    return true;
  }

  // A quoted field ends on its line: so one stray quote spoils one row and not the rest of the file.
  bool quoted(std::string_view& value) {
    char* const start = ++at_;
    char* out = start;
    for (; at_ != end_ && *at_ != '\n'; ++at_) {
      if (*at_ == '"' && (++at_ == end_ || *at_ != '"')) {
        value = {start, static_cast<size_t>(out - start)};
        return at_ == end_ || *at_ == ',' || *at_ == '\n' || *at_ == '\r';
      }
      *out++ = *at_;
    }
    return false;
  }

  bool skip_line() {
    at_ = std::find(at_, end_, '\n');
    if (at_ != end_) ++at_;
    return false;
  }

  char* at_;
  char* end_;
};

struct Town {
  Vector position;
  std::string_view name, admin1, admin2, country_code;
};

}  // namespace

struct PlaceIndex::Data {
  std::string text;         // what the towns' names are views of
  std::vector<Town> towns;  // by cell
  std::vector<std::uint32_t> cell_start = std::vector<std::uint32_t>(kRows * kColumns + 1);
  size_t skipped = 0;
};

PlaceIndex::PlaceIndex(std::unique_ptr<const Data> data) : data_(std::move(data)) {}
PlaceIndex::PlaceIndex(PlaceIndex&&) noexcept = default;
PlaceIndex& PlaceIndex::operator=(PlaceIndex&&) noexcept = default;
PlaceIndex::~PlaceIndex() = default;

size_t PlaceIndex::size() const { return data_->towns.size(); }
size_t PlaceIndex::skipped_rows() const { return data_->skipped; }

namespace {

// In small letters, with a blank for each sign.
std::string comparable(std::string_view name) {
  std::string text = ascii_lower(name);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x80 && !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = ' ';
  return text;
}

}  // namespace

Result<std::vector<Position>> places_called(const std::string& csv_path, std::string_view name,
                                            std::string_view within) {
  IE_TRY(std::string text, read_file(csv_path));
  const std::string wanted = comparable(name), region = comparable(within);
  const auto is_within = [&](const Fields& fields) {
    return region.empty() || region == comparable(fields[kCountry]) || region == comparable(fields[kAdmin1]) ||
           region == comparable(country_name(fields[kCountry]));
  };
  std::vector<Position> found;
  CsvReader reader(text);
  for (Fields fields; !reader.done();) {
    if (!reader.row(fields) || fields[kName].size() != wanted.size() || comparable(fields[kName]) != wanted) continue;
    Position position;
    if (is_within(fields) && parse_degrees(fields[kLat], position.latitude) &&
        parse_degrees(fields[kLon], position.longitude) && on_globe(position.latitude, position.longitude))
      found.push_back(position);
  }
  return found;
}

Result<PlaceIndex> PlaceIndex::create(const std::string& csv_path) {
  auto data = std::make_unique<Data>();
  IE_TRY(data->text, read_file(csv_path));
  const std::string_view header = std::string_view(data->text).substr(0, data->text.find_first_of("\r\n"));
  if (header != kHeader)
    return fail(ErrorCode::kCorrupt, printable(csv_path) + ": expected the header " + std::string(kHeader));

  CsvReader reader(data->text);
  Fields fields;
  reader.row(fields);
  std::vector<Town> towns;
  std::vector<std::uint32_t> cells;
  while (!reader.done()) {
    double latitude = 0, longitude = 0;
    if (!reader.row(fields) || !parse_degrees(fields[kLat], latitude) || !parse_degrees(fields[kLon], longitude) ||
        !on_globe(latitude, longitude) || fields[kName].empty()) {
      ++data->skipped;
      continue;
    }
    towns.push_back(
        {unit_vector(latitude, longitude), fields[kName], fields[kAdmin1], fields[kAdmin2], fields[kCountry]});
    cells.push_back(static_cast<std::uint32_t>(row_of(latitude) * kColumns + column_of(longitude)));
  }
  if (towns.empty()) return fail(ErrorCode::kCorrupt, printable(csv_path) + ": holds no places");

  for (const auto cell : cells) ++data->cell_start[cell + 1];
  for (size_t cell = 1; cell < data->cell_start.size(); ++cell) data->cell_start[cell] += data->cell_start[cell - 1];
  auto free_slot = data->cell_start;
  data->towns.resize(towns.size());
  for (size_t i = 0; i < towns.size(); ++i) data->towns[free_slot[cells[i]]++] = towns[i];
  return PlaceIndex(std::move(data));
}

std::optional<Place> PlaceIndex::nearest(double latitude, double longitude) const {
  if (!on_globe(latitude, longitude)) return std::nullopt;
  const Vector here = unit_vector(latitude, longitude);
  constexpr double kAngle = kMaxDistanceKm / kEarthRadiusKm;  // radians
  const double reach = kAngle / kRadians + 1e-6;              // degrees of latitude
  const Town* best = nullptr;
  double best_chord = 4 * std::pow(std::sin(kAngle / 2), 2);

  const int last_row = row_of(latitude + reach);
  for (int row = row_of(latitude - reach); row <= last_row; ++row) {
    // A cap of angle r around latitude φ spans asin(sin r / cos φ) of longitude to each side, all of it near a pole.
    const double ratio = std::sin(kAngle) / std::cos(latitude * kRadians);
    const bool all = std::abs(latitude) + reach >= 90 || ratio >= 1;
    const int spread = all ? kColumns / 2 : static_cast<int>(std::asin(ratio) / kRadians) + 1;
    const int columns = std::min(2 * spread + 1, kColumns);
    for (int i = 0; i < columns; ++i) {
      const int column = (column_of(longitude) - spread + i + 2 * kColumns) % kColumns;
      const auto cell = static_cast<size_t>(row * kColumns + column);
      for (auto town = data_->cell_start[cell]; town < data_->cell_start[cell + 1]; ++town) {
        const double chord = squared_chord(here, data_->towns[town].position);
        if (chord <= best_chord) best = &data_->towns[town], best_chord = chord;
      }
    }
  }
  if (!best) return std::nullopt;
  const auto country = country_name(best->country_code);
  return Place{std::string(best->name),
               std::string(best->admin1),
               std::string(best->admin2),
               std::string(best->country_code),
               std::string(country.empty() ? best->country_code : country),
               2 * kEarthRadiusKm * std::asin(std::min(1.0, std::sqrt(best_chord) / 2))};
}

}  // namespace image_engine::places
