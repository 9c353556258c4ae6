// What a decoder does at every step for all rows of a batch, each in one launch however many rows there are. What differs from
// step to step lies in tables (`Fed`, `Cache`), so that a launch of a step is the same as that of the step before.
//
// A thread says in comments what it is for; nothing but attention and state spaces knows how threads are grouped into warps. The
// same source runs on a CPU in tests (tests/cuda/stand_in/kernels.cpp). Sums are made in single precision, whatever the type.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Rows whose table is an argument of a kernel, of which there may be 4096 bytes.
constexpr unsigned ROWS = 64;
// Threads of a block of those that sum over a row.
constexpr unsigned THREADS = 256;

// What a row is fed, or a part of it.
struct Fed {
    unsigned token;
    unsigned position;
};

// Where the keys and the values of a row are: `[heads, capacity, size]` each.
struct Cache {
    unsigned long long keys;
    unsigned long long values;
    unsigned capacity;
    // Positions that are there.
    unsigned length;
};

// How fast each pair of numbers of a head turns from one position to the next. The two are neighbours, or one is of the first half of
// the head and one of the second. Nothing turns if the numbers are null.
struct Frequencies {
    const float *numbers;
    unsigned neighbours;
};

// A table as an argument.
struct Caches {
    Cache rows[ROWS];
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
    unsigned words[4];

    __device__ __forceinline__ float number(unsigned at) const
    {
        unsigned byte = at * sizeof(T), word = words[byte / 4] >> byte % 4 * 8;
        T x;
        memcpy(&x, &word, sizeof x);
        return to_float(x);
    }
};

// Of all threads of a block, in shared memory.
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

// The number `at` of a head of `size`, with its bias unless that is null, and turned with the other of its pair by the angle of its
// position.
template <typename T>
__device__ float turned(const T *head, const T *bias, unsigned at, unsigned size, Frequencies frequencies, unsigned position)
{
    float x = to_float(head[at]);
    if (bias) x += to_float(bias[at]);
    if (!frequencies.numbers) return x;
    unsigned apart = frequencies.neighbours ? 1 : size / 2, pair = frequencies.neighbours ? at / 2 : at % apart;
    bool first = at / apart % 2 == 0;
    unsigned other = first ? at + apart : at - apart;
    float angle = position * frequencies.numbers[pair], y = to_float(head[other]);
    if (bias) y += to_float(bias[other]);
    return x * cosf(angle) + (first ? -y : y) * sinf(angle);
}

#include "attend.cuh"
#include "mamba2.cuh"

// A block for each position (x) of each row (y): as many more positions of its cache. `keys` and `values`: rows of `width`
// numbers, each so far apart, row after row; `bias` of both, unless it is null. Keys are turned (`turned`) and scaled.
template <typename T>
__device__ void extend(const T *keys, const T *values, const T *key_bias, const T *value_bias, Frequencies frequencies,
                       const Cache &cache, unsigned width, unsigned size, unsigned key_stride, unsigned value_stride,
                       float scale)
{
    size_t from = (size_t)blockIdx.y * gridDim.x + blockIdx.x, position = cache.length + blockIdx.x;
    T *to_keys = (T *)cache.keys, *to_values = (T *)cache.values;
    for (unsigned at = threadIdx.x; at < width; at += blockDim.x) {
        unsigned of_head = at % size, head = at - of_head;
        size_t to = ((size_t)(at / size) * cache.capacity + position) * size + of_head;
        float key = turned(keys + from * key_stride + head, key_bias ? key_bias + head : nullptr, of_head, size, frequencies,
                           position);
        float value = to_float(values[from * value_stride + at]);
        if (value_bias) value += to_float(value_bias[at]);
        from_float(key * scale, &to_keys[to]);
        from_float(value, &to_values[to]);
    }
}

// What a linear layer does to its sums `[count / columns, columns]`, in place: a bias is added, and then a GELU taken, the exact
// one (1) or that with a hyperbolic tangent (2), or something added. `bias` and `add` may be null.
template <typename T>
__device__ void finish(T *sums, const T *bias, const T *add, unsigned columns, size_t count, unsigned gelu)
{
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    float x = to_float(sums[at]);
    if (bias) x += to_float(bias[at % columns]);
    if (gelu == 1) x = 0.5f * x * (1.0f + erff(x * 0.70710678f));
    if (gelu == 2) x = 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    if (add) x += to_float(add[at]);
    from_float(x, &sums[at]);
}

// The gate between two layers, `[count / inner, 2 * inner]` to `[count / inner, inner]`: the first half of each row through SiLU,
// times the second.
template <typename T> __device__ void gate(const T *both, T *out, unsigned inner, size_t count)
{
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const T *row = both + at / inner * 2 * inner;
    float x = to_float(row[at % inner]);
    from_float(x / (1.0f + expf(-x)) * to_float(row[inner + at % inner]), &out[at]);
}

// The norm of a row that was there, or that this thread wrote its part of; `normed` may be the row. It is of layers if there is a `shift`, else by the root of the mean square.
// Shared memory: `THREADS` floats.
template <typename T>
__device__ void norm(const T *row, T *normed, const T *weight, const T *shift, unsigned width, float epsilon)
{
    float mean = 0, square = 0;
    if (shift) {
        for (unsigned at = threadIdx.x; at < width; at += THREADS) mean += to_float(row[at]);
        mean = reduce<false>(mean, shared_floats) / width;
    }
    for (unsigned at = threadIdx.x; at < width; at += THREADS) {
        float x = to_float(row[at]) - mean;
        square += x * x;
    }
    float scale = 1 / sqrtf(reduce<false>(square, shared_floats) / width + epsilon);
    for (unsigned at = threadIdx.x; at < width; at += THREADS) {
        float x = (to_float(row[at]) - mean) * scale * to_float(weight[at]);
        from_float(shift ? x + to_float(shift[at]) : x, &normed[at]);
    }
}

// A block for each row: what a layer gives is added to what goes past it, with the bias of the layer unless it is null, and
// normed for the next.
template <typename T>
__device__ void add_norm(const T *sums, const T *bias, T *past, T *normed, const T *weight, const T *shift, unsigned width,
                         float epsilon)
{
    size_t first = (size_t)blockIdx.x * width;
    for (unsigned at = threadIdx.x; at < width; at += THREADS) {
        float x = to_float(sums[first + at]);
        if (bias) x += to_float(bias[at]);
        from_float(to_float(past[first + at]) + x, &past[first + at]);
    }
    norm(past + first, normed + first, weight, shift, width, epsilon);
}

// A block for each row: the sum of its tokens, of which each row has as many, and its position, unless positions are null; then
// the norm.
template <typename T>
__device__ void embed(const Fed *fed, unsigned each, const T *tokens, const T *positions, T *past, T *normed, const T *weight,
                      const T *shift, unsigned width, float scale, float epsilon)
{
    const Fed *own = fed + (size_t)blockIdx.x * each;
    const T *position = positions ? positions + (size_t)own->position * width : nullptr;
    size_t first = (size_t)blockIdx.x * width;
    for (unsigned at = threadIdx.x; at < width; at += THREADS) {
        float x = 0;
        for (unsigned part = 0; part < each; part++) x += to_float(tokens[(size_t)own[part].token * width + at]);
        x *= scale;
        from_float(position ? x + to_float(position[at]) : x, &past[first + at]);
    }
    norm(past + first, normed + first, weight, shift, width, epsilon);
}

// For up to `QUERIES` heads of queries to one of keys; `FIT` blocks fit a multiprocessor.
#define ATTEND(T, NAME, QUERIES, FIT)                                                                                       \
    extern "C" __global__ __launch_bounds__(WARP * WARPS, FIT) void attend_##NAME(                                          \
        const T *queries, T *out, Caches caches, unsigned group, unsigned size, unsigned stride)                            \
    {                                                                                                                       \
        attend<T, QUERIES>(queries, nullptr, {}, out, caches.rows[blockIdx.z], group, size, stride, 0);                  \
    }                                                                                                                       \
    extern "C" __global__ __launch_bounds__(WARP * WARPS, FIT) void attend_step_##NAME(                                     \
        const T *queries, const T *bias, Frequencies frequencies, T *out, const Cache *caches, unsigned group,                \
        unsigned size, unsigned stride, unsigned fresh)                                                                     \
    {                                                                                                                       \
        attend<T, QUERIES>(queries, bias, frequencies, out, caches[blockIdx.z], group, size, stride, fresh);                  \
    }

#define KERNELS(T, NAME)                                                                                                    \
    ATTEND(T, NAME, 1, 5)                                                                                                   \
    ATTEND(T, grouped_##NAME, SHARING, 3)                                                                                   \
    extern "C" __global__ void extend_##NAME(const T *keys, const T *values, Caches caches, unsigned width, unsigned size,  \
                                             unsigned key_stride, unsigned value_stride, float scale)                       \
    {                                                                                                                       \
        extend<T>(keys, values, nullptr, nullptr, {}, caches.rows[blockIdx.y], width, size, key_stride, value_stride, scale);        \
    }                                                                                                                       \
    extern "C" __global__ void extend_step_##NAME(const T *keys, const T *values, const T *key_bias, const T *value_bias,  \
                                                  Frequencies frequencies, const Cache *caches, unsigned width,             \
                                                  unsigned size, unsigned stride, float scale)                                                              \
    {                                                                                                                       \
        extend<T>(keys, values, key_bias, value_bias, frequencies, caches[blockIdx.y], width, size, stride, stride, scale);              \
    }                                                                                                                       \
    extern "C" __global__ void finish_##NAME(T *sums, const T *bias, const T *add, unsigned columns, size_t count,          \
                                             unsigned gelu)                                                                 \
    {                                                                                                                       \
        finish<T>(sums, bias, add, columns, count, gelu);                                                                   \
    }                                                                                                                       \
    extern "C" __global__ void gate_##NAME(const T *both, T *out, unsigned inner, size_t count)                            \
    {                                                                                                                       \
        gate<T>(both, out, inner, count);                                                                                   \
    }                                                                                                                       \
    extern "C" __global__ void add_norm_##NAME(const T *sums, const T *bias, T *past, T *normed, const T *weight,          \
                                               const T *shift, unsigned width, float epsilon)                               \
    {                                                                                                                       \
        add_norm<T>(sums, bias, past, normed, weight, shift, width, epsilon);                                               \
    }                                                                                                                       \
    extern "C" __global__ void embed_##NAME(const Fed *fed, unsigned each, const T *tokens, const T *positions, T *past,   \
                                            T *normed, const T *weight, const T *shift, unsigned width, float scale,        \
                                            float epsilon)                                                                  \
    {                                                                                                                       \
        embed<T>(fed, each, tokens, positions, past, normed, weight, shift, width, scale, epsilon);                         \
    }                                                                                                                       \
    extern "C" __global__ void norm_##NAME(T *rows, const T *weight, const T *shift, unsigned width, float epsilon)         \
    {                                                                                                                       \
        T *row = rows + (size_t)blockIdx.x * width;                                                                         \
        norm<T>(row, row, weight, shift, width, epsilon);                                                                   \
    }                                                                                                                       \
    extern "C" __global__ void convolve_##NAME(const T *in, const State *states, const T *weights, const T *bias, T *out,   \
                                               unsigned channels, unsigned taps, unsigned stride)                           \
    {                                                                                                                       \
        convolve<T>(in, states[blockIdx.y], weights, bias, out, channels, taps, stride);                                    \
    }                                                                                                                       \
    extern "C" __global__ void advance_##NAME(const T *mixed, const T *gate, const T *dt, const float *heads,               \
                                              const State *states, T *out, unsigned inner, unsigned size,                   \
                                              unsigned head_dim, unsigned stride)                                           \
    {                                                                                                                       \
        advance<T>(mixed, gate, dt, heads, states[blockIdx.y], out, inner, size, head_dim, stride);                         \
    }

KERNELS(float, f32)
KERNELS(__half, f16)
KERNELS(__nv_bfloat16, bf16)
