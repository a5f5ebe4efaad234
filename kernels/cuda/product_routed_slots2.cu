#include "product_few.cuh"

ROUTED(slots2, SLOTS2, 64)
ROUTED(slots2, SLOTS2, 128)
