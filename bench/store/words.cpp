// words [COUNT]: indexing the text of COUNT synthetic photos, in memory, with SQLite's tokenizer unicode61 and with
// ours, in turns: seconds of the processor, and bytes of the index; of usual names, and of names that all have parts.
#include <sqlite3.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "library.h"
#include "store/name_parts.h"
#include "store/word_tokenizer.h"

namespace {

using namespace image_engine;

constexpr int kRounds = 5;
constexpr const char* kNames[] = {"Łódź Straße", "Αθήνα ηλιοβασίλεμα",  "Йога на пляже", "한국여행",
                                  "हिन्दी",       "Señora en la montaña"};

double seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

using Texts = std::vector<std::pair<std::string, std::string>>;

// Of each photo its names, as phones, cameras and people give them, or all of the last kind, and its other text; in
// every fourth of another script.
Texts texts(int count, bool usual, bool with_parts) {
  bench::Library library;
  Texts all;
  for (int i = 0; i < count; ++i) {
    const Metadata metadata = library.metadata(i);
    const std::string number = std::to_string(10'000 + i);
    const std::string file[] = {"IMG_" + number, "DSC0" + number, "SummerHoliday" + number};
    std::string names = "album " + std::to_string(i / 200) + " " + file[usual ? i % 3 : 2] + ".jpg";
    if (const std::string parts = store::name_parts(names); with_parts && !parts.empty()) names += "\n " + parts;
    std::string text = metadata.title + "\n" + metadata.description + "\n" + metadata.model + "\n" + metadata.lens;
    for (const std::string& keyword : metadata.keywords) text += "\n" + keyword;
    if (i % 4 == 0) text += std::string("\n") + kNames[i / 4 % 6];
    all.emplace_back(std::move(names), std::move(text));
  }
  return all;
}

fts5_api* functions(sqlite3* database) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, nullptr);
  sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  return api;
}

struct Measured {
  double seconds = 0;
  long long bytes = 0;
};

Measured index(const Texts& all, bool ours) {
  sqlite3* database = nullptr;
  sqlite3_open(":memory:", &database);
  if (ours) store::add_word_tokenizer(functions(database));
  sqlite3_exec(
      database,
      "CREATE VIRTUAL TABLE t USING fts5(name, text, tokenize = 'unicode61 remove_diacritics 2', prefix = '4 5');"
      "BEGIN",
      nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO t VALUES(?, ?)", -1, &insert, nullptr);
  const double start = seconds();
  for (const auto& [names, text] : all) {
    sqlite3_bind_text(insert, 1, names.data(), static_cast<int>(names.size()), SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    sqlite3_step(insert);
    sqlite3_reset(insert);
  }
  sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
  Measured measured{seconds() - start, 0};
  sqlite3_finalize(insert);
  sqlite3_stmt* size = nullptr;
  sqlite3_prepare_v2(database, "SELECT sum(length(block)) FROM t_data", -1, &size, nullptr);
  if (sqlite3_step(size) == SQLITE_ROW) measured.bytes = sqlite3_column_int64(size, 0);
  sqlite3_finalize(size);
  sqlite3_close(database);
  return measured;
}

void compare(const char* names, int count, bool usual) {
  const Texts plain = texts(count, usual, false), with_parts = texts(count, usual, true);
  std::vector<double> theirs, ours;
  Measured their_last, our_last;
  for (int i = 0; i < kRounds; ++i) {
    theirs.push_back((their_last = index(plain, false)).seconds);
    ours.push_back((our_last = index(plain, true)).seconds);
  }
  const Measured parts = index(with_parts, true);
  std::ranges::sort(theirs);
  std::ranges::sort(ours);
  const double ratio = theirs[kRounds / 2] / ours[kRounds / 2];
  const auto megabytes = [](const Measured& measured) { return static_cast<double>(measured.bytes) / 1e6; };
  std::printf("%s\n", names);
  std::printf("  unicode61     %6.2f s  %6.1f MB\n", theirs[kRounds / 2], megabytes(their_last));
  std::printf("  ours          %6.2f s  %6.1f MB  %.2f times its speed\n", ours[kRounds / 2], megabytes(our_last),
              ratio);
  std::printf("  and the parts %6.2f s  %6.1f MB  %.0f %% more than unicode61\n", parts.seconds, megabytes(parts),
              100 * (megabytes(parts) / megabytes(their_last) - 1));
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100'000;
  compare("usual names", count, true);
  compare("names that all have parts", count, false);
  return 0;
}
