// Stands in for NVIDIA's driver and CUDA's runtime: two GPUs alike, whose memory is the host's. Copies are made at
// once, by the GPU whose stream they are queued on, and counted.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { kGpus = 2, kLost = 719, kNoDevice = 101 };

static __thread int current;
static char streams[kGpus];
static int copies[kGpus], lost[kGpus];

// For tests.
int fake_copies(int device) { return copies[device]; }
void fake_lose(int device, int is_lost) { lost[device] = is_lost; }

int cuInit(unsigned flags) { return (void)flags, 0; }
int cuDriverGetVersion(int* version) { return *version = 13000, 0; }
int cuDeviceGetCount(int* count) { return *count = kGpus, 0; }
int cuDeviceGet(int* device, int number) { return *device = number, 0; }
int cuDeviceGetName(char* name, int size, int device) {
  return (void)device, strncpy(name, "Fake GPU", (size_t)size), 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  return (void)device, *value = attribute == 75 ? 9 : 0, 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) { return (void)device, *bytes = (size_t)8 << 30, 0; }
int cuGetErrorString(int error, const char** words) { return (void)error, *words = "fake", 0; }

int cudaSetDevice(int device) {
  if (device < 0 || device >= kGpus) return kNoDevice;
  return current = device, 0;
}
int cudaMemGetInfo(size_t* available, size_t* total) { return *available = *total = (size_t)8 << 30, 0; }
int cudaMalloc(void** memory, size_t bytes) { return (*memory = malloc(bytes)) ? 0 : 2; }
int cudaFree(void* memory) { return free(memory), 0; }
int cudaHostAlloc(void** memory, size_t bytes, unsigned flags) { return (void)flags, cudaMalloc(memory, bytes); }
int cudaFreeHost(void* memory) { return free(memory), 0; }
int cudaStreamCreateWithFlags(void** stream, unsigned flags) { return (void)flags, *stream = &streams[current], 0; }
int cudaStreamDestroy(void* stream) { return (void)stream, 0; }
int cudaStreamSynchronize(void* stream) { return lost[(char*)stream - streams] ? kLost : 0; }
int cudaGetLastError(void) { return 0; }
const char* cudaGetErrorString(int error) { return error == kLost ? "the GPU is lost" : "fake"; }
int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  const long device = (char*)stream - streams;
  (void)kind;
  if (lost[device]) return kLost;
  memcpy(to, from, bytes);
  ++copies[device];
  return 0;
}
