// Flash-decode of 16 queries a block, over codes.
#include "attend_few_stored.cuh"

ATTEND_FEW_STORED(attend_few_d128_k4v2, 128, 4, 2, 3)
