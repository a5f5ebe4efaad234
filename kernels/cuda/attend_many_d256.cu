#include "attend_many.cuh"

ATTEND_MANY(attend_many_d256, 256, 2)
