// What the parts of the stand-in share: the page through which a test steers it and reads its counts.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { DEVICES = 8, STEPS = 4096 };

// What is counted. The order is that of `Count` in ../counts.rs.
enum count {
    CONTEXTS,   // made anew
    STREAMS,    // on which anything was done, not only recorded
    MODULES,    // kernels handed to the driver, which a real one compiles
    LAUNCHES,   // kernels, and copies and fills within the device
    PRODUCTS,   // of matrices
    ALLOCATIONS,
    FREES,
    TO_DEVICE,  // copies
    TO_DEVICE_BYTES,
    TO_HOST,    // copies
    TO_HOST_BYTES,
    EVENTS,     // made, recorded or waited for
    SYNCS,      // waits for the device, beside those of a copy to the host
    ASKED,      // how often the driver was asked for free memory
    TRIMS,      // memory given back to the device
    GRAPHS,     // launched; what each of their nodes does is counted beside
    COUNTS,
};

// What a copy to the host ended: such a step is what a decoder takes for a token.
struct step {
    uint64_t bytes;
    uint64_t counts[COUNTS];
};

// Of 64-bit words, mapped by whoever starts the program and named by CUDA_STAND_IN.
struct page {
    // Read by the stand-in.
    uint64_t devices;
    uint64_t capability[DEVICES];
    uint64_t driver;
    uint64_t memory[DEVICES];      // bytes
    uint64_t width[DEVICES];       // of the way to its memory, in bits: how fast it is
    uint64_t compute;              // whether our own kernels are run, which takes its time
    uint64_t lose_after;           // launches from now on until the context is lost; 0: never
    uint64_t hold;                 // as long as it is not 0 whoever launches something waits
    uint64_t waiting;              // so many do
    // Written by it.
    uint64_t held[DEVICES];        // bytes
    uint64_t most[DEVICES];        // bytes, at once
    uint64_t reserved[DEVICES];    // bytes that the process has of it, in use or kept for later
    uint64_t pinned;               // bytes of the host that devices may read by themselves, at most
    uint64_t counts[COUNTS];
    uint64_t steps;                // so far; the last STEPS are kept
    struct step step[STEPS];
};

// CUresult, as cuda.h has them.
enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, ILLEGAL_ADDRESS = 700, NOT_SUPPORTED = 801, NOT_IN_A_CAPTURE = 900 };
// CUgraphNodeType.
enum { KERNEL_NODE = 0, COPY_NODE = 1, FILL_NODE = 2, ALLOCATION_NODE = 10, FREE_NODE = 11 };

extern struct page *page;
void count(enum count what, uint64_t times);
// In kernels.cpp.
void *keep_own_kernel(const char *name, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                      unsigned block_z, unsigned shared, void **arguments);
void run_own_kernel(void *kept);
void forget_own_kernel(void *kept);
// Whether the device still answers; counts a launch or a product.
int launched(enum count what);

// What a stream is asked: what it is counted as, and how it is done.
struct work {
    int type;
    enum count what;
    void (*run)(void *kept);    // may be null, as `forget`
    void (*forget)(void *kept);
    void *kept;
};

// In graph.c. Does it, or keeps it if the stream is captured.
struct stream;
int ask(struct stream *stream, struct work work);
int is_captured(struct stream *stream);
