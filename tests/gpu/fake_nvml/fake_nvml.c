/* A driver's management library with two made-up GPUs, for tests without a GPU. $FAKE_NVML, read by nvmlInit_v2, says
 * what goes wrong, in words:
 *   init=CODE      nvmlInit_v2 fails       count=N       so many GPUs
 *   handle=CODE    GPU 1 has no handle    handles=CODE  none has
 *   lost=K@N:M     GPU K is lost in its rounds N to M - 1 (a round begins with the utilisation, the first is 0)
 *   unsupported    the GPUs tell no number
 *   garbage        texts without an end, of bytes that are no UTF-8
 * Built with FAKE_NVML_OLD it lacks what drivers of about 2018 lacked. The signatures are those of NVML's reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kCards = 2, kRounds = 4, kSuccess = 0, kInvalid = 2, kNotSupported = 3, kLost = 15, kVersionMismatch = 25 };

struct memory {
  unsigned long long total, free, used;
};
struct memory2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
struct utilisation {
  unsigned gpu, memory;
};
struct card {
  unsigned rounds; /* begun */
};

/* By round; the last stays. monitor_test.cpp and tests/cli/test_monitor.py have the same numbers. */
static const unsigned kBusy[kRounds] = {5, 35, 95, 60};                    /* % */
static const unsigned long long kUsed[kRounds] = {1000, 1500, 4000, 3000}; /* MB */
static const unsigned long long kReserved = 500; /* MB that the driver keeps, counted as used by the first version */
static const unsigned kPower[kRounds] = {60500, 200000, 340000, 300000};       /* mW */
static const unsigned kDegrees[kRounds] = {40, 52, 71, 66};                    /* °C */
static const unsigned long long kReasons[kRounds] = {0x1, 0x4, 0x4 | 0x20, 0}; /* idle; power; power and heat */

static struct card cards[kCards];
static const char* script = "";
static int users = 0;

int fake_nvml_users(void) { return users; }

static int has(const char* word) { return strstr(script, word) != NULL; }
static unsigned number(const char* key, unsigned otherwise) {
  const char* found = strstr(script, key);
  return found ? (unsigned)strtoul(found + strlen(key), NULL, 10) : otherwise;
}

static unsigned round_of(const struct card* card) {
  const unsigned round = card->rounds > 0 ? card->rounds - 1 : 0;
  return round < kRounds ? round : kRounds - 1;
}

/* What any question about a GPU is answered with first. */
static int state(const struct card* card) {
  unsigned which, from, to;
  const char* lost = strstr(script, "lost=");
  if (lost && sscanf(lost, "lost=%u@%u:%u", &which, &from, &to) == 3 && card == &cards[which] && card->rounds > from &&
      card->rounds <= to)
    return kLost;
  return has("unsupported") ? kNotSupported : kSuccess;
}

static int give(char* text, unsigned length, const char* value) {
  if (has("garbage"))
    memset(text, 0xFF, length);
  else
    snprintf(text, length, "%s", value);
  return kSuccess;
}

int nvmlInit_v2(void) {
  script = getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "";
  memset(cards, 0, sizeof cards);
  const int code = (int)number("init=", kSuccess);
  if (code == kSuccess) ++users;
  return code;
}
int nvmlShutdown(void) {
  --users;
  return kSuccess;
}
int nvmlSystemGetDriverVersion(char* text, unsigned length) { return give(text, length, "580.82.07"); }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = number("count=", kCards);
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  const unsigned code = index == 1 ? number("handle=", number("handles=", kSuccess)) : number("handles=", kSuccess);
  if (code != kSuccess) return (int)code;
  *device = &cards[index % kCards];
  return kSuccess;
}
int nvmlDeviceGetName(void* device, char* text, unsigned length) {
  return give(text, length, device == &cards[0] ? "NVIDIA GeForce RTX 9090" : "NVIDIA Tesla Z1");
}
int nvmlDeviceGetUUID(void* device, char* text, unsigned length) {
  return give(text, length, device == &cards[0] ? "GPU-00000000-aaaa" : "GPU-11111111-bbbb");
}
int nvmlDeviceGetMemoryInfo(void* device, struct memory* memory) {
  const int code = state(device);
  if (code != kSuccess) return code;
  memory->total = 24000000000ULL;
  memory->used = (kUsed[round_of(device)] + kReserved) * 1000000;
  memory->free = memory->total - memory->used;
  return kSuccess;
}
int nvmlDeviceGetUtilizationRates(void* device, struct utilisation* rates) {
  struct card* card = device;
  ++card->rounds;
  const int code = state(card);
  if (code != kSuccess) return code;
  rates->gpu = kBusy[round_of(card)];
  rates->memory = 1;
  return kSuccess;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  *milliwatts = kPower[round_of(device)];
  return state(device);
}
int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* degrees) {
  if (sensor != 0) return kInvalid;
  *degrees = kDegrees[round_of(device)];
  return state(device);
}

static int reasons_of(void* device, unsigned long long* reasons) {
  *reasons = kReasons[round_of(device)];
  return state(device);
}

#ifdef FAKE_NVML_OLD
int nvmlSystemGetCudaDriverVersion(int* version) {
  *version = 10010;
  return kSuccess;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  return reasons_of(device, reasons);
}
#else
const char* nvmlErrorString(int code) { return code == kLost ? "GPU is lost" : "Some other error"; }
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = 13020;
  return kSuccess;
}
int nvmlDeviceGetMemoryInfo_v2(void* device, struct memory2* memory) {
  if (memory->version != (sizeof *memory | 2U << 24)) return kVersionMismatch;
  const int code = state(device);
  if (code != kSuccess) return code;
  memory->total = 24000000000ULL;
  memory->reserved = kReserved * 1000000;
  memory->used = kUsed[round_of(device)] * 1000000;
  memory->free = memory->total - memory->reserved - memory->used;
  return kSuccess;
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* milliwatts) {
  *milliwatts = 350000;
  return state(device);
}
int nvmlDeviceGetCudaComputeCapability(void* device, int* major, int* minor) {
  *major = device == &cards[0] ? 12 : 7;
  *minor = device == &cards[0] ? 0 : 5;
  return kSuccess;
}
int nvmlDeviceGetCurrentClocksEventReasons(void* device, unsigned long long* reasons) {
  return reasons_of(device, reasons);
}
#endif
