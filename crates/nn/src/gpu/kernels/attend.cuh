// Attention of one query of each head and row, of which a launch divides the positions among blocks (flash decoding). Part of
// decode.cu, whose types and functions it uses.

// Threads that hand each other numbers, and how many times as many a block has.
constexpr unsigned WARP = 32, WARPS = 4;
// Positions that a thread reads at once, so that enough is under way.
constexpr unsigned AT_ONCE = 4;
// Heads of queries that share what is read, where several have the same keys and values.
constexpr unsigned SHARING = 4;
// Blocks of a launch in which several have parts of a head, at most, and numbers of a head, at most.
constexpr unsigned BLOCKS = 1024, LARGEST_HEAD = 256;

// Softmax attention over some positions: the largest score, the sum of what each position weighs beside it, and the sums of
// `COUNT` numbers of the values times that. Scores are exponents of two. Two of them make that of all their positions (Milakov
// and Gimelshein, arXiv 1805.02867).
template <unsigned COUNT> struct Mixture {
    // Of no positions. It is finite, so that two of them differ by nothing.
    float largest = -3e38f, sum = 0, numbers[COUNT] = {};

    __device__ __forceinline__ void raise(float to)
    {
        float kept = exp2f(largest - to);
        largest = to;
        sum *= kept;
        for (unsigned i = 0; i < COUNT; i++) numbers[i] *= kept;
    }

    __device__ __forceinline__ void add(Mixture other)
    {
        float both = fmaxf(largest, other.largest);
        raise(both);
        other.raise(both);
        sum += other.sum;
        for (unsigned i = 0; i < COUNT; i++) numbers[i] += other.numbers[i];
    }

    // That of the thread of the warp whose number differs by `bit`.
    __device__ __forceinline__ Mixture across(unsigned bit) const
    {
        Mixture other;
        other.largest = __shfl_xor_sync(~0u, largest, bit);
        other.sum = __shfl_xor_sync(~0u, sum, bit);
        for (unsigned i = 0; i < COUNT; i++) other.numbers[i] = __shfl_xor_sync(~0u, numbers[i], bit);
        return other;
    }
};

// What `count` mixtures in memory make of one number. Each is its largest score, its sum and its numbers; they are `apart` floats
// from each other.
__device__ __forceinline__ Mixture<1> gather(const float *mixtures, unsigned count, unsigned apart, unsigned number)
{
    Mixture<1> all;
    for (unsigned at = 0; at < count; at++, mixtures += apart) {
        Mixture<1> one;
        one.largest = mixtures[0];
        one.sum = mixtures[1];
        one.numbers[0] = mixtures[2 + number];
        all.add(one);
    }
    return all;
}

// Of the blocks (x) of a head those that have positions, and the positions of this one. As many are given at a time as a block
// reads at once.
struct Part {
    unsigned parts, from, to;

    __device__ Part(unsigned length, unsigned at_once)
    {
        unsigned all = (length + at_once - 1) / at_once, each = (all + gridDim.x - 1) / gridDim.x;
        parts = all ? (all + each - 1) / each : 1;
        from = blockIdx.x * each * at_once;
        to = from + each * at_once < length ? from + each * at_once : length;
    }
};

// Scores of positions that are there become what they weigh.
template <unsigned COUNT, typename There>
__device__ __forceinline__ void weigh(Mixture<COUNT> &mixture, float *scores, There there)
{
    float largest = mixture.largest;
    for (unsigned i = 0; i < AT_ONCE; i++)
        if (there(i)) largest = fmaxf(largest, scores[i]);
    mixture.raise(largest);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        scores[i] = there(i) ? exp2f(scores[i] - largest) : 0;
        mixture.sum += scores[i];
    }
}

// The mixtures of a thread become those of its warp, in shared memory. `lanes` threads beside each other have different numbers of
// a head, of which the first `packs` have any.
template <unsigned COUNT, unsigned QUERIES>
__device__ __forceinline__ void share(Mixture<COUNT> *mixtures, unsigned lanes, unsigned packs)
{
    unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    for (unsigned q = 0; q < QUERIES; q++) {
        for (unsigned bit = lanes; bit < WARP; bit *= 2) mixtures[q].add(mixtures[q].across(bit));
        float *shared = shared_floats + (warp * QUERIES + q) * (2 + packs * COUNT);
        if (lane == 0) {
            shared[0] = mixtures[q].largest;
            shared[1] = mixtures[q].sum;
        }
        for (unsigned i = 0; i < COUNT && lane < packs; i++) shared[2 + lane * COUNT + i] = mixtures[q].numbers[i];
    }
    __syncthreads();
}

// What blocks leave for that of them which is last, and how many have, for each head that several have parts of. All launches of a
// device are in order on one stream, so that they share it.
__device__ float left_by_blocks[BLOCKS * SHARING * (2 + LARGEST_HEAD)];
__device__ unsigned arrived[BLOCKS];

// Whether all others of as many blocks have left what they found. The count begins anew by itself.
__device__ __forceinline__ bool is_last(unsigned *arrived, unsigned blocks)
{
    // All threads have left theirs before it is said, and who hears it sees that.
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        shared_floats[0] = atomicInc(arrived, blocks - 1) == blocks - 1;
        __threadfence();
    }
    __syncthreads();
    return shared_floats[0] != 0;
}

// What the warps of all parts have found becomes the first `count` heads of `out`: in the order of positions, whichever block is
// last. A thread for each number.
template <typename T, unsigned QUERIES> __device__ void conclude(T *out, unsigned count, unsigned size, unsigned parts)
{
    unsigned floats = 2 + size, head = blockIdx.z * gridDim.y + blockIdx.y;
    auto of_warps = [&](unsigned at) { return gather(shared_floats + at / size * floats, WARPS, QUERIES * floats, at % size); };
    auto put = [&](unsigned at, Mixture<1> all) { from_float(all.sum == 0 ? 0 : all.numbers[0] / all.sum, &out[at]); };
    if (parts == 1) {
        for (unsigned at = threadIdx.x; at < count * size; at += blockDim.x) put(at, of_warps(at));
        return;
    }
    float *left = left_by_blocks + head * gridDim.x * QUERIES * floats;
    for (unsigned at = threadIdx.x; at < count * size; at += blockDim.x) {
        Mixture<1> all = of_warps(at);
        float *own = left + (blockIdx.x * QUERIES + at / size) * floats;
        if (at % size == 0) {
            own[0] = all.largest;
            own[1] = all.sum;
        }
        own[2 + at % size] = all.numbers[0];
    }
    if (!is_last(&arrived[head], parts)) return;
    for (unsigned at = threadIdx.x; at < count * size; at += blockDim.x)
        put(at, gather(left + at / size * floats, parts, QUERIES * floats, at % size));
}

// Softmax attention of each row (z) over its cache, whose keys are scaled: of up to `QUERIES` heads of queries to one of keys and
// values (y). Of the heads of queries `group` share one, those beside each other. The positions are divided among blocks (x) by
// how many there are now, so that blocks may have none. `queries`: rows of `stride` numbers, to which `bias` is added unless it is
// null, and which are turned as that of the last position (`turned`). `fresh`: positions that were written since the table was.
// Shared memory: `WARPS * QUERIES * (2 + size)` floats.
//
// Lanes beside each other read a position, each a pack of its numbers, so that a warp reads what lies together. They are a power of
// two, of which the last may have nothing to read. All lanes of a position have its score, and a mixture of their own of those that
// they have read, so that no warp waits for another before the end.
template <typename T, unsigned QUERIES>
__device__ void attend(const T *queries, const T *bias, Frequencies frequencies, T *out, const Cache &cache, unsigned group,
                       unsigned size, unsigned stride, unsigned fresh)
{
    constexpr unsigned COUNT = Pack<T>::COUNT;
    unsigned length = cache.length + fresh, packs = size / COUNT, lanes = 1;
    while (lanes < packs) lanes *= 2;
    unsigned lane = threadIdx.x % lanes, place = threadIdx.x / lanes, places = WARP * WARPS / lanes;
    Part part(length, places * AT_ONCE);
    if (blockIdx.x >= part.parts) return;

    unsigned sets = (group + QUERIES - 1) / QUERIES, set = blockIdx.y % sets * QUERIES, head = blockIdx.y / sets;
    unsigned first = head * group + set, count = group - set < QUERIES ? group - set : QUERIES;
    size_t begin = (size_t)head * cache.capacity * packs + lane;
    const Pack<T> *all_keys = (const Pack<T> *)cache.keys + begin, *all_values = (const Pack<T> *)cache.values + begin;
    Pack<T> keys[AT_ONCE], values[AT_ONCE];
    auto position = [&](unsigned i) { return part.from + i * places + place; };
    auto there = [&](unsigned i) { return position(i) < part.to; };
    auto read = [&] {
        for (unsigned i = 0; i < AT_ONCE; i++) {
            bool any = there(i) && lane < packs;
            keys[i] = any ? all_keys[position(i) * packs] : Pack<T>{};
            values[i] = any ? all_values[position(i) * packs] : Pack<T>{};
        }
    };
    // That comes while the queries do.
    read();

    const T *heads = queries + (size_t)blockIdx.z * stride + first * size, *biases = bias ? bias + first * size : nullptr;
    for (unsigned at = threadIdx.x; at < QUERIES * size; at += WARP * WARPS) {
        unsigned of_head = at % size, head = at - of_head;
        float x = 0;
        if (at < count * size)
            x = turned(heads + head, biases ? biases + head : nullptr, of_head, size, frequencies, length - 1);
        // Exponents of e become exponents of two.
        shared_floats[at] = x * 1.44269504f;
    }
    __syncthreads();
    float query[QUERIES][COUNT];
    for (unsigned q = 0; q < QUERIES; q++)
        for (unsigned i = 0; i < COUNT; i++) query[q][i] = lane < packs ? shared_floats[q * size + lane * COUNT + i] : 0;
    // The memory is used again.
    __syncthreads();

    Mixture<COUNT> mixtures[QUERIES];
    for (; part.from < part.to; part.from += places * AT_ONCE, read()) {
        float weights[QUERIES][AT_ONCE] = {};
        for (unsigned i = 0; i < AT_ONCE; i++)
            for (unsigned of = 0; of < COUNT; of++) {
                float key = keys[i].number(of);
                for (unsigned q = 0; q < QUERIES; q++) weights[q][i] += query[q][of] * key;
            }
        for (unsigned bit = lanes / 2; bit > 0; bit /= 2)
            for (unsigned q = 0; q < QUERIES; q++)
                for (unsigned i = 0; i < AT_ONCE; i++) weights[q][i] += __shfl_xor_sync(~0u, weights[q][i], bit);
        for (unsigned q = 0; q < QUERIES; q++) weigh(mixtures[q], weights[q], there);
        for (unsigned i = 0; i < AT_ONCE; i++)
            for (unsigned of = 0; of < COUNT; of++) {
                float value = values[i].number(of);
                for (unsigned q = 0; q < QUERIES; q++) mixtures[q].numbers[of] += weights[q][i] * value;
            }
    }
    share<COUNT, QUERIES>(mixtures, lanes, packs);
    conclude<T, QUERIES>(out + ((size_t)blockIdx.z * (gridDim.y / sets * group) + first) * size, count, size, part.parts);
}
