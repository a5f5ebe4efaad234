#include "attend_many.cuh"

ATTEND_MANY(attend_many_d64, 64, 4)
