"""``python -m app.settings.key_ring``: the system's key ring, spoken to in a process of its own.

A key ring may ask its user for a password, wait for a service that does not answer, or crash; the window is
none of these.  One JSON object comes on stdin, ``{"do": "get" | "set" | "delete", "name", "value"}`` (not on the
command line, which other users of the machine can read), and one goes out on stdout, ``{"value"}`` or ``{"error"}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SERVICE = "ternary-zero"


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    import keyring
    from keyring.backends import fail
    from keyring.errors import KeyringError, PasswordDeleteError

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring) or getattr(backend, "priority", 1) <= 0:
        return {"error": "no key ring"}
    name = str(asked["name"])
    try:
        if asked["do"] == "get":
            return {"value": keyring.get_password(SERVICE, name) or ""}
        if asked["do"] == "set":
            keyring.set_password(SERVICE, name, str(asked["value"]))
        else:
            try:
                keyring.delete_password(SERVICE, name)
            except PasswordDeleteError:  # it is not there, which is what was wanted
                return {"value": ""}
        return {"value": ""}
    except KeyringError as error:
        return {"error": str(error) or type(error).__name__}


def main() -> int:
    """Answer one question."""
    try:
        said = answer(json.loads(sys.stdin.read()))
    except Exception as error:  # whatever a backend raises: no secret is in a type's name
        said = {"error": type(error).__name__}
    print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
