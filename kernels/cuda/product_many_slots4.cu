#include "product_many.cuh"

MANY_ALL(slots4, SLOTS4)
