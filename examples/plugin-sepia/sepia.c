/* A plugin of Image Engine: a photo in the brown of old prints.
 *
 *   cc -shared -fPIC -O2 -Iinclude examples/plugin-sepia/sepia.c -o sepia.so
 *   image-engine plugins validate sepia.so
 */
#include <image_engine/plugin.h>

/* How much of each colour of the photo is in the red, green and blue of the print, in 1/1000. */
static const int kPrint[3][3] = {{393, 769, 189}, {349, 686, 168}, {272, 534, 131}};

static const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "The photo", 0}};
static const ie_port kOutputs[] = {{sizeof(ie_port), IE_PICTURE, "sepia", "The photo in brown", IE_SAME_SIZE}};
static const ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_NUMBER, "strength", "0: the photo as it is; 1: all brown", 0, 1, 1, NULL, NULL},
};

static void print_row(const uint8_t* from, uint8_t* to, uint32_t width, int strength) {
  for (uint32_t x = 0; x < width; ++x, from += 3, to += 3)
    for (int c = 0; c < 3; ++c) {
      int brown = (kPrint[c][0] * from[0] + kPrint[c][1] * from[1] + kPrint[c][2] * from[2]) / 1000;
      if (brown > 255) brown = 255;
      to[c] = (uint8_t)((brown * strength + from[c] * (1000 - strength)) / 1000);
    }
}

static ie_status run(void* state, const ie_call* call) {
  (void)state;
  const ie_picture* photo = call->picture(call, 0);
  const int strength = (int)(call->number(call, 0) * 1000 + 0.5);
  ie_picture* print = call->new_picture(call, IE_RGB8, photo->width, photo->height);
  if (print == NULL) return IE_OUT_OF_MEMORY;
  for (uint32_t y = 0; y < photo->height; ++y) {
    print_row(photo->pixels + y * photo->row_bytes, print->pixels + y * print->row_bytes, photo->width, strength);
    call->progress(call, (double)(y + 1) / photo->height);
  }
  return call->give_picture(call, 0, print);
}

IE_EXPORT const ie_plugin image_engine_plugin = {
    .abi_version = IE_ABI_VERSION,
    .size = sizeof(ie_plugin),
    .name = "sepia",
    .version = "1.0.0",
    .licence = "Apache-2.0",
    .summary = "Photos in the brown of old prints",
    .inputs = kInputs,
    .input_count = 1,
    .outputs = kOutputs,
    .output_count = 1,
    .parameters = kParameters,
    .parameter_count = 1,
    .run = run,
};
