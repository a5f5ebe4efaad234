// Prefill attention, over codes.
#include "attend_many_stored.cuh"

ATTEND_MANY_STORED(attend_many_d64_k8v8, 64, 8, 8, 3)
