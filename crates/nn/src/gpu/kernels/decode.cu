// What a decoder does at every step for all rows of a batch, each in one launch however many rows there are.
//
// A thread says in comments what it is for; nothing here knows how threads are grouped into warps, so that the same source
// runs on a CPU in tests (tests/cuda/stand_in/kernels.cpp). Sums are made in single precision, whatever the type.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Rows of one launch, at most. The tables below are arguments of kernels, of which there may be 4096 bytes.
constexpr unsigned ROWS = 64;
// Threads of a block of `attend`.
constexpr unsigned THREADS = 128;

// Where the caches of the rows are: `[heads, capacity, size]` each.
struct Caches {
    unsigned long long keys[ROWS];
    unsigned long long values[ROWS];
    unsigned capacity[ROWS];
    // Positions that are there: to attend to, or after which the new one comes.
    unsigned length[ROWS];
};

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void from_float(float x, float *to) { *to = x; }
__device__ __forceinline__ void from_float(float x, __half *to) { *to = __float2half(x); }
__device__ __forceinline__ void from_float(float x, __nv_bfloat16 *to) { *to = __float2bfloat16(x); }

// Sixteen bytes, which are read at once.
template <typename T> struct alignas(16) Pack {
    static constexpr unsigned COUNT = 16 / sizeof(T);
    T numbers[COUNT];
};

// Of all threads of a block, in shared memory. Their number is a power of two.
template <bool LARGEST> __device__ float reduce(float mine, float *memory)
{
    memory[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            float other = memory[threadIdx.x + half];
            mine = LARGEST ? fmaxf(mine, other) : mine + other;
            memory[threadIdx.x] = mine;
        }
        __syncthreads();
    }
    float all = memory[0];
    // The memory is used again.
    __syncthreads();
    return all;
}

#ifndef SHARED_FLOATS
#define SHARED_FLOATS extern __shared__ float shared_floats[]
#endif
// As much as a launch asks for.
SHARED_FLOATS;

// A block for each head of queries (x) of each row (y): softmax attention over the row's cache, whose keys are scaled. Of the
// heads of queries `group` share one of keys and values, those beside each other. `queries`: rows of `stride` numbers.
// Shared memory: `length + size + THREADS * (1 + COUNT)` floats.
template <typename T>
__device__ void attend(const T *queries, T *out, const Caches &caches, unsigned group, unsigned size, unsigned stride)
{
    constexpr unsigned COUNT = Pack<T>::COUNT;
    unsigned row = blockIdx.y, length = caches.length[row], packs = size / COUNT;
    size_t first = (size_t)(blockIdx.x / group) * caches.capacity[row] * size;
    const Pack<T> *keys = (const Pack<T> *)((const T *)caches.keys[row] + first);
    const Pack<T> *values = (const Pack<T> *)((const T *)caches.values[row] + first);
    float *scores = shared_floats, *query = scores + length, *memory = query + size, *sums = memory + THREADS;

    for (unsigned at = threadIdx.x; at < size; at += THREADS)
        query[at] = to_float(queries[(size_t)row * stride + blockIdx.x * size + at]);
    __syncthreads();

    // A thread for each position.
    float largest = -INFINITY;
    for (unsigned position = threadIdx.x; position < length; position += THREADS) {
        float score = 0;
        for (unsigned pack = 0; pack < packs; pack++) {
            Pack<T> key = keys[(size_t)position * packs + pack];
            for (unsigned at = 0; at < COUNT; at++) score += query[pack * COUNT + at] * to_float(key.numbers[at]);
        }
        scores[position] = score;
        largest = fmaxf(largest, score);
    }
    largest = reduce<true>(largest, memory);
    float sum = 0;
    for (unsigned position = threadIdx.x; position < length; position += THREADS) {
        float weight = expf(scores[position] - largest);
        scores[position] = weight;
        sum += weight;
    }
    // Behind it all weights are there.
    sum = reduce<false>(sum, memory);

    // A thread for each pack of numbers of some of the positions, then one for each number.
    unsigned parts = THREADS / packs, pack = threadIdx.x % packs, part = threadIdx.x / packs;
    float mixed[COUNT] = {0};
    if (part < parts) {
        for (unsigned position = part; position < length; position += parts) {
            Pack<T> value = values[(size_t)position * packs + pack];
            float weight = scores[position];
            for (unsigned at = 0; at < COUNT; at++) mixed[at] += weight * to_float(value.numbers[at]);
        }
        for (unsigned at = 0; at < COUNT; at++) sums[part * size + pack * COUNT + at] = mixed[at];
    }
    __syncthreads();
    for (unsigned at = threadIdx.x; at < size; at += THREADS) {
        float all = 0;
        for (unsigned from = 0; from < parts; from++) all += sums[from * size + at];
        from_float(all / sum, &out[((size_t)row * gridDim.x + blockIdx.x) * size + at]);
    }
}

// A block for each row: one more position of its caches. `keys` and `values`: rows of `width` numbers, each so far apart.
template <typename T>
__device__ void extend(const T *keys, const T *values, const Caches &caches, unsigned width, unsigned size,
                       unsigned key_stride, unsigned value_stride, float scale)
{
    unsigned row = blockIdx.x, capacity = caches.capacity[row], position = caches.length[row];
    T *to_keys = (T *)caches.keys[row], *to_values = (T *)caches.values[row];
    for (unsigned at = threadIdx.x; at < width; at += blockDim.x) {
        size_t to = ((size_t)(at / size) * capacity + position) * size + at % size;
        from_float(to_float(keys[(size_t)row * key_stride + at]) * scale, &to_keys[to]);
        to_values[to] = values[(size_t)row * value_stride + at];
    }
}

// What a linear layer does to its sums `[count / columns, columns]`, in place: a bias is added, and then the exact GELU taken or
// something added. `bias` and `add` may be null.
template <typename T>
__device__ void finish(T *sums, const T *bias, const T *add, unsigned columns, size_t count, unsigned gelu)
{
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    float x = to_float(sums[at]);
    if (bias) x += to_float(bias[at % columns]);
    if (gelu) x = 0.5f * x * (1.0f + erff(x * 0.70710678f));
    if (add) x += to_float(add[at]);
    from_float(x, &sums[at]);
}

#define KERNELS(T, NAME)                                                                                                    \
    extern "C" __global__ void attend_##NAME(const T *queries, T *out, Caches caches, unsigned group, unsigned size,       \
                                             unsigned stride)                                                               \
    {                                                                                                                       \
        attend<T>(queries, out, caches, group, size, stride);                                                               \
    }                                                                                                                       \
    extern "C" __global__ void extend_##NAME(const T *keys, const T *values, Caches caches, unsigned width, unsigned size,  \
                                             unsigned key_stride, unsigned value_stride, float scale)                       \
    {                                                                                                                       \
        extend<T>(keys, values, caches, width, size, key_stride, value_stride, scale);                                      \
    }                                                                                                                       \
    extern "C" __global__ void finish_##NAME(T *sums, const T *bias, const T *add, unsigned columns, size_t count,          \
                                             unsigned gelu)                                                                 \
    {                                                                                                                       \
        finish<T>(sums, bias, add, columns, count, gelu);                                                                   \
    }

KERNELS(float, f32)
KERNELS(__half, f16)
KERNELS(__nv_bfloat16, bf16)
