#include "product_few.cuh"

ROUTED(slots8, SLOTS8, 64)
ROUTED(slots8, SLOTS8, 128)
