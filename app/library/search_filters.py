"""What a search of the hub leaves out, as arguments of ``tz search``."""

from __future__ import annotations

from dataclasses import dataclass

from app.translation import mark

SORTS = {
    "downloads": mark("Most downloaded"),
    "likes": mark("Most liked"),
    "trending": mark("Trending"),
    "created": mark("Newest"),
}
LICENCES = ("apache-2.0", "mit", "gemma", "llama3.1", "llama3.2", "llama3.3", "other")
"""Those to choose from; ``""`` is any."""


@dataclass(frozen=True)
class SearchFilters:
    """``fitting`` leaves out models that are too large for this machine, ``open_only`` gated ones, ``native`` all that
    were not trained with ternary weights."""

    supported: bool = True
    native: bool = False
    open_only: bool = False
    fitting: bool = False
    licence: str = ""
    sort: str = "downloads"

    def words(self, largest: int) -> list[str]:
        """The arguments; ``largest`` is the number of weights that fit."""
        found = [f"--sort={self.sort}"]
        found += ["--supported"] if self.supported else []
        found += ["--native"] if self.native else []
        found += ["--open"] if self.open_only else []
        found += [f"--licence={self.licence}"] if self.licence else []
        found += [f"--max-parameters={largest}"] if self.fitting else []
        return found
