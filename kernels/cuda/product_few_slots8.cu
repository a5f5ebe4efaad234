#include "product_few.cuh"

FEW_ALL(slots8, SLOTS8)
