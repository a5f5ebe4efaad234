"""The model folder on disk: its schema, a validating reader and a resumable writer."""

from tzcore.checkpoint.reader import ModelFolder, StoredMatrix, dequantised
from tzcore.checkpoint.schema import MatrixEntry, Quantization, Transform
from tzcore.checkpoint.writer import FolderWriter

__all__ = ["FolderWriter", "MatrixEntry", "ModelFolder", "Quantization", "StoredMatrix", "Transform", "dequantised"]
