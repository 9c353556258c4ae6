// Chooses tokens from rows of logits: what may be said, how likely it is made, and the likeliest or drawn ones. Rules of
// ../../sampler, to which tests compare it. A block for each choice, each with a row of scores to work on.
//
// As in decode.cu nothing here knows how threads are grouped into warps. Whatever the type of the logits, scores are single
// precision; sums of many are made in double precision between threads.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

constexpr unsigned THREADS = 512;
// Where a token or an id would be.
constexpr unsigned NONE = 0xffffffff;

// Part of the words that come with the choices.
struct Span {
    unsigned first, count;
};

// Tokens that are made less likely, in order, each as often as it is there.
struct Penalty {
    Span tokens;
    float factor;
};

enum GuidanceRule { UNGUIDED, FROM_TOLD, FROM_UNTOLD, OF_LOGPROBS };
enum Pick { LIKELIEST, DRAWN, TOKEN, SHAPED };

// What is done to probabilities before one is drawn, in the order of the fields. Of all are left where `top_p` or `top_k` is 0, or
// `least` minus infinity.
struct Shape {
    float temperature;
    unsigned unified;
    float linear, confidence, quadratic;
    float top_p;
    unsigned top_k;
    float least;
};

// As gpu/sample.rs writes it.
struct Choice {
    unsigned row, untold, guidance;
    float scale;
    Penalty penalty, late_penalty;
    // Of spans of ids, and of pairs of ids, a first one and the one after the last.
    Span masked, masked_ranges;
    unsigned times_from;
    // What is likely enough: `least` is the logarithm of a share of the likeliest's probability. Without filters the temperature
    // is 0, `top_k` is 0, `least` is minus infinity and `top_p` is 1.
    float temperature;
    unsigned top_k;
    float least, top_p;
    unsigned pick;
    // For each token that is drawn a number in two words.
    Span at;
    float flattened;
    unsigned token;
    Shape shape;
    // Where the tokens go, and how many there may be.
    Span chosen;
};

struct Chosen {
    unsigned token;
    float logprob;
};

// A score and where it is.
struct Best {
    float score;
    unsigned at;
};

__device__ __forceinline__ float number(float x) { return x; }
__device__ __forceinline__ float number(__half x) { return __half2float(x); }
__device__ __forceinline__ float number(__nv_bfloat16 x) { return __bfloat162float(x); }

// === what threads share ===

__shared__ double shared_sums[THREADS];
__shared__ float shared_scores[THREADS];
__shared__ unsigned shared_places[THREADS];

// Of all threads of a block.
__device__ double sum_of(double mine)
{
    shared_sums[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared_sums[threadIdx.x] += shared_sums[threadIdx.x + half];
        __syncthreads();
    }
    double all = shared_sums[0];
    // The memory is used again.
    __syncthreads();
    return all;
}

// The greatest of all threads, of equals the first.
__device__ Best best_of(Best mine)
{
    shared_scores[threadIdx.x] = mine.score;
    shared_places[threadIdx.x] = mine.at;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            Best other = {shared_scores[threadIdx.x + half], shared_places[threadIdx.x + half]};
            if (other.score > mine.score || (other.score == mine.score && other.at < mine.at)) mine = other;
            shared_scores[threadIdx.x] = mine.score;
            shared_places[threadIdx.x] = mine.at;
        }
        __syncthreads();
    }
    Best all = {shared_scores[0], shared_places[0]};
    __syncthreads();
    return all;
}

// === scores ===

__device__ Best greatest(const float *scores, unsigned from, unsigned to)
{
    Best best = {-INFINITY, NONE};
    for (unsigned at = from + threadIdx.x; at < to; at += THREADS)
        if (scores[at] > best.score) best = {scores[at], at};
    return best_of(best);
}

// Of exponentials, each less the greatest score. Not a number if a score is none, or if all are minus infinity.
__device__ double exponentials(const float *scores, unsigned from, unsigned to, float most)
{
    float sum = 0;
    for (unsigned at = from + threadIdx.x; at < to; at += THREADS) sum += expf(scores[at] - most);
    return sum_of(sum);
}

__device__ float log_sum_exp(const float *scores, unsigned from, unsigned to)
{
    float most = greatest(scores, from, to).score;
    return most + (float)log(exponentials(scores, from, to, most));
}

template <typename T> __device__ float log_sum_exp_of(const T *logits, unsigned vocabulary)
{
    Best best = {-INFINITY, NONE};
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS)
        if (number(logits[at]) > best.score) best = {number(logits[at]), at};
    float most = best_of(best).score, sum = 0;
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) sum += expf(number(logits[at]) - most);
    return most + (float)log(sum_of(sum));
}

// Takes the scores of a choice from the logits.
template <typename T>
__device__ void guide(const T *told, const T *untold, const Choice &choice, float *scores, unsigned vocabulary)
{
    float of_told = 0, of_untold = 0;
    if (choice.guidance == OF_LOGPROBS) {
        of_told = log_sum_exp_of(told, vocabulary);
        of_untold = log_sum_exp_of(untold, vocabulary);
    }
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) {
        float score = number(told[at]) - of_told;
        if (choice.guidance != UNGUIDED) {
            float other = number(untold[at]) - of_untold, from = choice.guidance == FROM_TOLD ? score : other;
            score = from + choice.scale * (score - other);
        }
        scores[at] = score;
    }
    __syncthreads();
}

// === edits ===

__device__ void penalise(float *scores, unsigned vocabulary, const Penalty &penalty, const unsigned *words)
{
    const unsigned *tokens = words + penalty.tokens.first;
    for (unsigned at = threadIdx.x; at < penalty.tokens.count; at += THREADS) {
        unsigned token = tokens[at];
        // Of equals the first thread does it for all.
        if (token >= vocabulary || (at > 0 && tokens[at - 1] == token)) continue;
        float score = scores[token];
        for (unsigned of = at; of < penalty.tokens.count && tokens[of] == token; of++)
            score = score < 0 ? score * penalty.factor : score / penalty.factor;
        scores[token] = score;
    }
    __syncthreads();
}

__device__ void mask(float *scores, unsigned from, unsigned to)
{
    for (unsigned at = from + threadIdx.x; at < to; at += THREADS) scores[at] = -INFINITY;
}

// Several may mask the same.
__device__ void mask_all(float *scores, unsigned vocabulary, const Choice &choice, const unsigned *words)
{
    for (unsigned list = 0; list < choice.masked.count; list++) {
        const unsigned *span = words + choice.masked.first + 2 * list;
        for (unsigned at = threadIdx.x; at < span[1]; at += THREADS) {
            unsigned id = words[span[0] + at];
            if (id < vocabulary) scores[id] = -INFINITY;
        }
    }
    for (unsigned range = 0; range < choice.masked_ranges.count; range++) {
        const unsigned *ends = words + choice.masked_ranges.first + 2 * range;
        mask(scores, ends[0], ends[1] < vocabulary ? ends[1] : vocabulary);
    }
    __syncthreads();
}

// All times together may be likelier than the likeliest text.
__device__ void prefer_times(float *scores, unsigned vocabulary, unsigned first)
{
    unsigned text = first < vocabulary ? first : vocabulary;
    float times = log_sum_exp(scores, text, vocabulary), most = greatest(scores, 0, text).score;
    if (times > most) mask(scores, 0, text);
    __syncthreads();
}

// === filters ===

// Numbers that are ordered as scores are.
__device__ unsigned to_key(float score)
{
    union {
        float score;
        unsigned bits;
    } both = {score};
    return both.bits >> 31 ? ~both.bits : both.bits | 0x80000000;
}

__device__ float of_key(unsigned key)
{
    union {
        unsigned bits;
        float score;
    } both = {key >> 31 ? key & 0x7fffffff : ~key};
    return both.score;
}

__device__ void keep_from(float *scores, unsigned vocabulary, float least)
{
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS)
        if (!(scores[at] >= least)) scores[at] = -INFINITY;
    __syncthreads();
}

// The greatest key that so many scores reach, bit by bit.
__device__ void keep_top_k(float *scores, unsigned vocabulary, unsigned count)
{
    unsigned least = 0;
    for (unsigned bit = 0x80000000; bit > 0; bit /= 2) {
        unsigned reach = 0;
        for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) reach += to_key(scores[at]) >= (least | bit);
        if (sum_of(reach) >= count) least |= bit;
    }
    keep_from(scores, vocabulary, of_key(least));
}

__device__ unsigned length_of_part(unsigned vocabulary) { return (vocabulary + THREADS - 1) / THREADS; }

// A part of the scores for each thread, in order.
__device__ Span part_of(unsigned vocabulary)
{
    unsigned length = length_of_part(vocabulary), first = length * threadIdx.x;
    if (first >= vocabulary) return {vocabulary, 0};
    return {first, vocabulary - first < length ? vocabulary - first : length};
}

// Of the scores of a key, in order, masks those from one to another.
__device__ void mask_equals(float *scores, unsigned vocabulary, unsigned key, double from, double to)
{
    Span part = part_of(vocabulary);
    unsigned here = 0;
    for (unsigned at = part.first; at < part.first + part.count; at++) here += to_key(scores[at]) == key;
    shared_places[threadIdx.x] = here;
    __syncthreads();
    unsigned before = 0;
    for (unsigned thread = 0; thread < threadIdx.x; thread++) before += shared_places[thread];
    for (unsigned at = part.first; at < part.first + part.count; at++) {
        if (to_key(scores[at]) != key) continue;
        if (before >= from && before < to) scores[at] = -INFINITY;
        before++;
    }
    __syncthreads();
}

// The least likely go as long as they have no more than `rest` of the probability together; of equals the first or the last go, and
// the likeliest stays.
__device__ void keep_top_p(float *scores, unsigned vocabulary, double rest, bool last_first)
{
    float most = greatest(scores, 0, vocabulary).score;
    double total = exponentials(scores, 0, vocabulary, most);
    // The greatest key below which there is no more than that.
    unsigned least = 0;
    double gone = 0;
    for (unsigned bit = 0x80000000; bit > 0; bit /= 2) {
        unsigned key = least | bit;
        if (key > to_key(most)) continue;
        float below = 0;
        for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS)
            if (to_key(scores[at]) < key) below += expf(scores[at] - most);
        double share = sum_of(below) / total;
        if (share <= rest) {
            least = key;
            gone = share;
        }
    }
    float equals = 0;
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) equals += to_key(scores[at]) == least;
    double count = sum_of(equals), also = floor((rest - gone) * total / exp((double)of_key(least) - most));
    if (!(also < count)) also = count - 1;
    mask_equals(scores, vocabulary, least, last_first ? count - also : 0, last_first ? count : also);
    keep_from(scores, vocabulary, of_key(least));
}

__device__ void filter(float *scores, unsigned vocabulary, const Choice &choice)
{
    if (choice.temperature > 0) {
        for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) scores[at] /= choice.temperature;
        __syncthreads();
    }
    if (choice.top_k > 0 && choice.top_k < vocabulary) keep_top_k(scores, vocabulary, choice.top_k);
    if (choice.least > -INFINITY)
        keep_from(scores, vocabulary, greatest(scores, 0, vocabulary).score + choice.least);
    if (choice.top_p < 1) keep_top_p(scores, vocabulary, 1 - (double)choice.top_p, false);
}

// === shapes ===

// `ln p · (linear + entropy · confidence) - ln² p · quadratic`, of logarithms of probabilities.
__device__ void unify(float *scores, unsigned vocabulary, const Shape &shape)
{
    // Of 1e-20, below which no probability is counted. What is not a number stays so.
    const float LEAST = -46.0517019f;
    float entropy = 0;
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) {
        float score = scores[at];
        entropy -= expf(score) * (score < LEAST ? LEAST : score);
    }
    float linear = shape.linear + (float)sum_of(entropy) * shape.confidence;
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) {
        float score = scores[at] < LEAST ? LEAST : scores[at];
        scores[at] = score * linear - score * score * shape.quadratic;
    }
    __syncthreads();
}

// Scores become logarithms of probabilities of that shape but for what they make together; none of them, if one was not a number.
__device__ void reshape(float *scores, unsigned vocabulary, const Shape &shape)
{
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) scores[at] /= shape.temperature;
    __syncthreads();
    float total = log_sum_exp(scores, 0, vocabulary);
    for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) scores[at] -= total;
    __syncthreads();
    if (shape.unified) unify(scores, vocabulary, shape);
    if (shape.top_p > 0) keep_top_p(scores, vocabulary, 1 - (double)shape.top_p, true);
    if (shape.top_k > 0 && shape.top_k < vocabulary) keep_top_k(scores, vocabulary, shape.top_k);
    if (shape.least > -INFINITY)
        keep_from(scores, vocabulary, greatest(scores, 0, vocabulary).score + shape.least);
}

// === tokens ===

__device__ void give(Chosen *chosen, float score, unsigned token, float total)
{
    *chosen = {token, score - total};
}

// The greatest, and then always the greatest of those that come after it.
__device__ void take_likeliest(const float *scores, unsigned vocabulary, Chosen *chosen, unsigned count, Best best, float total)
{
    for (unsigned found = 0; found < count && best.at != NONE; found++) {
        if (threadIdx.x == 0) give(&chosen[found], best.score, best.at, total);
        if (found + 1 == count) break;
        Best next = {-INFINITY, NONE};
        for (unsigned at = threadIdx.x; at < vocabulary; at += THREADS) {
            bool after = scores[at] < best.score || (scores[at] == best.score && at > best.at);
            if (after && scores[at] > next.score) next = {scores[at], at};
        }
        best = best_of(next);
    }
}

__device__ double number_in(const unsigned *words)
{
    union {
        unsigned long long bits;
        double number;
    } both = {(unsigned long long)words[1] << 32 | words[0]};
    return both.number;
}

// Where the sum of the weights reaches each of some numbers from 0 to 1; the likeliest where rounding leaves it below.
__device__ void draw(const float *scores, unsigned vocabulary, Chosen *chosen, const Choice &choice, const unsigned *words,
                     Best best, float total)
{
    Span part = part_of(vocabulary);
    double mine = 0;
    for (unsigned at = part.first; at < part.first + part.count; at++)
        mine += expf((scores[at] - best.score) / choice.flattened);
    shared_sums[threadIdx.x] = mine;
    __syncthreads();
    double all = 0;
    for (unsigned thread = 0; thread < THREADS; thread++) all += shared_sums[thread];
    for (unsigned drawing = threadIdx.x; drawing < choice.at.count; drawing += THREADS) {
        double left = number_in(words + choice.at.first + 2 * drawing) * all;
        unsigned thread = 0, drawn = best.at;
        for (; thread < THREADS && left - shared_sums[thread] >= 0; thread++) left -= shared_sums[thread];
        for (unsigned at = thread * length_of_part(vocabulary); at < vocabulary; at++) {
            left -= expf((scores[at] - best.score) / choice.flattened);
            if (left < 0) {
                drawn = at;
                break;
            }
        }
        give(&chosen[drawing], scores[drawn], drawn, total);
    }
}

// `words` begins with the choices.
template <typename T>
__device__ void choose(const T *logits, unsigned stride, unsigned vocabulary, const unsigned *words, float *scores,
                       Chosen *chosen)
{
    Choice choice = ((const Choice *)words)[blockIdx.x];
    scores += (size_t)blockIdx.x * vocabulary;
    chosen += choice.chosen.first;
    guide(logits + (size_t)choice.row * stride, logits + (size_t)choice.untold * stride, choice, scores, vocabulary);
    penalise(scores, vocabulary, choice.penalty, words);
    mask_all(scores, vocabulary, choice, words);
    if (choice.times_from != NONE) prefer_times(scores, vocabulary, choice.times_from);
    filter(scores, vocabulary, choice);
    penalise(scores, vocabulary, choice.late_penalty, words);
    if (choice.pick == SHAPED) reshape(scores, vocabulary, choice.shape);

    Best best = greatest(scores, 0, vocabulary);
    float total = best.score + (float)log(exponentials(scores, 0, vocabulary, best.score));
    for (unsigned at = threadIdx.x; at < choice.chosen.count; at += THREADS) chosen[at] = {NONE, total};
    __syncthreads();
    // What is no distribution gives none.
    if (!(total > -INFINITY && total < INFINITY)) return;
    if (choice.pick == LIKELIEST) take_likeliest(scores, vocabulary, chosen, choice.chosen.count, best, total);
    if (choice.pick == DRAWN || choice.pick == SHAPED) draw(scores, vocabulary, chosen, choice, words, best, total);
    if (choice.pick == TOKEN && choice.token < vocabulary && threadIdx.x == 0)
        give(chosen, scores[choice.token], choice.token, total);
}

#define CHOOSE(T, NAME)                                                                                                     \
    extern "C" __global__ void choose_##NAME(const T *logits, unsigned stride, unsigned vocabulary, const unsigned *words,  \
                                             float *scores, Chosen *chosen)                                                 \
    {                                                                                                                       \
        choose<T>(logits, stride, vocabulary, words, scores, chosen);                                                       \
    }

CHOOSE(float, f32)
CHOOSE(__half, f16)
CHOOSE(__nv_bfloat16, bf16)
