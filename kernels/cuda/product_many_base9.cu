#include "product_many.cuh"

MANY_ALL(base9, BASE9)
