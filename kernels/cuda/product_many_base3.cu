#include "product_many.cuh"

MANY_ALL(base3, BASE3)
