"""The environment of the window's children, as far as the network is concerned.

Offline, proxy, mirror and token are settings here and environment variables there: every program that a
child may start in turn honours them as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from app.settings.secrets import Secrets
    from app.settings.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Never asked for through a proxy: the engine answers there."""


def child_environment(
    settings: Settings, secrets: Secrets | None = None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables that a child gets beside (or in place of) those of this process.

    ``secrets`` only for children that may go to the hub; ``base`` is the environment that they are added to.
    """
    base = os.environ if base is None else base
    result = {"HF_HUB_DISABLE_TELEMETRY": "1", **proxy_environment(settings, base, secrets)}
    if settings.get("offline"):
        result |= {"TZ_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if mirror := str(settings.get("hub_mirror") or "").strip().rstrip("/"):
        result["HF_ENDPOINT"] = mirror
    if secrets is not None and (token := secrets.get("hub_token")):
        result["HF_TOKEN"] = token
    return result


def proxy_environment(settings: Settings, base: Mapping[str, str], secrets: Secrets | None = None) -> dict[str, str]:
    """Proxy variables, in both spellings, because programs differ in which one they read first."""
    mode = str(settings.get("proxy"))
    address = str(settings.get("proxy_address") or "").strip()
    given = base.get("no_proxy") or base.get("NO_PROXY") or ""
    direct = [host.strip() for host in given.split(",") if host.strip()]
    values: dict[str, str] = {}
    if mode == "none":
        values = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "")
        direct = ["*"]
    elif mode == "manual" and address:
        address = _with_password(address, secrets.get("proxy_password") if secrets is not None else "")
        values = {"http_proxy": address, "https_proxy": address, "all_proxy": ""}
        exceptions = str(settings.get("proxy_exceptions") or "")
        direct = [host.strip() for host in exceptions.replace(";", ",").split(",") if host.strip()]
    if direct != ["*"]:
        direct += [host for host in LOOPBACK if host not in direct]
    values["no_proxy"] = ",".join(direct)
    return values | {name.upper(): value for name, value in values.items()}


def _with_password(address: str, password: str) -> str:
    """The address of the proxy with the password for the user that it names."""
    scheme, mark, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{mark}{user}:{quote(password, safe='')}@{host}" if at and user and password else address
