// A plugin of Image Engine to begin your own with, in C++: a photo with its edges drawn dark, the edges as a mask, and
// how many there are. It shows each part of the interface once; delete what you do not need.
//
//   c++ -std=c++17 -shared -fPIC -O2 -Iinclude examples/plugin-template/template.cpp -o template.so
//   image-engine plugins validate template.so
//
// The interface is C: no exception may leave run(), and nothing that C++ made is given to the host.
#include <image_engine/plugin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <vector>

namespace {

// What is kept between photos.
struct State {
  std::vector<int> grey;
};

enum Output : std::uint32_t { kDrawing, kEdges, kCount };
enum Parameter : std::uint32_t { kThreshold, kStyle };

constexpr const char* kStyles[] = {"ink", "paper", nullptr};
constexpr ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "The photo", 0}};
constexpr ie_port kOutputs[] = {
    {sizeof(ie_port), IE_PICTURE, "drawing", "The photo with dark edges", IE_SAME_SIZE},
    {sizeof(ie_port), IE_MASK, "edges", "Where the edges are", IE_SAME_SIZE},
    {sizeof(ie_port), IE_RECORD, "count", "How many pixels belong to edges", 0},
};
constexpr ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_INTEGER, "threshold", "The least step of brightness that is an edge", 1, 255, 40, nullptr,
     nullptr},
    {sizeof(ie_parameter), IE_CHOICE, "style", "ink: edges on the photo; paper: on white", 0, 0, 0, "ink", kStyles},
};

int brightness(const std::uint8_t* pixel) { return (pixel[0] * 299 + pixel[1] * 587 + pixel[2] * 114) / 1000; }

ie_status start(void** state) {
  *state = new (std::nothrow) State;
  return *state == nullptr ? IE_OUT_OF_MEMORY : IE_OK;
}

void stop(void* state) { delete static_cast<State*>(state); }

ie_status draw(State& state, const ie_call* call) {
  const ie_picture* photo = call->picture(call, 0);
  const std::uint32_t width = photo->width, height = photo->height;
  ie_picture* drawing = call->new_picture(call, IE_RGB8, width, height);
  ie_picture* edges = call->new_picture(call, IE_GREY8, width, height);
  if (drawing == nullptr || edges == nullptr) return IE_OUT_OF_MEMORY;

  state.grey.resize(std::size_t{width} * height);
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      state.grey[std::size_t{y} * width + x] = brightness(photo->pixels + y * photo->row_bytes + x * 3);

  const int threshold = static_cast<int>(call->number(call, kThreshold));
  const bool on_paper = std::string_view(call->text(call, kStyle)) == "paper";
  unsigned long count = 0;
  for (std::uint32_t y = 0; y < height; ++y) {
    const int* row = &state.grey[std::size_t{y} * width];
    const int* below = y + 1 < height ? row + width : row;
    for (std::uint32_t x = 0; x < width; ++x) {
      const int right = row[std::min(x + 1, width - 1)];
      const bool is_edge = std::max(std::abs(right - row[x]), std::abs(below[x] - row[x])) >= threshold;
      const std::uint8_t* from = photo->pixels + y * photo->row_bytes + x * 3;
      std::uint8_t* to = drawing->pixels + y * drawing->row_bytes + x * 3;
      for (int c = 0; c < 3; ++c) to[c] = is_edge ? 0 : on_paper ? 255 : from[c];
      edges->pixels[y * edges->row_bytes + x] = is_edge ? 255 : 0;
      count += is_edge ? 1 : 0;
    }
    call->progress(call, (y + 1.0) / height);
  }
  if (count == 0) call->message(call, "no edge is as strong as the threshold");

  char record[64];
  std::snprintf(record, sizeof record, "{\"edges\": %lu}", count);
  if (const ie_status given = call->give_picture(call, kDrawing, drawing); given != IE_OK) return given;
  if (const ie_status given = call->give_picture(call, kEdges, edges); given != IE_OK) return given;
  return call->give_record(call, kCount, record);
}

ie_status run(void* state, const ie_call* call) {
  try {
    return draw(*static_cast<State*>(state), call);
  } catch (const std::bad_alloc&) {
    return IE_OUT_OF_MEMORY;
  }
}

}  // namespace

IE_EXPORT const ie_plugin image_engine_plugin = {
    IE_ABI_VERSION,
    sizeof(ie_plugin),
    "template",
    "1.0.0",
    "Apache-2.0",
    "Photos with their edges drawn dark",
    kInputs,
    1,
    3,
    kOutputs,
    kParameters,
    2,
    0,
    nullptr,  // it needs nothing from behind the wall
    start,
    run,
    stop,
    nullptr,
};
