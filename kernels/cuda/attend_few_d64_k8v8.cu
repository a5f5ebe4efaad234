// Flash-decode of 16 queries a block, over codes.
#include "attend_few_stored.cuh"

ATTEND_FEW_STORED(attend_few_d64_k8v8, 64, 8, 8, 3)
