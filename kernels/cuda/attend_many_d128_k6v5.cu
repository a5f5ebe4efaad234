// Prefill attention, over codes.
#include "attend_many_stored.cuh"

ATTEND_MANY_STORED(attend_many_d128_k6v5, 128, 6, 5, 2)
