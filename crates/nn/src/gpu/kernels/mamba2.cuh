// A state-space layer (Mamba-2) of which each row is taken a position further. Part of decode.cu, whose types and functions it
// uses, and those of attend.cuh.

// What a row remembers in such a layer, in place.
struct State {
    // The last positions before the convolution, `[taps - 1, channels]` in the type of what is convolved.
    unsigned long long window;
    // `[inner, size]` in single precision: so much of each number of all heads.
    unsigned long long numbers;
};

// A thread for each channel (x) of each row (y): the convolution of its last positions, of which `in` is the newest, through SiLU.
// Rows of `in` are so far apart, `weights [taps, channels]`. The window goes a position further.
template <typename T>
__device__ void convolve(const T *in, const State &state, const T *weights, const T *bias, T *out, unsigned channels,
                         unsigned taps, unsigned stride)
{
    unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= channels) return;
    T *window = (T *)state.window + at;
    T newest = in[(size_t)blockIdx.y * stride + at];
    float sum = to_float(bias[at]);
    for (unsigned tap = 0; tap < taps; tap++) {
        T seen = tap + 1 < taps ? window[(size_t)tap * channels] : newest;
        if (tap > 0) window[(size_t)(tap - 1) * channels] = seen;
        sum += to_float(seen) * to_float(weights[(size_t)tap * channels + at]);
    }
    from_float(sum / (1.0f + expf(-sum)), &out[(size_t)blockIdx.y * channels + at]);
}

// A warp for each number (x) of all heads of each row (y): what it remembers fades, takes what comes in, and is read; then the gate.
// `mixed [rows, inner + 2 * size]`: what comes in, and by what it is written and read. Rows of `gate` and `dt`, a number for each
// head, are so far apart. `heads [3, inner / head_dim]`: the bias of `dt`, how fast it fades, and what goes past.
template <typename T>
__device__ void advance(const T *mixed, const T *gate, const T *dt, const float *heads, const State &state, T *out,
                        unsigned inner, unsigned size, unsigned head_dim, unsigned stride)
{
    unsigned at = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    // All threads of the warp.
    if (at >= inner) return;
    const T *row = mixed + (size_t)blockIdx.y * (inner + 2 * size), *written = row + inner, *read = written + size;
    unsigned head = at / head_dim, count = inner / head_dim;
    float x = to_float(row[at]), raw = to_float(dt[(size_t)blockIdx.y * stride + head]) + heads[head];
    float step = fmaxf(raw, 0.0f) + log1pf(expf(-fabsf(raw)));
    float kept = expf(step * heads[count + head]), sum = 0;
    float *numbers = (float *)state.numbers + (size_t)at * size;
    for (unsigned i = lane; i < size; i += WARP) {
        float number = numbers[i] * kept + step * x * to_float(written[i]);
        numbers[i] = number;
        sum += number * to_float(read[i]);
    }
    for (unsigned bit = WARP / 2; bit > 0; bit /= 2) sum += __shfl_xor_sync(~0u, sum, bit);
    if (lane > 0) return;
    float through = to_float(gate[(size_t)blockIdx.y * stride + at]);
    sum += heads[2 * count + head] * x;
    from_float(sum * through / (1.0f + expf(-through)), &out[(size_t)blockIdx.y * inner + at]);
}
