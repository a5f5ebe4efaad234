// Prefill attention, over codes.
#include "attend_many_stored.cuh"

ATTEND_MANY_STORED(attend_many_d96_k6v5, 96, 6, 5, 2)
