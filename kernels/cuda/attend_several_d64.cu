// Flash-decode of 32 queries a block, for tokens whose heads of a group are more than 16: the cache is read half as often
// as by attend_few, with the same bits.  For heads of 256 there are no registers to do so.
#include "attend_few.cuh"

ATTEND_FEW(attend_several_d64, 64, 4, 2, 2)
