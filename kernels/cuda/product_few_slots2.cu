#include "product_few.cuh"

FEW_ALL(slots2, SLOTS2)
