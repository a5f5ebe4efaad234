// Flash-decode of 16 queries a block, over codes.
#include "attend_few_stored.cuh"

ATTEND_FEW_STORED(attend_few_d256_k4v2, 256, 4, 2, 2)
