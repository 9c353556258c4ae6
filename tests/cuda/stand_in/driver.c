// In place of a driver of NVIDIA's: device memory is memory of the host, of all kernels only our own compute, and all that is
// asked for is counted. What is not here answers that it is not supported (see `build`).
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stand_in.h"

struct page *page;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Of the last step.
static uint64_t before[COUNTS];
static int lost;

__attribute__((constructor)) static void map_page(void)
{
    const char *path = getenv("CUDA_STAND_IN");
    int file = path ? open(path, O_RDWR) : -1;
    if (file >= 0) page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || page == MAP_FAILED) {
        // Alone, one card that has everything, and computes what it can.
        page = calloc(1, sizeof *page);
        page->devices = 1;
        page->capability[0] = 90;
        page->driver = 13000;
        page->memory[0] = 80ull << 30;
        page->width[0] = 5120;
        page->compute = 1;
    }
    if (file >= 0) close(file);
}

static void add(enum count what, uint64_t times)
{
    page->counts[what] += times;
}

void count(enum count what, uint64_t times)
{
    pthread_mutex_lock(&lock);
    add(what, times);
    pthread_mutex_unlock(&lock);
}

int launched(enum count what)
{
    __atomic_add_fetch(&page->waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&page->hold, __ATOMIC_ACQUIRE)) usleep(1000);
    __atomic_sub_fetch(&page->waiting, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&lock);
    add(what, 1);
    int works = what == LAUNCHES || what == PRODUCTS;
    if (works && page->lose_after && --page->lose_after == 0) lost = 1;
    int answer = lost ? ILLEGAL_ADDRESS : OK;
    pthread_mutex_unlock(&lock);
    return answer;
}

// Real drivers answer almost nothing once a context is lost.
static int alive(void)
{
    return lost ? ILLEGAL_ADDRESS : OK;
}

static void end_step(uint64_t bytes)
{
    struct step *step = &page->step[page->steps % STEPS];
    step->bytes = bytes;
    for (int what = 0; what < COUNTS; what++) step->counts[what] = page->counts[what] - before[what];
    memcpy(before, page->counts, sizeof before);
    page->steps++;
}

// === devices ===

int cuInit(unsigned flags) { return OK; }
int cuDriverGetVersion(int *version) { *version = (int)page->driver; return OK; }
int cuDeviceGetCount(int *devices) { *devices = (int)page->devices; return OK; }

int cuDeviceGet(int *device, int number)
{
    if (number < 0 || (uint64_t)number >= page->devices) return 101; // CUDA_ERROR_INVALID_DEVICE
    *device = number;
    return OK;
}

int cuDeviceGetName(char *name, int length, int device)
{
    snprintf(name, length, "a stand-in");
    return OK;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = page->memory[device]; return OK; }

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    switch (attribute) {
    case 75: *value = (int)page->capability[device] / 10; return OK; // COMPUTE_CAPABILITY_MAJOR
    case 76: *value = (int)page->capability[device] % 10; return OK; // COMPUTE_CAPABILITY_MINOR
    case 37: *value = (int)page->width[device]; return OK;           // GLOBAL_MEMORY_BUS_WIDTH
    case 16: *value = 8; return OK;                                  // MULTIPROCESSOR_COUNT
    default: *value = 1; return OK;                                  // among them MEMORY_POOLS_SUPPORTED
    }
}

// === contexts ===

static int retained[DEVICES];
static __thread void *current;

// A context is the number of its device, and not null.
static int device_of_context(void) { return current ? (int)((uintptr_t)current >> 12) - 1 : 0; }

int cuDevicePrimaryCtxRetain(void **context, int device)
{
    pthread_mutex_lock(&lock);
    if (retained[device]++ == 0) add(CONTEXTS, 1);
    pthread_mutex_unlock(&lock);
    *context = (void *)((uintptr_t)(device + 1) << 12);
    return alive();
}

int cuDevicePrimaryCtxRelease_v2(int device)
{
    pthread_mutex_lock(&lock);
    retained[device]--;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuCtxGetCurrent(void **context) { *context = current; return OK; }
int cuCtxSetCurrent(void *context) { current = context; return alive(); }
int cuCtxGetDevice(int *device) { *device = device_of_context(); return OK; }
int cuCtxSynchronize(void) { count(SYNCS, 1); return alive(); }

// === memory ===

// Before every allocation.
struct header {
    size_t bytes;
    int device;
};
enum { HEADER = 256 };

static int allocate(void **at, size_t bytes)
{
    int device = device_of_context(), answer = alive();
    pthread_mutex_lock(&lock);
    add(ALLOCATIONS, 1);
    if (!answer && page->held[device] + bytes > page->memory[device]) answer = OUT_OF_MEMORY;
    struct header *header = answer ? NULL : calloc(1, bytes + HEADER);
    if (header) {
        *header = (struct header){bytes, device};
        *at = (char *)header + HEADER;
        page->held[device] += bytes;
        if (page->held[device] > page->most[device]) page->most[device] = page->held[device];
        if (page->held[device] > page->reserved[device]) page->reserved[device] = page->held[device];
    } else if (!answer) {
        answer = OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

static int release(void *at)
{
    struct header *header = (struct header *)((char *)at - HEADER);
    pthread_mutex_lock(&lock);
    add(FREES, 1);
    page->held[header->device] -= header->bytes;
    pthread_mutex_unlock(&lock);
    free(header);
    return alive();
}

// Page-locked memory of the host.
static uint64_t pinned;

int cuMemHostAlloc(void **at, size_t bytes, unsigned flags)
{
    struct header *header = alive() ? NULL : calloc(1, bytes + HEADER);
    if (!header) return lost ? alive() : OUT_OF_MEMORY;
    header->bytes = bytes;
    *at = (char *)header + HEADER;
    pthread_mutex_lock(&lock);
    pinned += bytes;
    if (pinned > page->pinned) page->pinned = pinned;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuMemFreeHost(void *at)
{
    struct header *header = (struct header *)((char *)at - HEADER);
    pthread_mutex_lock(&lock);
    pinned -= header->bytes;
    pthread_mutex_unlock(&lock);
    free(header);
    return alive();
}

int cuMemAllocAsync(void **at, size_t bytes, void *stream)
{
    // It stays for as long as the process does: a graph may be launched again.
    int answer = allocate(at, bytes);
    return answer || !is_captured(stream) ? answer : ask(stream, (struct work){ALLOCATION_NODE, ALLOCATIONS});
}

int cuMemAlloc_v2(void **at, size_t bytes) { return allocate(at, bytes); }
int cuMemFreeAsync(void *at, void *stream)
{
    return is_captured(stream) ? ask(stream, (struct work){FREE_NODE, FREES}) : release(at);
}

int cuMemFree_v2(void *at) { return release(at); }

int cuMemGetInfo_v2(size_t *free, size_t *total)
{
    int device = device_of_context();
    count(ASKED, 1);
    *total = page->memory[device];
    *free = page->reserved[device] < *total ? *total - page->reserved[device] : 0;
    return alive();
}

// A pool is the number of its device, and not null. It gives nothing back unless it is told to.

static int device_of_pool(void *pool) { return (int)((uintptr_t)pool >> 20) - 1; }

int cuDeviceGetDefaultMemPool(void **pool, int device) { *pool = (void *)((uintptr_t)(device + 1) << 20); return alive(); }
int cuMemPoolSetAttribute(void *pool, int attribute, void *value) { return alive(); }

int cuMemPoolGetAttribute(void *pool, int attribute, void *value)
{
    int device = device_of_pool(pool);
    switch (attribute) {
    case 5: *(uint64_t *)value = page->reserved[device]; return alive(); // RESERVED_MEM_CURRENT
    case 7: *(uint64_t *)value = page->held[device]; return alive();     // USED_MEM_CURRENT
    default: return INVALID_VALUE;
    }
}

int cuMemPoolTrimTo(void *pool, size_t bytes)
{
    int device = device_of_pool(pool);
    pthread_mutex_lock(&lock);
    add(TRIMS, 1);
    page->reserved[device] = page->held[device] > bytes ? page->held[device] : bytes;
    pthread_mutex_unlock(&lock);
    return alive();
}

// A copy or a fill; `from` is null for a fill.
struct transfer {
    void *to;
    const void *from;
    unsigned char value;
    size_t bytes;
};

static void do_transfer(void *kept)
{
    struct transfer *transfer = kept;
    if (transfer->from) memmove(transfer->to, transfer->from, transfer->bytes);
    else memset(transfer->to, transfer->value, transfer->bytes);
}

static void do_copy_to_device(void *kept)
{
    do_transfer(kept);
    count(TO_DEVICE_BYTES, ((struct transfer *)kept)->bytes);
}

static int transfer(void *stream, int type, enum count what, void (*run)(void *), struct transfer transfer)
{
    struct transfer *kept = malloc(sizeof *kept);
    *kept = transfer;
    return ask(stream, (struct work){type, what, run, free, kept});
}

static int copy_to_host(void *to, const void *from, size_t bytes)
{
    int answer = alive();
    if (!answer) memcpy(to, from, bytes);
    pthread_mutex_lock(&lock);
    add(TO_HOST, 1);
    add(TO_HOST_BYTES, bytes);
    end_step(bytes);
    pthread_mutex_unlock(&lock);
    return answer;
}

int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t bytes, void *stream)
{
    return transfer(stream, COPY_NODE, TO_DEVICE, do_copy_to_device, (struct transfer){to, from, 0, bytes});
}

int cuMemcpyHtoD_v2(void *to, const void *from, size_t bytes) { return cuMemcpyHtoDAsync_v2(to, from, bytes, NULL); }

int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t bytes, void *stream)
{
    return is_captured(stream) ? NOT_IN_A_CAPTURE : copy_to_host(to, from, bytes);
}

int cuMemcpyDtoH_v2(void *to, const void *from, size_t bytes) { return copy_to_host(to, from, bytes); }

int cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t bytes, void *stream)
{
    return transfer(stream, COPY_NODE, LAUNCHES, do_transfer, (struct transfer){to, from, 0, bytes});
}

int cuMemsetD8Async(void *at, unsigned char value, size_t bytes, void *stream)
{
    return transfer(stream, FILL_NODE, LAUNCHES, do_transfer, (struct transfer){at, NULL, value, bytes});
}

// === kernels ===

int cuModuleLoadData(void **module, const void *image) { count(MODULES, 1); *module = (void *)0x2000; return alive(); }
int cuModuleUnload(void *module) { return OK; }
int cuModuleGetFunction(void **function, void *module, const char *name) { *function = strdup(name); return alive(); }
int cuFuncSetAttribute(void *function, int attribute, int value) { return alive(); }

static void run_kernel(void *kept)
{
    if (kept && page->compute) run_own_kernel(kept);
}

int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared, void *stream, void **arguments, void **extra)
{
    void *kept = keep_own_kernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, arguments);
    return ask(stream, (struct work){KERNEL_NODE, LAUNCHES, run_kernel, forget_own_kernel, kept});
}

// === streams and events ===

int cuStreamSynchronize(void *stream) { count(SYNCS, 1); return is_captured(stream) ? NOT_IN_A_CAPTURE : alive(); }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { count(EVENTS, 1); return alive(); }
int cuEventCreate(void **event, unsigned flags) { count(EVENTS, 1); *event = (void *)0x5000; return alive(); }
int cuEventDestroy_v2(void *event) { return OK; }
int cuEventSynchronize(void *event) { return alive(); }
int cuEventRecord(void *event, void *stream) { count(EVENTS, 1); return alive(); }

// === errors ===

static const char *name_of(int error)
{
    switch (error) {
    case OUT_OF_MEMORY: return "CUDA_ERROR_OUT_OF_MEMORY";
    case ILLEGAL_ADDRESS: return "CUDA_ERROR_ILLEGAL_ADDRESS";
    case NOT_SUPPORTED: return "CUDA_ERROR_NOT_SUPPORTED";
    default: return "an error of the stand-in";
    }
}

int cuGetErrorString(int error, const char **text) { *text = name_of(error); return OK; }
int cuGetErrorName(int error, const char **text) { *text = name_of(error); return OK; }

int not_supported(const char *function)
{
    fprintf(stderr, "the stand-in has no %s\n", function);
    return NOT_SUPPORTED;
}
