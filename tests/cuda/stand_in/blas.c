// In place of cuBLAS: products are counted, and computed where our own kernels are, slowly. What is not here fails (see
// `build`).
#include <stdlib.h>
#include <string.h>

#include "stand_in.h"

// CUBLAS_STATUS_EXECUTION_FAILED, where the context is lost.
enum { FAILED = 13 };
// cudaDataType.
enum { FLOAT = 0, HALF = 2, BRAIN = 14 };

struct handle {
    void *stream;
};

int cublasCreate_v2(struct handle **handle) { *handle = calloc(1, sizeof **handle); return 0; }
int cublasDestroy_v2(struct handle *handle) { free(handle); return 0; }
int cublasSetStream_v2(struct handle *handle, void *stream) { handle->stream = stream; return 0; }
int cublasSetWorkspace_v2(struct handle *handle, void *workspace, size_t bytes) { return 0; }

// By columns, as FORTRAN has them.
struct matrix {
    char *numbers;
    int type, stride, transposed;
    long long to_next;
};

struct product {
    struct matrix a, b, c;
    int rows, columns, depth, count;
};

static float get(const struct matrix *from, long long batch, int row, int column)
{
    long long at = batch * from->to_next;
    at += from->transposed ? (long long)row * from->stride + column : (long long)column * from->stride + row;
    if (from->type == FLOAT) return ((float *)from->numbers)[at];
    if (from->type == HALF) return (float)((_Float16 *)from->numbers)[at];
    uint32_t wide = (uint32_t)((uint16_t *)from->numbers)[at] << 16;
    float number;
    memcpy(&number, &wide, sizeof number);
    return number;
}

static void put(const struct matrix *to, long long batch, int row, int column, float x)
{
    long long at = batch * to->to_next + (long long)column * to->stride + row;
    if (to->type == FLOAT) {
        ((float *)to->numbers)[at] = x;
    } else if (to->type == HALF) {
        ((_Float16 *)to->numbers)[at] = (_Float16)x;
    } else {
        uint32_t wide;
        memcpy(&wide, &x, sizeof wide);
        ((uint16_t *)to->numbers)[at] = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
    }
}

static void run(void *kept)
{
    struct product *product = kept;
    if (!page->compute) return;
    for (int batch = 0; batch < product->count; batch++)
        for (int column = 0; column < product->columns; column++)
            for (int row = 0; row < product->rows; row++) {
                float sum = 0;
                for (int at = 0; at < product->depth; at++)
                    sum += get(&product->a, batch, row, at) * get(&product->b, batch, at, column);
                put(&product->c, batch, row, column, sum);
            }
}

static int multiply(struct handle *handle, struct product product)
{
    struct product *kept = malloc(sizeof *kept);
    *kept = product;
    return ask(handle->stream, (struct work){KERNEL_NODE, PRODUCTS, run, free, kept}) ? FAILED : 0;
}

// `alpha` is always one here, and `beta` nothing.
int cublasGemmStridedBatchedEx(struct handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha,
                               void *a, int a_type, int lda, long long stride_a, void *b, int b_type, int ldb,
                               long long stride_b, const void *beta, void *c, int c_type, int ldc, long long stride_c, int count,
                               int compute, int way)
{
    return multiply(handle, (struct product){{a, a_type, lda, transpose_a, stride_a}, {b, b_type, ldb, transpose_b, stride_b},
                                             {c, c_type, ldc, 0, stride_c}, m, n, k, count});
}

int cublasGemmEx(struct handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, void *a,
                 int a_type, int lda, void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute,
                 int way)
{
    return cublasGemmStridedBatchedEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
                                      beta, c, c_type, ldc, 0, 1, compute, way);
}

// Of these nothing is computed.
static int counted(struct handle *handle)
{
    return ask(handle->stream, (struct work){KERNEL_NODE, PRODUCTS}) ? FAILED : 0;
}

int cublasSgemm_v2(struct handle *handle) { return counted(handle); }
int cublasSgemmStridedBatched(struct handle *handle) { return counted(handle); }
int cublasDgemmStridedBatched(struct handle *handle) { return counted(handle); }
