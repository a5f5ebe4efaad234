// Prefill attention, over codes.
#include "attend_many_stored.cuh"

ATTEND_MANY_STORED(attend_many_d96_k8v8, 96, 8, 8, 2)
