// A libnvidia-ml.so.1 for machines without a GPU: it tells of the GPUs that its environment describes.
//
//   STAND_IN_GPUS=8              how many there are (1)
//   STAND_IN_MEMORY=80000000000  bytes of memory of each
//   STAND_IN_USED=1:7000,2:50    bytes in use, by GPU
//   STAND_IN_PROCESSES=1:42:7000 processes: GPU, number, bytes
//   STAND_IN_LOST=3              a GPU that has fallen off the bus
//   STAND_IN_DIVIDED=2:3         a GPU that is divided into instances, and how many
//   STAND_IN_CUDA=13000          the CUDA version that the driver serves
//   STAND_IN_FAULT=crash         or hang, not-loaded, mismatch: what happens when the library is started
//
// Only what nvml-wrapper 0.13 asks for. GPUs are told in the order of their bus addresses, from the last to the first,
// since nothing promises another order.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, NOT_LOADED = 9, LOST = 15, MISMATCH = 18 };
enum { GPUS_MAX = 64, INSTANCES_MAX = 8 };

typedef unsigned long long bytes_t;
typedef struct { int gpu, instance; } handle_t; // instance -1: the whole GPU
typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
} pci_t;
typedef struct { unsigned version; bytes_t total, reserved, free, used; } memory_t;
typedef struct { unsigned pid; bytes_t used; unsigned gpu_instance, compute_instance; } process_t;

static handle_t whole[GPUS_MAX], parts[GPUS_MAX][INSTANCES_MAX];

static bytes_t number(const char *name, bytes_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static int count(void) { return (int)number("STAND_IN_GPUS", 1); }

// The value behind "GPU:" in a list of such pairs.
static bytes_t listed(const char *name, int gpu, bytes_t otherwise) {
    const char *at = getenv(name);
    while (at && *at) {
        char *rest;
        long key = strtol(at, &rest, 10);
        if (*rest == ':' && key == gpu) return strtoull(rest + 1, NULL, 10);
        at = strchr(at, ',');
        if (at) at++;
    }
    return otherwise;
}

static int instances(int gpu) { return (int)listed("STAND_IN_DIVIDED", gpu, 0); }

EXPORTED int nvmlInit_v2(void) {
    const char *fault = getenv("STAND_IN_FAULT");
    if (!fault) return SUCCESS;
    if (!strcmp(fault, "crash")) {
        // The first one goes to a handler of Rust's, which takes itself away.
        raise(SIGSEGV);
        raise(SIGSEGV);
    }
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (!strcmp(fault, "mismatch")) return MISMATCH;
    return strcmp(fault, "not-loaded") ? SUCCESS : NOT_LOADED;
}
EXPORTED int nvmlShutdown(void) { return SUCCESS; }
EXPORTED int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "580.00.00");
    return SUCCESS;
}
EXPORTED int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = (int)number("STAND_IN_CUDA", 13000);
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetCount_v2(unsigned *gpus) {
    *gpus = (unsigned)count();
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle_t **device) {
    int gpu = count() - 1 - (int)index;
    if (gpu < 0 || gpu >= GPUS_MAX) return INVALID;
    if ((int)number("STAND_IN_LOST", GPUS_MAX) == gpu) return LOST;
    whole[gpu] = (handle_t){gpu, -1};
    *device = &whole[gpu];
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetName(handle_t *device, char *text, unsigned length) {
    snprintf(text, length, device->instance < 0 ? "Stand-in GPU" : "Stand-in GPU MIG 1g");
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetUUID(handle_t *device, char *text, unsigned length) {
    if (device->instance < 0)
        snprintf(text, length, "GPU-%02d000000-0000-0000-0000-000000000000", device->gpu);
    else
        snprintf(text, length, "MIG-%02d%02d0000-0000-0000-0000-000000000000", device->gpu, device->instance);
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetHandleByUUID(const char *uuid, handle_t **device) {
    char own[96];
    for (int index = 0; index < count(); index++) {
        if (nvmlDeviceGetHandleByIndex_v2((unsigned)index, device) != SUCCESS) continue;
        nvmlDeviceGetUUID(*device, own, sizeof own);
        if (!strcmp(own, uuid)) return SUCCESS;
    }
    return NOT_FOUND;
}
EXPORTED int nvmlDeviceGetPciInfo_v3(handle_t *device, pci_t *info) {
    memset(info, 0, sizeof *info);
    info->bus = (unsigned)device->gpu + 1;
    snprintf(info->address, sizeof info->address, "00000000:%02X:00.0", info->bus);
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetMemoryInfo_v2(handle_t *device, memory_t *memory) {
    memory->total = number("STAND_IN_MEMORY", 80000000000ULL);
    if (device->instance >= 0) memory->total /= (bytes_t)instances(device->gpu);
    memory->used = device->instance < 0 ? listed("STAND_IN_USED", device->gpu, 0) : 0;
    memory->reserved = 0;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetComputeRunningProcesses_v3(handle_t *device, unsigned *found, process_t *processes) {
    unsigned room = *found, seen = 0;
    const char *at = getenv("STAND_IN_PROCESSES");
    while (at && *at) {
        int gpu;
        unsigned pid;
        bytes_t used;
        if (sscanf(at, "%d:%u:%llu", &gpu, &pid, &used) == 3 && gpu == device->gpu && device->instance < 0) {
            if (processes && seen < room) processes[seen] = (process_t){pid, used, ~0u, ~0u};
            seen++;
        }
        at = strchr(at, ',');
        if (at) at++;
    }
    *found = seen;
    return seen > (processes ? room : 0) ? TOO_SMALL : SUCCESS;
}
EXPORTED int nvmlDeviceGetMigMode(handle_t *device, unsigned *now, unsigned *later) {
    *now = *later = instances(device->gpu) > 0;
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetMaxMigDeviceCount(handle_t *device, unsigned *most) {
    (void)device;
    *most = INSTANCES_MAX;
    return SUCCESS;
}
EXPORTED int nvmlDeviceGetMigDeviceHandleByIndex(handle_t *device, unsigned index, handle_t **part) {
    if ((int)index >= instances(device->gpu) || index >= INSTANCES_MAX) return NOT_FOUND;
    parts[device->gpu][index] = (handle_t){device->gpu, (int)index};
    *part = &parts[device->gpu][index];
    return SUCCESS;
}
