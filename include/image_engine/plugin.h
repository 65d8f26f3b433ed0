/* The interface of Image Engine's plugins, version 1.0. C99 and C++; needs no other header and no library.
 *
 * A plugin is a shared object that exports one symbol: the constant `image_engine_plugin` of type ie_plugin.
 * docs/plugins.md explains how to write one; examples/plugin-sepia is a whole one.
 *
 * Where a plugin runs. In a process of its own, image-engine-plugin-host, inside the wall of docs/security.md: no
 * files, no network, no other process, limits of memory and time. The wall stands before the plugin's first instruction
 * runs, its constructors' included. A plugin may need libc, libm, libstdc++ and libgcc_s; other libraries are linked
 * into it. A plugin that crashes, does not end or needs too much memory fails for the picture at hand, and is started
 * again for the next one.
 *
 * Versions. A plugin is loaded if its major version is the engine's; the minor version never matters. A new minor
 * version only appends members to structs, and adds extensions. So each struct begins with its size, which its maker
 * sets to sizeof; the reader takes members beyond that size for zero. An extension is asked for by a name with a
 * version ("image-engine.resize/1"), which stands for one fixed layout; a host without it answers NULL. A host older
 * than the plugin's header has fewer members: IE_HAS() tells before one that came after 1.0 is used.
 *
 * Threads. Each function states one of:
 *   [main thread]  called on the thread that loaded the plugin, one call at a time;
 *   [run]          may be called from any thread, until the ie_plugin.run that was given the ie_call returns.
 *
 * Ownership. Each function states who owns what. Text is UTF-8 and ends with a zero byte.
 */
#ifndef IMAGE_ENGINE_PLUGIN_H
#define IMAGE_ENGINE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IE_ABI_MAJOR 1
#define IE_ABI_MINOR 0
#define IE_ABI_VERSION ((uint32_t)IE_ABI_MAJOR << 16 | (uint32_t)IE_ABI_MINOR)

/* Before the one exported symbol: IE_EXPORT const ie_plugin image_engine_plugin = {…}; */
#ifdef __cplusplus
#define IE_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define IE_EXPORT __attribute__((visibility("default")))
#endif

/* Whether the struct that `pointer` points to has `member`, by its maker's size. */
#define IE_HAS(pointer, member) \
  ((pointer)->size >= (size_t)((const char*)(&(pointer)->member + 1) - (const char*)(pointer)))

/* What functions answer. Values that a reader does not know count as IE_FAILED. */
typedef int32_t ie_status;
#define IE_OK 0
#define IE_FAILED 1      /* for another reason; say which by ie_call.message */
#define IE_UNSUPPORTED 2 /* not such a picture, not such a value */
#define IE_OUT_OF_MEMORY 3
#define IE_BAD_ARGUMENT 4 /* a null pointer, a size or an index that is out of range */
#define IE_NOT_FOUND 5    /* no model of that name is installed; nothing in the picture is such a subject */

/* 8 bits a sample, sRGB, rows from the top, upright. Alpha is not premultiplied. A mask is grey: 255 belongs to it. */
typedef uint32_t ie_format;
#define IE_GREY8 1
#define IE_RGB8 3
#define IE_RGBA8 4

typedef struct ie_picture {
  uint32_t size; /* sizeof(ie_picture) */
  ie_format format;
  uint32_t width; /* pixels, from 1 */
  uint32_t height;
  size_t row_bytes; /* from one row to the next; at least width * format */
  uint8_t* pixels;  /* of an input: memory that cannot be written to */
} ie_picture;

/* ---- what a plugin declares ----
 * All of it is constant and valid as long as the plugin is loaded. Arrays hold structs of one size. Names are of a-z,
 * 0-9 and '-', begin with a letter, and have at most 40 characters. */

typedef uint32_t ie_kind;
#define IE_PICTURE 1 /* input: the photo as IE_RGB8, whole and upright; output: any format */
#define IE_MASK 2    /* a picture of format IE_GREY8 */
#define IE_RECORD 3  /* JSON, an object; input: what the catalogue knows of the photo, as `show --json` prints it */

#define IE_OPTIONAL 1u  /* input: the plugin runs without it, too; output: it may give none */
#define IE_SAME_SIZE 2u /* output: as wide and high as the first input; another size is an error */

/* An input or an output. The first input is the photo: of kind IE_PICTURE, and not optional. */
typedef struct ie_port {
  uint32_t size; /* sizeof(ie_port) */
  ie_kind kind;
  const char* name; /* of an output also part of the file's name */
  const char* help; /* a sentence for a person */
  uint32_t flags;   /* IE_OPTIONAL, IE_SAME_SIZE */
} ie_port;

typedef uint32_t ie_type;
#define IE_NUMBER 1
#define IE_INTEGER 2
#define IE_BOOL 3   /* 0 or 1 */
#define IE_TEXT 4   /* at most 4,000 bytes */
#define IE_CHOICE 5 /* one of `choices` */

typedef struct ie_parameter {
  uint32_t size; /* sizeof(ie_parameter) */
  ie_type type;
  const char* name;
  const char* help;
  double least, most;         /* of numbers and integers, both allowed */
  double number;              /* the default of numbers, integers and bools */
  const char* text;           /* the default of texts and choices; NULL: "" or the first choice */
  const char* const* choices; /* ends with NULL */
} ie_parameter;

/* ---- what the host gives to a run ---- */

typedef struct ie_call ie_call;
struct ie_call {
  uint32_t size;        /* of this struct, as the host made it */
  uint32_t abi_version; /* the host's */
  void* host;           /* the host's own */

  /* [run] The input of that index among ie_plugin.inputs; NULL without one, or if it is a record. The host owns it;
   * valid until run() returns. */
  const ie_picture* (*picture)(const ie_call* call, uint32_t input);
  /* [run] The same of a record: JSON, or NULL. */
  const char* (*record)(const ie_call* call, uint32_t input);
  /* [run] The value of that parameter, within its range: of numbers, integers and bools; of texts and choices. 0 and ""
   * for another type or index. The host owns the text; valid until run() returns. */
  double (*number)(const ie_call* call, uint32_t parameter);
  const char* (*text)(const ie_call* call, uint32_t parameter);

  /* [run] A picture to write an output into, all zero, in memory that is shared with the engine: giving it copies
   * nothing. NULL: no memory is left for it. The host owns it; valid until run() returns. */
  ie_picture* (*new_picture)(const ie_call* call, ie_format format, uint32_t width, uint32_t height);
  /* [run] The output of that index, of kind IE_PICTURE or IE_MASK; again: replaces what was given before. The pixels
   * are copied unless they are new_picture()'s, which may not be written to afterwards. IE_BAD_ARGUMENT: another kind
   * or size than declared, a null pointer; then the run fails, whatever run() returns. IE_OUT_OF_MEMORY. */
  ie_status (*give_picture)(const ie_call* call, uint32_t output, const ie_picture* picture);
  /* [run] The same of a record: a JSON object of at most 1 MiB, which is copied. */
  ie_status (*give_record)(const ie_call* call, uint32_t output, const char* json);

  /* [run] A sentence for the person, which is copied: the first 1,000 bytes of each, the first 99 of a run and the
   * last. If run() fails, the last one says why. */
  void (*message)(const ie_call* call, const char* text);
  /* [run] How much is done, from 0 to 1. Cheap: call it as often as you like. */
  void (*progress)(const ie_call* call, double done);

  /* [run] The extension of the host by its name, or NULL: see below. The host owns it; valid as long as the plugin is
   * loaded. */
  const void* (*extension)(const ie_call* call, const char* name);
};

/* ---- the plugin ---- */

typedef struct ie_plugin {
  uint32_t abi_version; /* IE_ABI_VERSION; first in every major version */
  uint32_t size;        /* sizeof(ie_plugin) */
  const char* name;
  const char* version; /* "1.2.3", at most 40 bytes */
  const char* licence; /* SPDX: "MIT", at most 100 bytes */
  const char* summary; /* a sentence for a person */
  const ie_port* inputs;
  uint32_t input_count;  /* 1 to 8 */
  uint32_t output_count; /* 1 to 8 */
  const ie_port* outputs;
  const ie_parameter* parameters; /* NULL without any */
  uint32_t parameter_count;       /* at most 32 */
  uint32_t reserved;              /* 0 */
  /* What it needs from behind the wall, ends with NULL; NULL: nothing. No 1.0 host grants anything: it refuses a plugin
   * that needs something. */
  const char* const* needs;

  /* [main thread] Once, before the first run; may be NULL. `state` is the plugin's own and given to the other two.
   * Another status than IE_OK: the plugin is not used. */
  ie_status (*start)(void** state);
  /* [main thread] One photo. `call` and all that it gives are valid until it returns; threads of the plugin must be
   * done with them by then. The outputs count only if it returns IE_OK, and all that are not optional were given. */
  ie_status (*run)(void* state, const ie_call* call);
  /* [main thread] Once, after the last run; may be NULL. Not called if the process is ended from outside. */
  void (*stop)(void* state);
  /* [main thread] An extension of the plugin, for later versions of the engine; may be NULL. The plugin owns it; valid
   * as long as the plugin is loaded. */
  const void* (*extension)(const char* name);
} ie_plugin;

/* ---- extensions of the host ---- */

/* Scales a picture as Pillow's Image.resize(LANCZOS). */
#define IE_EXT_RESIZE "image-engine.resize/1"
typedef struct ie_ext_resize {
  /* [run] NULL: no memory is left, or a size is 0 or over 65,535. The host owns the picture; valid until run() returns.
   */
  ie_picture* (*resize)(const ie_call* call, const ie_picture* picture, uint32_t width, uint32_t height);
} ie_ext_resize;

/* What belongs to a subject: "subject", "person", "background" or a class, as `image-engine segment --target`. */
#define IE_EXT_SEGMENT "image-engine.segment/1"
typedef struct ie_ext_segment {
  /* [run] The mask of an IE_RGB8 picture, of its size. IE_NOT_FOUND: there is no such subject, or no model for it (the
   * host's message says which). The host owns the mask; valid until run() returns. */
  ie_status (*segment)(const ie_call* call, const ie_picture* picture, const char* target, const ie_picture** mask);
} ie_ext_segment;

/* Where things are. */
#define IE_EXT_DETECT "image-engine.detect/1"
typedef struct ie_region {
  uint32_t size;    /* sizeof(ie_region) */
  float confidence; /* 0 to 1 */
  float x, y;       /* of the top left corner, in pixels, within the picture */
  float width, height;
} ie_region;
typedef struct ie_ext_detect {
  /* [run] All that the installed models find of "face", "person", "text", "licence plate", "screen" or another name
   * that a detector has, such as "car", in an IE_RGB8 picture: the most likely first. It errs on the side of finding,
   * so a region may be none; look at its confidence (1 of text). Nothing found: IE_OK and a count of 0. IE_NOT_FOUND:
   * no installed model finds such things (the host's message says which one would). The host owns the regions, valid
   * until run() returns. */
  ie_status (*detect)(const ie_call* call, const ie_picture* picture, const char* what, const ie_region** regions,
                      uint32_t* count);
} ie_ext_detect;

/* An installed model (`image-engine models list`), run by the engine on the device that it would use itself. */
#define IE_EXT_MODEL "image-engine.model/1"
#define IE_MOST_DIMENSIONS 8
typedef struct ie_tensor {
  uint32_t size;       /* sizeof(ie_tensor) */
  uint32_t dimensions; /* 1 to IE_MOST_DIMENSIONS */
  int64_t shape[IE_MOST_DIMENSIONS];
  float* values; /* as many as the shape's product, the last dimension next to each other */
} ie_tensor;
typedef struct ie_ext_model {
  /* [run] `inputs` in the graph's order; they are copied. `outputs` and `output_count`: all outputs of the graph,
   * float; the host owns them, valid until run() returns. IE_NOT_FOUND: no such model is installed; IE_UNSUPPORTED: it
   * does not take these inputs. */
  ie_status (*run)(const ie_call* call, const char* model, const ie_tensor* inputs, uint32_t input_count,
                   const ie_tensor** outputs, uint32_t* output_count);
} ie_ext_model;

#ifdef __cplusplus
}
#endif

#endif /* IMAGE_ENGINE_PLUGIN_H */
