#include "product_few.cuh"

FEW_ALL(base9, BASE9)
