// A libcuda.so.1 for machines without a GPU. Memory is the machine's, modules are texts, kernels compute nothing, and
// what is copied back is zero. It counts what is asked of it, and fails as it is told to.
//
//   STAND_IN_ARCH=90            the GPUs' compute capability, times ten
//   STAND_IN_MEMORY=80000000000 bytes of memory of each
//   STAND_IN_ROOM=80000000000   bytes of it that can be taken
//   STAND_IN_CUDA_FAULT=...     no-device or start: the driver does not start; memory, exclusive: no context;
//                               old: it refuses what a newer compiler has made
//   STAND_IN_BREAKS=NAME:N:CODE the GPU whose name begins so is lost after N launches: then all calls answer CODE,
//                               in this process
//   STAND_IN_GONE=FILE          with it: made when the GPU is lost; while it is there, that GPU is not found
//   STAND_IN_FULL=N             all memory is taken after N launches
//   STAND_IN_DRIVER_LOG=FILE    what was asked, in FILE.PROCESS:
//       step NUMBER launches N uploads N bytes N reads N bytes N waits N allocations N bytes N modules N
//       module KERNEL step NUMBER
//       kernel KERNEL launches N, for each when the process ends
//   STAND_IN_STEP=losses_kernel each launch of a kernel whose name begins so is a step
//
// One GPU is seen for each entry of CUDA_VISIBLE_DEVICES.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

enum {
    SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, UNAVAILABLE = 46, NO_DEVICE = 100, INVALID_DEVICE = 101,
    ECC = 214, OLD = 222, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, UNKNOWN = 999
};
enum { NAME_MAX_LENGTH = 512, SLOTS = 65536 };

typedef unsigned long long count_t;
typedef uintptr_t address_t;
typedef struct kernel { char name[NAME_MAX_LENGTH]; count_t launches; struct kernel *next; } kernel_t;
typedef struct block { address_t address; size_t bytes; struct block *next; } block_t;
typedef struct {
    size_t from_x, from_y; int from_type; const void *from_host; address_t from; void *from_array; size_t from_pitch;
    size_t to_x, to_y; int to_type; void *to_host; address_t to; void *to_array; size_t to_pitch;
    size_t width, height;
} copy_2d_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static FILE *told;
static kernel_t *kernels;
static block_t *blocks[SLOTS];
static count_t launches, uploads, uploaded, reads, bytes_read, waits, allocations, in_use, modules, steps;
static int trouble; // what every call answers once the GPU is lost

static count_t number(const char *name, count_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static count_t memory(void) { return number("STAND_IN_MEMORY", 80000000000ULL); }

static int has_fault(const char *name) {
    const char *fault = getenv("STAND_IN_CUDA_FAULT");
    return fault && !strcmp(fault, name);
}

// The part of STAND_IN_BREAKS behind the name, if this process sees the GPU that it names.
static const char *breaks(void) {
    const char *told = getenv("STAND_IN_BREAKS"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    const char *behind = told ? strchr(told, ':') : NULL;
    return behind && visible && !strncmp(visible, told, (size_t)(behind - told)) ? behind + 1 : NULL;
}

static int is_gone(void) {
    const char *file = getenv("STAND_IN_GONE");
    return breaks() && file && !access(file, F_OK);
}

static int devices(void) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (is_gone()) return 0;
    if (!visible) return 1;
    int count = *visible != 0;
    for (; *visible; visible++) count += *visible == ',';
    return count;
}

static void at_end(void) {
    for (kernel_t *kernel = kernels; kernel; kernel = kernel->next)
        if (kernel->launches) fprintf(told, "kernel %s launches %llu\n", kernel->name, kernel->launches);
}

static void begin(void) {
    const char *log = getenv("STAND_IN_DRIVER_LOG");
    char path[4096];
    if (!log) return;
    snprintf(path, sizeof path, "%s.%d", log, getpid());
    told = fopen(path, "a");
    if (told) setvbuf(told, NULL, _IOLBF, 0), atexit(at_end);
}

EXPORTED int cuInit(unsigned flags) {
    (void)flags;
    pthread_once(&once, begin);
    if (has_fault("start")) return UNKNOWN;
    return has_fault("no-device") || !devices() ? NO_DEVICE : SUCCESS;
}
EXPORTED int cuDriverGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}
EXPORTED int cuGetErrorName(int error, const char **text) {
    switch (error) {
    case OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case ECC: *text = "CUDA_ERROR_ECC_UNCORRECTABLE"; break;
    case ILLEGAL_ADDRESS: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case LAUNCH_FAILED: *text = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case UNKNOWN: *text = "CUDA_ERROR_UNKNOWN"; break;
    default: *text = "CUDA_ERROR_OF_A_STAND_IN";
    }
    return SUCCESS;
}
EXPORTED int cuGetErrorString(int error, const char **text) {
    (void)error;
    *text = "an error of a stand-in";
    return SUCCESS;
}

// Devices and contexts.

EXPORTED int cuDeviceGetCount(int *count) {
    *count = devices();
    return SUCCESS;
}
EXPORTED int cuDeviceGet(int *device, int index) {
    if (index < 0 || index >= devices()) return INVALID_DEVICE;
    *device = index;
    return SUCCESS;
}
EXPORTED int cuDeviceGetName(char *text, int length, int device) {
    (void)device;
    snprintf(text, (size_t)length, "Stand-in GPU");
    return SUCCESS;
}
EXPORTED int cuDeviceGetUuid_v2(void *uuid, int device) {
    memset(uuid, device, 16);
    return SUCCESS;
}
EXPORTED int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = memory();
    return SUCCESS;
}
// The attributes that cubecl 0.10 asks for, as an H100 answers them.
EXPORTED int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    int capability = (int)number("STAND_IN_ARCH", 90);
    switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break; // threads of a block, and its sides
    case 4: *value = 64; break;
    case 5: *value = 2147483647; break; // sides of a grid
    case 6: case 7: *value = 65535; break;
    case 8: *value = 49152; break; // shared memory of a block
    case 10: *value = 32; break; // threads of a warp
    case 16: *value = 132; break; // multiprocessors
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    case 97: *value = capability >= 90 ? 232448 : 166912; break; // shared memory of a block, if asked for
    default: *value = 1; // among them 115, memory pools
    }
    return SUCCESS;
}
EXPORTED int cuDevicePrimaryCtxRetain(void **context, int device) {
    if (has_fault("memory")) return OUT_OF_MEMORY;
    if (has_fault("exclusive")) return UNAVAILABLE;
    *context = (void *)(uintptr_t)(0x1000 + device);
    return trouble;
}
EXPORTED int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    return trouble;
}
EXPORTED int cuCtxSetCurrent(void *context) {
    (void)context;
    return trouble;
}
EXPORTED int cuCtxGetCurrent(void **context) {
    *context = (void *)0x1000;
    return trouble;
}
EXPORTED int cuDeviceCanAccessPeer(int *can, int device, int other) {
    (void)device, (void)other;
    *can = 0;
    return SUCCESS;
}

// Streams and events. All work is done when it is asked for.

static int wait_for_it(void) {
    __atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED);
    return trouble;
}

EXPORTED int cuCtxSynchronize(void) { return wait_for_it(); }
EXPORTED int cuStreamSynchronize(void *stream) {
    (void)stream;
    return wait_for_it();
}
EXPORTED int cuEventSynchronize(void *event) {
    (void)event;
    return wait_for_it();
}
EXPORTED int cuStreamCreate(void **stream, unsigned flags) {
    (void)flags;
    *stream = malloc(1);
    return trouble;
}
EXPORTED int cuStreamDestroy_v2(void *stream) {
    free(stream);
    return trouble;
}
EXPORTED int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    (void)stream, (void)event, (void)flags;
    return trouble;
}
EXPORTED int cuEventCreate(void **event, unsigned flags) {
    (void)flags;
    *event = malloc(1);
    return trouble;
}
EXPORTED int cuEventDestroy_v2(void *event) {
    free(event);
    return trouble;
}
EXPORTED int cuEventRecord(void *event, void *stream) {
    (void)event, (void)stream;
    return trouble;
}
EXPORTED int cuEventQuery(void *event) {
    (void)event;
    return trouble;
}
EXPORTED int cuEventElapsedTime(float *milliseconds, void *first, void *last) {
    (void)first, (void)last;
    *milliseconds = 1.0f;
    return trouble;
}
EXPORTED int cuEventElapsedTime_v2(float *milliseconds, void *first, void *last) {
    return cuEventElapsedTime(milliseconds, first, last);
}

// Memory. Pages that nothing is copied to are never there.

static int is_full(void) { return launches >= number("STAND_IN_FULL", ~0ULL); }

static int take(address_t *address, size_t bytes) {
    if (trouble) return trouble;
    pthread_mutex_lock(&lock);
    int is_room = !is_full() && in_use + bytes <= number("STAND_IN_ROOM", memory());
    void *found = is_room ? mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
    if (found != MAP_FAILED) {
        block_t *block = malloc(sizeof *block), **slot = &blocks[((address_t)found >> 12) % SLOTS];
        *block = (block_t){(address_t)found, bytes, *slot};
        *slot = block;
        *address = (address_t)found;
        in_use += bytes;
        allocations++;
    }
    pthread_mutex_unlock(&lock);
    return found == MAP_FAILED ? OUT_OF_MEMORY : SUCCESS;
}

static int give(address_t address) {
    pthread_mutex_lock(&lock);
    block_t **at = &blocks[(address >> 12) % SLOTS];
    while (*at && (*at)->address != address) at = &(*at)->next;
    block_t *block = *at;
    if (block) {
        munmap((void *)block->address, block->bytes ? block->bytes : 1);
        in_use -= block->bytes;
        *at = block->next;
        free(block);
    }
    pthread_mutex_unlock(&lock);
    return trouble;
}

EXPORTED int cuMemGetInfo_v2(size_t *available, size_t *total) {
    *total = memory();
    *available = is_full() ? 0 : *total - in_use;
    return trouble;
}
EXPORTED int cuMemAlloc_v2(address_t *address, size_t bytes) { return take(address, bytes); }
EXPORTED int cuMemAllocAsync(address_t *address, size_t bytes, void *stream) {
    (void)stream;
    return take(address, bytes);
}
EXPORTED int cuMemFree_v2(address_t address) { return give(address); }
EXPORTED int cuMemFreeAsync(address_t address, void *stream) {
    (void)stream;
    return give(address);
}
// Memory of the host that a GPU reads by itself.
EXPORTED int cuMemAllocHost_v2(void **address, size_t bytes) {
    *address = trouble ? NULL : calloc(1, bytes ? bytes : 1);
    return *address ? SUCCESS : trouble ? trouble : OUT_OF_MEMORY;
}
EXPORTED int cuMemFreeHost(void *address) {
    free(address);
    return trouble;
}

static void note_upload(size_t bytes) {
    __atomic_add_fetch(&uploads, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&uploaded, bytes, __ATOMIC_RELAXED);
}

static void note_read(size_t bytes) {
    __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&bytes_read, bytes, __ATOMIC_RELAXED);
}

EXPORTED int cuMemcpyHtoDAsync_v2(address_t to, const void *from, size_t bytes, void *stream) {
    (void)to, (void)from, (void)stream;
    note_upload(bytes);
    return trouble;
}
EXPORTED int cuMemcpyDtoHAsync_v2(void *to, address_t from, size_t bytes, void *stream) {
    (void)from, (void)stream;
    if (trouble) return trouble;
    note_read(bytes);
    memset(to, 0, bytes);
    return SUCCESS;
}
EXPORTED int cuMemcpyDtoDAsync_v2(address_t to, address_t from, size_t bytes, void *stream) {
    (void)to, (void)from, (void)bytes, (void)stream;
    return trouble;
}
EXPORTED int cuMemsetD8Async(address_t to, unsigned char value, size_t bytes, void *stream) {
    (void)to, (void)value, (void)bytes, (void)stream;
    return trouble;
}
EXPORTED int cuMemcpy2DAsync_v2(const copy_2d_t *copy, void *stream) {
    (void)stream;
    if (trouble) return trouble;
    size_t bytes = copy->width * copy->height;
    if (copy->from_type == 1) {
        note_upload(bytes);
    } else if (copy->to_type == 1) {
        note_read(bytes);
        char *to = (char *)copy->to_host + copy->to_y * copy->to_pitch + copy->to_x;
        for (size_t row = 0; row < copy->height; row++) memset(to + row * copy->to_pitch, 0, copy->width);
    }
    return SUCCESS;
}

// Modules and kernels.

EXPORTED int cuModuleLoadData(void **module, const void *image) {
    if (has_fault("old")) return OLD;
    *module = strdup(image);
    return trouble;
}
EXPORTED int cuModuleUnload(void *module) {
    free(module);
    return trouble;
}
EXPORTED int cuModuleGetFunction(kernel_t **function, void *module, const char *name) {
    char entry[NAME_MAX_LENGTH + 16];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    if (!strstr(module, entry)) return NOT_FOUND;
    kernel_t *kernel = calloc(1, sizeof *kernel);
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    pthread_mutex_lock(&lock);
    kernel->next = kernels;
    kernels = kernel;
    modules++;
    if (told) fprintf(told, "module %s step %llu\n", name, steps);
    pthread_mutex_unlock(&lock);
    *function = kernel;
    return trouble;
}
EXPORTED int cuFuncSetAttribute(void *function, int attribute, int value) {
    (void)function;
    int most = (int)number("STAND_IN_ARCH", 90) >= 90 ? 232448 : 166912;
    return attribute == 8 && value > most ? INVALID : trouble; // shared memory
}
EXPORTED int cuFuncGetAttribute(int *value, int attribute, void *function) {
    (void)attribute, (void)function;
    *value = 0;
    return trouble;
}

// The GPU is lost if its time has come. Called with the lock.
static void lose(void) {
    const char *behind = breaks();
    if (!behind || launches != strtoull(behind, NULL, 10)) return;
    const char *code = strchr(behind, ':'), *file = getenv("STAND_IN_GONE");
    trouble = code ? atoi(code + 1) : LAUNCH_FAILED;
    FILE *made = file ? fopen(file, "w") : NULL;
    if (made) fclose(made);
}

static int launch(kernel_t *kernel) {
    const char *mark = getenv("STAND_IN_STEP");
    if (!mark) mark = "losses_kernel";
    pthread_mutex_lock(&lock);
    launches++;
    kernel->launches++;
    lose();
    if (!strncmp(kernel->name, mark, strlen(mark))) {
        steps++;
        if (told)
            fprintf(told, "step %llu launches %llu uploads %llu bytes %llu reads %llu bytes %llu waits %llu "
                          "allocations %llu bytes %llu modules %llu\n",
                    steps, launches, uploads, uploaded, reads, bytes_read, waits, allocations, in_use, modules);
    }
    pthread_mutex_unlock(&lock);
    return trouble;
}

EXPORTED int cuLaunchKernel(kernel_t *kernel, unsigned x, unsigned y, unsigned z, unsigned block_x, unsigned block_y,
                            unsigned block_z, unsigned shared, void *stream, void **arguments, void **extra) {
    (void)shared, (void)stream, (void)arguments, (void)extra;
    int is_valid = x && y && z && y <= 65535 && z <= 65535 && block_z <= 64 && block_x * block_y * block_z <= 1024;
    return is_valid ? launch(kernel) : INVALID;
}
EXPORTED int cuTensorMapEncodeTiled(void *map) {
    memset(map, 0, 128);
    return SUCCESS;
}
EXPORTED int cuTensorMapEncodeIm2col(void *map) {
    memset(map, 0, 128);
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
