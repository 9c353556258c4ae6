// Our own kernels, run on the CPU: the source that a compiler for GPUs gets, with what CUDA adds to C++ in ordinary C++. The
// threads of a block take turns: each runs until it waits for the others, and in every second turn they run in the other
// order, so that what is read before it was waited for differs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ucontext.h>

struct dim3 {
    unsigned x, y, z;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;
static struct Block *block;

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline

// === what waits ===

// As many threads as a block may have, and what each needs.
constexpr size_t THREADS_OF_A_BLOCK = 1024, STACK = 32 << 10;
static char stacks[THREADS_OF_A_BLOCK][STACK];

struct Block {
    struct Thread {
        ucontext_t context;
        dim3 place;
        bool over;
    };
    ucontext_t scheduler;
    std::vector<Thread> threads;
    size_t running;
    void (*kernel)(void **);
    void **arguments;
};

static void __syncthreads()
{
    Block *here = block;
    swapcontext(&here->threads[here->running].context, &here->scheduler);
    threadIdx = here->threads[here->running].place;
}

static void run_thread()
{
    block->kernel(block->arguments);
    block->threads[block->running].over = true;
}

static void run_block(void (*kernel)(void **), void **arguments)
{
    Block here;
    here.kernel = kernel;
    here.arguments = arguments;
    here.threads.resize((size_t)blockDim.x * blockDim.y * blockDim.z);
    block = &here;
    for (size_t at = 0; at < here.threads.size(); at++) {
        Block::Thread &thread = here.threads[at];
        thread.place = {(unsigned)(at % blockDim.x), (unsigned)(at / blockDim.x % blockDim.y),
                        (unsigned)(at / blockDim.x / blockDim.y)};
        thread.over = false;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = stacks[at];
        thread.context.uc_stack.ss_size = STACK;
        thread.context.uc_link = &here.scheduler;
        makecontext(&thread.context, run_thread, 0);
    }
    size_t left = here.threads.size();
    for (bool backwards = false; left > 0; backwards = !backwards) {
        for (size_t turn = 0; turn < here.threads.size(); turn++) {
            here.running = backwards ? here.threads.size() - 1 - turn : turn;
            Block::Thread &thread = here.threads[here.running];
            if (thread.over) continue;
            threadIdx = thread.place;
            swapcontext(&here.scheduler, &thread.context);
            if (thread.over) left--;
        }
    }
}

// === the kernels ===

// In place of the memory that a launch asks for.
#define SHARED_FLOATS static float shared_floats[64 << 10]
#include "decode.cu"
// Each source has its own names.
namespace sample {
#include "sample.cu"
}
using sample::choose_bf16;
using sample::choose_f16;
using sample::choose_f32;

template <typename... Arguments, size_t... At>
static void call(void (*kernel)(Arguments...), void **arguments, std::index_sequence<At...>)
{
    kernel(*(Arguments *)arguments[At]...);
}

template <auto kernel> struct Unpacked;
template <typename... Arguments, void (*kernel)(Arguments...)> struct Unpacked<kernel> {
    static void run(void **arguments) { call(kernel, arguments, std::index_sequence_for<Arguments...>()); }
};

#define NAMED(name) {#name, Unpacked<name>::run}
static const std::map<std::string, void (*)(void **)> KERNELS_BY_NAME = {
    NAMED(attend_f32), NAMED(attend_f16), NAMED(attend_bf16), NAMED(extend_f32), NAMED(extend_f16),
    NAMED(extend_bf16), NAMED(finish_f32), NAMED(finish_f16), NAMED(finish_bf16), NAMED(choose_f32),
    NAMED(choose_f16),  NAMED(choose_bf16),
};

// All of the above is of one thread at a time.
static std::mutex turn;

// Runs a kernel if it is one of ours.
extern "C" void run_own_kernel(const char *name, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                               unsigned block_y, unsigned block_z, void **arguments)
{
    auto known = KERNELS_BY_NAME.find(name);
    if (known == KERNELS_BY_NAME.end()) return;
    std::lock_guard<std::mutex> mine(turn);
    gridDim = {grid_x, grid_y, grid_z};
    blockDim = {block_x, block_y, block_z};
    for (unsigned z = 0; z < grid_z; z++)
        for (unsigned y = 0; y < grid_y; y++)
            for (unsigned x = 0; x < grid_x; x++) {
                blockIdx = {x, y, z};
                run_block(known->second, arguments);
            }
}
