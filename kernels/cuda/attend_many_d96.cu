#include "attend_many.cuh"

ATTEND_MANY(attend_many_d96, 96, 3)
