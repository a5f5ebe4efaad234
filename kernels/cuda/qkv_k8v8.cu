#include "qkv_stored.cuh"

QKV_STORED(qkv_k8v8, 8, 8)
