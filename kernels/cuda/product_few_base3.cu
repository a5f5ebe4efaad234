#include "product_few.cuh"

FEW_ALL(base3, BASE3)
