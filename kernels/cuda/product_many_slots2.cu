#include "product_many.cuh"

MANY_ALL(slots2, SLOTS2)
