// The populated place nearest to a coordinate, offline, from a GeoNames extract.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::places {

// A picture farther away than this (great circle) from every place gets none.
inline constexpr double kMaxDistanceKm = 100;

struct Place {
  std::string name;          // UTF-8, as are all here
  std::string admin1;        // state, province; may be empty
  std::string admin2;        // county; may be empty
  std::string country_code;  // ISO 3166-1 alpha-2
  std::string country;       // in English; the code if it is not in the table
  double distance_km = 0;
};

// The English short name of an ISO 3166-1 alpha-2 code; empty for an unknown one.
std::string_view country_name(std::string_view code);
// The code of a country by that name, or by one of its usual others ("USA"), in any case; empty for an unknown one.
std::string_view country_code(std::string_view name);

struct Position {
  double latitude = 0, longitude = 0;  // degrees
};
// The populated places of that name in a CSV as for PlaceIndex, in its order. ASCII case is ignored, and signs are as
// blanks: "saint denis" is Saint-Denis. `within`: only those in this country, by its English name or code, or region;
// may be empty. Errors of read_file().
Result<std::vector<Position>> places_called(const std::string& csv_path, std::string_view name,
                                            std::string_view within);

// Immutable after create(): thread-safe. About 20 MB for 145,000 places.
class PlaceIndex {
 public:
  // Reads CSV with the header `lat,lon,name,admin1,admin2,cc` (fields may be quoted). Malformed rows and those with
  // impossible coordinates are skipped and counted. kNotFound or kIo as read_file(); kCorrupt without that header or
  // any valid row.
  static Result<PlaceIndex> create(const std::string& csv_path);
  PlaceIndex(PlaceIndex&&) noexcept;
  PlaceIndex& operator=(PlaceIndex&&) noexcept;
  ~PlaceIndex();

  // Degrees, latitude −90…90, longitude −180…180. nullopt for other values, or without a place within kMaxDistanceKm.
  [[nodiscard]] std::optional<Place> nearest(double latitude, double longitude) const;

  [[nodiscard]] size_t size() const;
  [[nodiscard]] size_t skipped_rows() const;

 private:
  struct Data;
  explicit PlaceIndex(std::unique_ptr<const Data> data);
  std::unique_ptr<const Data> data_;
};

}  // namespace image_engine::places
