/* A CUDA driver without a GPU, for tests: two GPUs whose memory is the host's. It has the entry
 * points, of the signatures of cuda.h, that this package and the Python packages between need. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;

static long contexts[2] = {0, 1};
static void *stack[64];
static int depth = 0;
static long live = 0;

#define NEEDS_CONTEXT if (depth == 0) return 201
#define GPU_BYTES ((size_t)1 << 24)

CUresult cuInit(unsigned flags) { return flags ? 1 : 0; }
CUresult cuDriverGetVersion(int *version) { *version = 12060; return 0; }
CUresult cuDeviceGetCount(int *count) { *count = 2; return 0; }
CUresult cuDeviceGet(CUdevice *device, int index) {
  if (index < 0 || index > 1) return 101;
  *device = index;
  return 0;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  strncpy(name, device ? "Paper GPU Ti" : "Paper GPU", length);
  return 0;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  if (attribute == 75) *value = 8 + device;
  else if (attribute == 76) *value = 6;
  else *value = 0;
  return 0;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  *major = 8 + device;
  *minor = 6;
  return 0;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  *bytes = GPU_BYTES << (7 + device);
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(void **context, CUdevice device) {
  *context = &contexts[device];
  live++;
  return 0;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { live--; return 0; }
CUresult cuCtxPushCurrent_v2(void *context) { stack[depth++] = context; return 0; }
CUresult cuCtxPopCurrent_v2(void **context) {
  NEEDS_CONTEXT;
  *context = stack[--depth];
  return 0;
}
CUresult cuCtxGetDevice(CUdevice *device) {
  NEEDS_CONTEXT;
  *device = (CUdevice)*(long *)stack[depth - 1];
  return 0;
}
CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) {
  NEEDS_CONTEXT;
  *unused = GPU_BYTES / 2;
  *total = GPU_BYTES;
  return 0;
}
CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
  NEEDS_CONTEXT;
  if (bytes > GPU_BYTES / 2) return 2;
  *pointer = (CUdeviceptr)malloc(bytes);
  live++;
  return 0;
}
CUresult cuMemFree_v2(CUdeviceptr pointer) {
  NEEDS_CONTEXT;
  free((void *)pointer);
  live--;
  return 0;
}
CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  NEEDS_CONTEXT;
  *pointer = malloc(bytes);
  live++;
  return 0;
}
CUresult cuMemFreeHost(void *pointer) {
  NEEDS_CONTEXT;
  free(pointer);
  live--;
  return 0;
}
CUresult cuStreamCreate(void **stream, unsigned flags) {
  NEEDS_CONTEXT;
  if (flags != 1) return 1;
  *stream = malloc(1);
  live++;
  return 0;
}
CUresult cuStreamSynchronize(void *stream) { NEEDS_CONTEXT; return stream ? 0 : 400; }
CUresult cuStreamDestroy_v2(void *stream) {
  NEEDS_CONTEXT;
  free(stream);
  live--;
  return 0;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, void *stream) {
  NEEDS_CONTEXT;
  if (!stream) return 400;
  memcpy((void *)to, from, bytes);
  return 0;
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, void *stream) {
  NEEDS_CONTEXT;
  if (!stream) return 400;
  memcpy(to, (void *)from, bytes);
  return 0;
}
CUresult cuGetErrorName(CUresult code, const char **name) {
  *name = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_PAPER";
  return 0;
}
CUresult cuGetErrorString(CUresult code, const char **words) {
  *words = code == 2 ? "out of memory" : "an error of paper";
  return 0;
}

/* cuda-python asks for every function by its name without the suffix of its version. */
CUresult cuGetProcAddress(const char *name, void **function, int version, uint64_t flags);
CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags,
                             int *status);
static const struct { const char *name; void *function; } table[] = {
#define ENTRY(name) {#name, (void *)name}
#define ENTRY_2(name) {#name, (void *)name##_v2}
  ENTRY(cuInit), ENTRY(cuDriverGetVersion), ENTRY(cuDeviceGetCount), ENTRY(cuDeviceGet),
  ENTRY(cuDeviceGetName), ENTRY(cuDeviceGetAttribute), ENTRY_2(cuDeviceTotalMem),
  ENTRY(cuDevicePrimaryCtxRetain), ENTRY_2(cuDevicePrimaryCtxRelease), ENTRY_2(cuCtxPushCurrent),
  ENTRY_2(cuCtxPopCurrent), ENTRY(cuCtxGetDevice), ENTRY_2(cuMemGetInfo), ENTRY_2(cuMemAlloc),
  ENTRY_2(cuMemFree), ENTRY(cuMemHostAlloc), ENTRY(cuMemFreeHost), ENTRY(cuStreamCreate),
  ENTRY(cuStreamSynchronize), ENTRY_2(cuStreamDestroy), ENTRY_2(cuMemcpyHtoDAsync),
  ENTRY_2(cuMemcpyDtoHAsync), ENTRY(cuGetErrorName), ENTRY(cuGetErrorString),
  ENTRY_2(cuGetProcAddress),
};
CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags,
                             int *status) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!strcmp(name, table[i].name)) {
      *function = table[i].function;
      if (status) *status = 0;
      return 0;
    }
  *function = NULL;
  if (status) *status = 1;
  return 500;
}
CUresult cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, function, version, flags, NULL);
}

/* For the tests: what was not freed. */
long fake_live(void) { return live; }
int fake_depth(void) { return depth; }
