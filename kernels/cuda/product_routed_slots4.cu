#include "product_few.cuh"

ROUTED(slots4, SLOTS4, 64)
ROUTED(slots4, SLOTS4, 128)
