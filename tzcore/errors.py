"""Every error a user can meet, each with a message that says what to do about it.

Code raises these and nothing else for foreseeable trouble; the command line prints the
message as one line and exits with 1, the server turns it into an error response, the window
shows it.  Anything that is not a :class:`TernaryZeroError` is a bug and keeps its traceback.
"""

from __future__ import annotations


class TernaryZeroError(Exception):
    """Base of all foreseeable errors.  ``str(error)`` is one clear line for the user."""


class SourceError(TernaryZeroError):
    """The original model cannot be used: unknown id, wrong format, missing or broken files."""


class NetworkError(SourceError):
    """The network, or the server at the other end, failed for good after all retries."""


class OfflineError(NetworkError):
    """The settings forbid every request (``TZ_OFFLINE``)."""


class AccessError(SourceError):
    """The source exists but needs a token, an accepted licence, or another account."""


class UnsupportedModelError(TernaryZeroError):
    """The model's family or one of its settings is not implemented; the message names it."""


class CheckpointError(TernaryZeroError):
    """A model folder is missing, truncated, corrupted or of another version."""


class ConversionError(TernaryZeroError):
    """A conversion cannot go on (NaN weights, wrong shapes, other settings than begun with)."""


class TrainingError(TernaryZeroError):
    """Training cannot begin or go on (nothing to train, a loss that is no number, other settings than begun with)."""


class StorageError(TernaryZeroError):
    """The disk is full, or a file or folder cannot be written."""


class MissingExtraError(TernaryZeroError):
    """An optional part of the distribution is needed and not installed."""


class BackendError(TernaryZeroError):
    """No backend can run the model, or the chosen one failed."""


class DoesNotFitError(BackendError):
    """The plan needs more memory than is free; the message is the plan.

    ``card`` names the card that is too full, ``""`` is main memory.
    """

    def __init__(self, message: str, card: str = "") -> None:
        super().__init__(message)
        self.card = card


class ContextFullError(TernaryZeroError):
    """Prompt and answer do not fit into the context; nothing is truncated in silence."""


class TemplateError(TernaryZeroError):
    """The model's chat template raised, looped, or refused the conversation."""


class RequestError(TernaryZeroError):
    """A generation request is malformed (a sampling value out of range, an empty prompt)."""


class Cancelled(TernaryZeroError):
    """The user stopped a long action; what was done so far is kept and can be resumed."""
