// Flash-decode of 16 queries a block.
#include "attend_few.cuh"

ATTEND_FEW(attend_few_d128, 128, 4, 1, 3)
