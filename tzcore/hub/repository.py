"""What the Hugging Face Hub says about a model repository, and its refusals in plain words.

Only metadata is asked for here, through ``huggingface_hub``; the bytes come by
:mod:`tzcore.hub.transport`.  ``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE``
are honoured by that library and read from it at each call.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from tzcore import outbound
from tzcore.errors import AccessError, NetworkError, OfflineError, SourceError, TernaryZeroError
from tzcore.hub.catalogue import nearest

_T = TypeVar("_T")
TIMEOUT = 15.0
"""Seconds to wait for the Hub to answer a question about metadata."""
TRIES = 4
_FIRST_WAIT = 1.0
_LONGEST_RETRY_AFTER = 120.0


@dataclass(frozen=True)
class RepositoryFile:
    """One file.  ``blob`` is its name in the cache: the SHA-256 of an LFS object, else the git blob id."""

    name: str
    size: int
    blob: str
    sha256: str | None


@dataclass(frozen=True)
class Repository:
    """A model repository at one commit."""

    id: str
    commit: str
    licence: str
    gated: bool
    parameters: int | None
    model_type: str | None
    files: tuple[RepositoryFile, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Repository:
        """Undo :meth:`as_json`; KeyError or TypeError where ``raw`` is something else."""
        return cls(**{**raw, "files": tuple(RepositoryFile(**file) for file in raw["files"])})


def hub() -> Any:
    """The ``huggingface_hub`` package, with its telemetry off and its requests written down."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub

    _write_down_requests()
    return huggingface_hub


@functools.cache
def _write_down_requests() -> None:
    """Every client that ``huggingface_hub`` makes from now on tells :mod:`tzcore.outbound` what it asks."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def factory() -> Any:
        client = default_client_factory()
        hooks = client.event_hooks
        hooks["request"] = [*outbound.event_hooks(_purpose)["request"], *hooks["request"]]
        client.event_hooks = hooks
        return client

    set_client_factory(factory)


def _purpose(url: str) -> str:
    """What a request to the Hub is for, by its address."""
    path = url.partition("?")[0].rstrip("/")
    if path.endswith("/api/models"):
        return "search for models"
    if "/api/whoami" in path:
        return "check of the token"
    return "facts about a model" if "/api/" in path else "file of a model"


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` or the settings forbid requests."""
    if outbound.offline():
        return True
    hub()
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def api(token: str | None) -> Any:
    """The Hub's API at the configured endpoint; ``token=None`` takes the saved login, if any."""
    hub()
    from huggingface_hub import HfApi, constants

    from tzcore import __version__

    return HfApi(constants.ENDPOINT, token=token, library_name="ternary-zero", library_version=__version__)


def headers(token: str | None) -> dict[str, str]:
    """The headers of a request to the Hub, with the token given or saved."""
    hub()
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, not marked so

    from tzcore import __version__

    return dict(build_hf_headers(token=token, library_name="ternary-zero", library_version=__version__))


def look_up(repo: str, revision: str | None, token: str | None) -> Repository:
    """The repository ``org/name`` at ``revision`` (its default branch for ``None``): one request."""
    return look_up_popular(repo, revision, token)[0]


def look_up_popular(
    repo: str, revision: str | None, token: str | None
) -> tuple[Repository, tuple[int | None, int | None]]:
    """:func:`look_up`, and how often it was downloaded and liked."""
    client = api(token)
    info = ask(lambda: client.model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT), repo, token)
    files = []
    for sibling in info.siblings or []:
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        size = sibling.lfs.size if sibling.lfs else sibling.size
        blob = sha256 or sibling.blob_id
        if size is None or not blob:
            raise NetworkError(f"the Hub did not say how long {sibling.rfilename} of {repo} is; try again later")
        files.append(RepositoryFile(sibling.rfilename, int(size), blob, sha256))
    if not info.sha:
        raise NetworkError(f"the Hub did not say which commit {repo} is at; try again later")
    parameters = _parameters(info.safetensors.parameters) if info.safetensors else None
    model_type = (info.config or {}).get("model_type")
    found = Repository(repo, info.sha, licence_of(info), bool(info.gated), parameters, model_type, tuple(files))
    return found, (info.downloads, info.likes)


def _parameters(by_type: dict[str, int]) -> int:
    """The Hub counts stored numbers; a byte of packed ternary codes is four weights."""
    return sum(4 * count if kind == "U8" else count for kind, count in by_type.items())


def list_models(parameters: dict[str, Any], token: str | None) -> list[Any]:
    """One page of ``/api/models`` as huggingface_hub's ``ModelInfo``.

    Not by its ``list_models``: that waits for half a minute of tries of its own without a timeout.
    """
    hub()
    from huggingface_hub import constants, get_session
    from huggingface_hub.hf_api import ModelInfo
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # as above

    info: Any = ModelInfo

    def question() -> list[Any]:
        address = f"{constants.ENDPOINT}/api/models"
        response = get_session().get(address, params=parameters, headers=headers(token), timeout=TIMEOUT)
        hf_raise_for_status(response)
        return [info(**model) for model in response.json()]

    return ask(question, "the list of models", token)


def who_am_i(token: str | None) -> str:
    """The account of the token given or saved; AccessError where there is none or the hub does not know it."""
    hub()
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # as above

    if offline():
        raise is_offline("the answer about the token")
    if not _has_token(token):
        raise AccessError("no token is set: make one at https://huggingface.co/settings/tokens")

    def question() -> str:
        response = get_session().get(f"{constants.ENDPOINT}/api/whoami-v2", headers=headers(token), timeout=TIMEOUT)
        if response.status_code == 401:
            raise bad_token()
        hf_raise_for_status(response)
        return str(response.json()["name"])

    return ask(question, "the question about the token", token)


def reach() -> tuple[str, float]:
    """The hub's host, and the seconds until it answered anything at all.  NetworkError where it does not."""
    import httpx

    from tzcore.hub import transport

    hub()
    from huggingface_hub import constants

    began = time.monotonic()
    try:
        with transport.client_for("test of the connection", TIMEOUT) as client:
            client.head(constants.ENDPOINT)
    except httpx.HTTPError as error:
        raise unreachable(error) from error
    except ValueError as error:  # a proxy's address that is none
        raise NetworkError(f"the proxy cannot be used ({error}); check the network settings") from error
    return transport.host(str(constants.ENDPOINT)), time.monotonic() - began


def licence_of(info: Any) -> str:
    """The licence in a model's card or tags, ``"unknown"`` without one."""
    card = info.card_data
    named = [card.get("license_name"), card.get("license")] if card else []
    named += [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return next((str(word) for word in named if word and word != "other"), "other" if "other" in named else "unknown")


def ask(question: Callable[[], _T], repo: str, token: str | None) -> _T:
    """Run one request of ``huggingface_hub``; tried again where that may help, then a clear error."""
    hub()
    from huggingface_hub.errors import HfHubHTTPError

    # HTTPError of the HTTP library that huggingface_hub is built on, which differs by version.
    network: type[BaseException] = HfHubHTTPError.__bases__[0]
    for attempt in range(1, TRIES + 1):
        try:
            return question()
        except HfHubHTTPError as error:
            status = error.response.status_code
            if attempt == TRIES or not (status == 429 or status >= 500):
                raise refusal(error, repo, token) from error
            wait = _wait_asked_for(error) or _FIRST_WAIT * 2 ** (attempt - 1)
        except network as error:
            if attempt == TRIES:
                raise unreachable(error) from error
            wait = _FIRST_WAIT * 2 ** (attempt - 1)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _other(error, repo) from error
        time.sleep(min(wait, _LONGEST_RETRY_AFTER) * random.uniform(0.9, 1.1))
    raise AssertionError("unreachable")


def _wait_asked_for(error: Any) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None


def refusal(error: Any, repo: str, token: str | None) -> TernaryZeroError:
    """What an HTTP error of the Hub means for the user, and what to do about it."""
    from huggingface_hub import errors

    headers = error.response.headers
    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return gated(repo, token)
    if isinstance(error, errors.DisabledRepoError):
        return SourceError(f"{repo} has been disabled on the Hub by its owner or its staff")
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceError(f"{repo} has no such revision; leave out '@...' or look at its branches and tags on the Hub")
    if status == 401 and _has_token(token) and "invalid" in (headers.get("x-error-message") or "").lower():
        return bad_token()
    # Without a token the Hub answers 401 for what is not there, too: it does not say what is private.
    missing = status == 404 or (status == 401 and not _has_token(token))
    if isinstance(error, errors.RepositoryNotFoundError) or missing:
        close = [name for name in nearest(repo) if name != repo]
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        private = "" if _has_token(token) else " (or it is private and needs a login: hf auth login)"
        return SourceError(f"there is no model {repo} on the Hub{private}; {meant}check the spelling")
    if status in (401, 403):
        reason = headers.get("x-error-message") or status
        return AccessError(f"the Hub refused {repo}: {reason}; check your token's rights")
    if status == 429:
        return NetworkError("the Hub says there were too many requests; wait some minutes, or log in: hf auth login")
    return NetworkError(f"the Hub answered {status} for {repo}; try again later")


def gated(repo: str, token: str | None) -> AccessError:
    """The repository is gated and this account has not been let in."""
    hub()
    from huggingface_hub import constants

    page = f"{constants.ENDPOINT}/{repo}"
    if _has_token(token):
        return AccessError(
            f"{repo} is gated and your account has no access yet: open {page}, accept its terms "
            "(some owners approve by hand), then try again"
        )
    return AccessError(
        f"{repo} is gated: open {page} and accept its terms, then log in with a token of that account "
        "(hf auth login, or set HF_TOKEN) and try again"
    )


def bad_token() -> AccessError:
    """The token is not one that the Hub knows."""
    return AccessError(
        "the Hub does not know the token in use (mistyped or expired): make one at "
        "https://huggingface.co/settings/tokens, then hf auth login, or correct HF_TOKEN"
    )


def unreachable(error: BaseException) -> NetworkError:
    """No answer at all."""
    from huggingface_hub import constants

    reason = str(error).strip() or type(error).__name__
    return NetworkError(
        f"cannot reach {constants.ENDPOINT} ({reason}); check the network connection and proxy settings. "
        "Models already downloaded or installed work without it"
    )


def is_offline(repo: str) -> NetworkError:
    """A question would be needed and ``HF_HUB_OFFLINE`` or the settings forbid it."""
    if outbound.offline():
        return OfflineError(f"{repo} is not complete in the cache, and Offline is switched on in the settings")
    return NetworkError(f"{repo} is not complete in the cache and HF_HUB_OFFLINE forbids asking; unset it to download")


def _other(error: Exception, repo: str) -> TernaryZeroError:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return is_offline(repo)
    if isinstance(error, errors.HFValidationError):
        return SourceError(f"'{repo}' is not a valid hub id; hub ids look like org/name")
    if isinstance(error, ConnectionError):
        return unreachable(error)
    return NetworkError(f"the answer about {repo} from {_endpoint()} cannot be understood ({error}); is it a Hub?")


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _has_token(token: str | None) -> bool:
    return bool(token or hub().get_token())
