#include "product_many.cuh"

MANY_ALL(slots8, SLOTS8)
