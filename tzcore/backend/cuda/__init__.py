"""Models on NVIDIA cards: the driver alone, through cuda-python, and the PTX in ``ptx/``."""
