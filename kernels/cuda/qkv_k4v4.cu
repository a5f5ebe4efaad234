#include "qkv_stored.cuh"

QKV_STORED(qkv_k4v4, 4, 4)
