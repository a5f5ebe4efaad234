// Flash-decode of 16 queries a block.
#include "attend_few.cuh"

ATTEND_FEW(attend_few_d96, 96, 3, 1, 3)
