// Flash-decode of 16 queries a block.
#include "attend_few.cuh"

ATTEND_FEW(attend_few_d64, 64, 4, 1, 4)
