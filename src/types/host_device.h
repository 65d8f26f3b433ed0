// Marks functions that run on the CPU and, where a CUDA compiler reads them, on a GPU: one arithmetic for both.
#pragma once

#if defined(__CUDACC__)
#define IE_HOST_DEVICE __host__ __device__
#else
#define IE_HOST_DEVICE
#endif
