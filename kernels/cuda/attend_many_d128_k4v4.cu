// Prefill attention, over codes.
#include "attend_many_stored.cuh"

ATTEND_MANY_STORED(attend_many_d128_k4v4, 128, 4, 4, 2)
