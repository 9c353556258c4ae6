// Brain floats as kernels have them, for a CPU. See ../kernels.cpp.
#pragma once
#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 x)
{
    uint32_t wide = (uint32_t)x.bits << 16;
    float number;
    std::memcpy(&number, &wide, sizeof number);
    return number;
}

// To the nearest, and of two to the even one. There are no numbers that are none here.
inline __nv_bfloat16 __float2bfloat16(float x)
{
    uint32_t wide;
    std::memcpy(&wide, &x, sizeof wide);
    wide += 0x7fff + ((wide >> 16) & 1);
    return {(uint16_t)(wide >> 16)};
}
