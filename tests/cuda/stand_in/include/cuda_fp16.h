// Halves as kernels have them, for a CPU. See ../kernels.cpp.
#pragma once
#include <cstdint>
#include <cstring>

struct __half {
    uint16_t bits;
};

inline float __half2float(__half x)
{
    _Float16 half;
    std::memcpy(&half, &x, sizeof half);
    return (float)half;
}

inline __half __float2half(float x)
{
    _Float16 half = (_Float16)x;
    __half bits;
    std::memcpy(&bits, &half, sizeof half);
    return bits;
}
