#include "product_few.cuh"

ROUTED(base9, BASE9, 64)
ROUTED(base9, BASE9, 128)
