#include "qkv_stored.cuh"

QKV_STORED(qkv_k4v2, 4, 2)
