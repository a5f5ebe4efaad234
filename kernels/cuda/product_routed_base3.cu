#include "product_few.cuh"

ROUTED(base3, BASE3, 64)
ROUTED(base3, BASE3, 128)
