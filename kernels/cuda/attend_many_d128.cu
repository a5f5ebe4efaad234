#include "attend_many.cuh"

ATTEND_MANY(attend_many_d128, 128, 2)
