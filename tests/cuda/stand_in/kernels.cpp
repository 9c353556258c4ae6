// Our own kernels, run on the CPU: the source that a compiler for GPUs gets, with what CUDA adds to C++ in ordinary C++. The
// threads of a block take turns: each runs until it waits for the others, and in every second turn they run in the other
// order, so that what is read before it was waited for differs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
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
    const std::function<void()> *kernel;
};

static void __syncthreads()
{
    Block *here = block;
    swapcontext(&here->threads[here->running].context, &here->scheduler);
    threadIdx = here->threads[here->running].place;
}

static void run_thread()
{
    (*block->kernel)();
    block->threads[block->running].over = true;
}

static void run_block(const std::function<void()> &kernel)
{
    Block here;
    here.kernel = &kernel;
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

template <auto kernel> struct Unpacked;
template <typename... Arguments, void (*kernel)(Arguments...)> struct Unpacked<kernel> {
    using Kept = std::tuple<Arguments...>;

    template <size_t... At> static Kept unpack(void **arguments, std::index_sequence<At...>)
    {
        return {*(Arguments *)arguments[At]...};
    }

    // What calls it with these arguments, which are kept.
    static std::function<void()> bind(void **arguments)
    {
        Kept kept = unpack(arguments, std::index_sequence_for<Arguments...>());
        return [kept] { std::apply(kernel, kept); };
    }
};

#define OF(name) {#name, Unpacked<name>::bind}
#define NAMED(name) OF(name##_f32), OF(name##_f16), OF(name##_bf16)
static const std::map<std::string, std::function<void()> (*)(void **)> KERNELS_BY_NAME = {
    NAMED(attend), NAMED(attend_step), NAMED(extend), NAMED(extend_step), NAMED(finish), NAMED(gate), NAMED(add_norm), NAMED(embed),
    NAMED(choose),
};

// All of the above is of one thread at a time.
static std::mutex turn;

struct Launch {
    std::function<void()> kernel;
    dim3 grid, block;
};

// A launch of a kernel, to be run as often as wanted; null if it is none of ours.
extern "C" void *keep_own_kernel(const char *name, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, void **arguments)
{
    auto known = KERNELS_BY_NAME.find(name);
    if (known == KERNELS_BY_NAME.end()) return nullptr;
    return new Launch{known->second(arguments), {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}};
}

extern "C" void run_own_kernel(void *kept)
{
    Launch *launch = (Launch *)kept;
    std::lock_guard<std::mutex> mine(turn);
    gridDim = launch->grid;
    blockDim = launch->block;
    for (unsigned z = 0; z < gridDim.z; z++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned x = 0; x < gridDim.x; x++) {
                blockIdx = {x, y, z};
                run_block(launch->kernel);
            }
}

extern "C" void forget_own_kernel(void *kept) { delete (Launch *)kept; }
