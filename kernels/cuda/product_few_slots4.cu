#include "product_few.cuh"

FEW_ALL(slots4, SLOTS4)
