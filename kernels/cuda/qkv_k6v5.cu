#include "qkv_stored.cuh"

QKV_STORED(qkv_k6v5, 6, 5)
