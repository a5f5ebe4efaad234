// Flash-decode of 16 queries a block.
#include "attend_few.cuh"

ATTEND_FEW(attend_few_d64, 64, 4, 1, 4)
ATTEND_FEW(attend_few_d96, 96, 3, 1, 3)
ATTEND_FEW(attend_few_d128, 128, 4, 1, 3)
ATTEND_FEW(attend_few_d256, 256, 4, 1, 2)
