/* Copies the photo and says how many microseconds that took: what is left of a call's time is the call's. */
#define _POSIX_C_SOURCE 199309L
#include <image_engine/plugin.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "", 0}};
static const ie_port kOutputs[] = {{sizeof(ie_port), IE_PICTURE, "copy", "", IE_SAME_SIZE}};

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static ie_status run(void* state, const ie_call* call) {
  (void)state;
  const ie_picture* photo = call->picture(call, 0);
  ie_picture* copy = call->new_picture(call, IE_RGB8, photo->width, photo->height);
  if (copy == NULL) return IE_OUT_OF_MEMORY;
  const double begin = microseconds();
  memcpy(copy->pixels, photo->pixels, photo->row_bytes * photo->height);
  char text[40];
  snprintf(text, sizeof text, "%.1f", microseconds() - begin);
  call->message(call, text);
  return call->give_picture(call, 0, copy);
}

IE_EXPORT const ie_plugin image_engine_plugin = {.abi_version = IE_ABI_VERSION,
                                                 .size = sizeof(ie_plugin),
                                                 .name = "copying",
                                                 .version = "1",
                                                 .licence = "Apache-2.0",
                                                 .inputs = kInputs,
                                                 .input_count = 1,
                                                 .outputs = kOutputs,
                                                 .output_count = 1,
                                                 .run = run};
