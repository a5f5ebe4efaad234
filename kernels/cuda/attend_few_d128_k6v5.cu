// Flash-decode of 16 queries a block, over codes.
#include "attend_few_stored.cuh"

ATTEND_FEW_STORED(attend_few_d128_k6v5, 128, 6, 5, 3)
