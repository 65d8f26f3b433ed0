// What ONNX Runtime 1.17 answers to a program built for a later one.
#include <onnxruntime_c_api.h>
#include <stddef.h>

static const OrtApi* get_api(uint32_t version) {
  (void)version;
  return NULL;
}
static const char* get_version(void) { return "1.17.3"; }

const OrtApiBase* OrtGetApiBase(void) {
  static const OrtApiBase base = {get_api, get_version};
  return &base;
}
