// Flash-decode of 16 queries a block, over codes.
#include "attend_few_stored.cuh"

ATTEND_FEW_STORED(attend_few_d96_k4v2, 96, 4, 2, 3)
