// A libcuda.so.1 for machines without a GPU: as much of the driver as is tried before a run. It computes nothing.
//
//   STAND_IN_ARCH=90         the GPUs' compute capability, times ten
//   STAND_IN_CUDA_FAULT=...  no-device or start: the driver does not start; memory, exclusive: no context;
//                            old: it refuses what a newer compiler has made
//
// One GPU is seen for each entry of CUDA_VISIBLE_DEVICES.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, UNAVAILABLE = 46, NO_DEVICE = 100, INVALID_DEVICE = 101, OLD = 222, NOT_FOUND = 500, UNKNOWN = 999 };
enum { MEMORY_POOLS = 115, MAJOR = 75, MINOR = 76 };

static int has_fault(const char *name) {
    const char *fault = getenv("STAND_IN_CUDA_FAULT");
    return fault && !strcmp(fault, name);
}

static int devices(void) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!visible) return 1;
    int count = *visible != 0;
    for (; *visible; visible++) count += *visible == ',';
    return count;
}

EXPORTED int cuInit(unsigned flags) {
    (void)flags;
    if (has_fault("start")) return UNKNOWN;
    return has_fault("no-device") || !devices() ? NO_DEVICE : SUCCESS;
}
EXPORTED int cuDriverGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}
EXPORTED int cuDeviceGetCount(int *count) {
    *count = devices();
    return SUCCESS;
}
EXPORTED int cuDeviceGet(int *device, int index) {
    if (index < 0 || index >= devices()) return INVALID_DEVICE;
    *device = index;
    return SUCCESS;
}
EXPORTED int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    const char *arch = getenv("STAND_IN_ARCH");
    int capability = arch ? atoi(arch) : 90;
    *value = attribute == MAJOR ? capability / 10 : attribute == MINOR ? capability % 10 : attribute == MEMORY_POOLS;
    return SUCCESS;
}
EXPORTED int cuDevicePrimaryCtxRetain(void **context, int device) {
    if (has_fault("memory")) return OUT_OF_MEMORY;
    if (has_fault("exclusive")) return UNAVAILABLE;
    *context = (void *)(uintptr_t)(0x1000 + device);
    return SUCCESS;
}
EXPORTED int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    return SUCCESS;
}
EXPORTED int cuCtxSetCurrent(void *context) {
    (void)context;
    return SUCCESS;
}
EXPORTED int cuCtxGetCurrent(void **context) {
    *context = (void *)0x1000;
    return SUCCESS;
}
EXPORTED int cuModuleLoadData(void **module, const void *image) {
    if (has_fault("old")) return OLD;
    *module = (void *)(uintptr_t)image;
    return SUCCESS;
}
EXPORTED int cuModuleUnload(void *module) {
    (void)module;
    return SUCCESS;
}
EXPORTED int cuGetErrorName(int error, const char **text) {
    (void)error;
    *text = "CUDA_ERROR_OF_A_STAND_IN";
    return SUCCESS;
}
EXPORTED int cuGetErrorString(int error, const char **text) {
    (void)error;
    *text = "an error of a stand-in";
    return SUCCESS;
}

// NVRTC looks for these where it finds a driver.
EXPORTED int cuGetExportTable(const void **table, const void *id) {
    (void)id;
    if (table) *table = NULL;
    return NOT_FOUND;
}
EXPORTED int cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags, void *status) {
    (void)symbol, (void)version, (void)flags, (void)status;
    *function = NULL;
    return NOT_FOUND;
}
