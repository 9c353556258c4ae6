// Our own kernels, run on the CPU: the source that a compiler for GPUs gets, with what CUDA adds to C++ in ordinary C++. The
// threads of a block take turns: each runs until it waits for others, and in every second turn they run in the other order, so
// that what is read before it was waited for differs. The blocks of a launch run one after the other, in an order that is
// another at every launch.

// Threads change stacks by jumps, which it would not have.
#undef _FORTIFY_SOURCE
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ucontext.h>

struct dim3 {
    unsigned x, y, z;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)

[[noreturn]] static void fail(const char *why)
{
    fprintf(stderr, "the stand-in: %s, block %u,%u,%u\n", why, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

// === what waits ===

// As many threads as a block may have, those that exchange numbers, and what each needs.
constexpr size_t THREADS_OF_A_BLOCK = 1024, THREADS_OF_A_WARP = 32, STACK = 32 << 10;

// A thread of every block, one after the other.
struct Thread {
    jmp_buf left;
    dim3 place;
    bool begun, over;
    // What others of its warp read, now and the time before.
    float shown[2];
    unsigned times;
    char stack[STACK];
};

// Where threads wait for each other.
struct Barrier {
    size_t arrived, times;
};

static Thread threads[THREADS_OF_A_BLOCK];
static Barrier of_block, of_warps[THREADS_OF_A_BLOCK / THREADS_OF_A_WARP];
// The thread that runs, and those of the block that are not over.
static size_t running, left;
// Whether one went on since that was last asked.
static bool moved;
static jmp_buf scheduler;
static const std::function<void()> *kernel_of_block;

// The others run.
static void pause()
{
    if (_setjmp(threads[running].left) == 0) _longjmp(scheduler, 1);
    threadIdx = threads[running].place;
}

static void run_threads()
{
    for (;;) {
        moved = true;
        (*kernel_of_block)();
        threads[running].over = true;
        left--;
        pause();
    }
}

static void resume()
{
    Thread &thread = threads[running];
    threadIdx = thread.place;
    if (_setjmp(scheduler) != 0) return;
    if (thread.begun) _longjmp(thread.left, 1);
    thread.begun = true;
    static ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = thread.stack;
    context.uc_stack.ss_size = STACK;
    makecontext(&context, run_threads, 0);
    setcontext(&context);
}

static void wait_at(Barrier &barrier, const size_t &all)
{
    size_t before = barrier.times;
    barrier.arrived++;
    while (barrier.times == before) {
        if (barrier.arrived >= all) {
            barrier.arrived = 0;
            barrier.times++;
        } else {
            pause();
        }
    }
    moved = true;
}

static void run_block(const std::function<void()> &kernel)
{
    size_t count = (size_t)blockDim.x * blockDim.y * blockDim.z;
    if (count > THREADS_OF_A_BLOCK) fail("too many threads");
    kernel_of_block = &kernel;
    left = count;
    of_block = {};
    std::fill(std::begin(of_warps), std::end(of_warps), Barrier{});
    for (size_t at = 0; at < count; at++) {
        threads[at].place = {(unsigned)(at % blockDim.x), (unsigned)(at / blockDim.x % blockDim.y),
                             (unsigned)(at / blockDim.x / blockDim.y)};
        threads[at].over = false;
    }
    for (bool backwards = false; left > 0; backwards = !backwards) {
        moved = false;
        for (size_t turn = 0; turn < count; turn++) {
            running = backwards ? count - 1 - turn : turn;
            if (!threads[running].over) resume();
        }
        if (!moved) fail("threads wait for each other for ever");
    }
}

static void __syncthreads() { wait_at(of_block, left); }

// All threads of a warp come here, as many times.
static float __shfl_xor_sync(unsigned, float mine, unsigned bit)
{
    Thread &thread = threads[running];
    unsigned time = thread.times++ % 2;
    thread.shown[time] = mine;
    wait_at(of_warps[running / THREADS_OF_A_WARP], THREADS_OF_A_WARP);
    return threads[running ^ bit].shown[time];
}

// One thread runs at a time, and sees what others wrote.
static void __threadfence() {}

static unsigned atomicInc(unsigned *at, unsigned most)
{
    unsigned before = *at;
    *at = before >= most ? 0 : before + 1;
    return before;
}

// === the kernels ===

// In place of the memory that a launch asks for, of which there may be 48 KiB, and what lies behind it.
constexpr size_t MOST_SHARED = (48 << 10) / sizeof(float), BEHIND = 1024;
#define SHARED_FLOATS static float shared_floats[MOST_SHARED + BEHIND]
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
    NAMED(attend), NAMED(attend_step), NAMED(attend_grouped), NAMED(attend_step_grouped), NAMED(extend), NAMED(extend_step),
    NAMED(finish), NAMED(gate), NAMED(norm), NAMED(add_norm), NAMED(embed), NAMED(convolve), NAMED(advance), NAMED(choose),
};

// All of the above is of one thread at a time.
static std::mutex turn;

struct Launch {
    std::function<void()> kernel;
    dim3 grid, block;
    // Floats that a block asks for.
    size_t shared;
};

// A launch of a kernel, to be run as often as wanted; null if it is none of ours.
extern "C" void *keep_own_kernel(const char *name, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, unsigned shared, void **arguments)
{
    auto known = KERNELS_BY_NAME.find(name);
    if (known == KERNELS_BY_NAME.end()) return nullptr;
    return new Launch{known->second(arguments), {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared / sizeof(float)};
}

// Nothing is there yet, and what was not asked for stays as it is.
static void run_within(const Launch &launch)
{
    if (launch.shared > MOST_SHARED) fail("more shared memory than a card has");
    std::fill_n(shared_floats, launch.shared + BEHIND, NAN);
    run_block(launch.kernel);
    for (size_t at = launch.shared; at < launch.shared + BEHIND; at++)
        if (!std::isnan(shared_floats[at])) fail("shared memory that was not asked for was written");
}

extern "C" void run_own_kernel(void *kept)
{
    static std::minstd_rand random;
    Launch *launch = (Launch *)kept;
    std::lock_guard<std::mutex> mine(turn);
    gridDim = launch->grid;
    blockDim = launch->block;
    std::vector<unsigned> blocks(gridDim.x * gridDim.y * gridDim.z);
    std::iota(blocks.begin(), blocks.end(), 0);
    std::shuffle(blocks.begin(), blocks.end(), random);
    for (unsigned at : blocks) {
        blockIdx = {at % gridDim.x, at / gridDim.x % gridDim.y, at / gridDim.x / gridDim.y};
        run_within(*launch);
    }
}

extern "C" void forget_own_kernel(void *kept) { delete (Launch *)kept; }
