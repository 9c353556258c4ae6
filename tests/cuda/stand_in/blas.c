// In place of cuBLAS: products are counted and not computed. What is not here fails (see `build`).
#include "stand_in.h"

int cublasCreate_v2(void **handle) { *handle = (void *)0x6000; return 0; }
int cublasDestroy_v2(void *handle) { return 0; }
int cublasSetStream_v2(void *handle, void *stream) { return 0; }
int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) { return 0; }

// CUBLAS_STATUS_EXECUTION_FAILED where the context is lost.
static int product(void) { return launched(PRODUCTS) ? 13 : 0; }

int cublasGemmEx(void) { return product(); }
int cublasSgemm_v2(void) { return product(); }
int cublasSgemmStridedBatched(void) { return product(); }
int cublasDgemmStridedBatched(void) { return product(); }
int cublasGemmStridedBatchedEx(void) { return product(); }
