"""Every setting of the window, each declared once: key, type, default, label, help, limits, group.

The settings page is made from this list; a setting with an empty ``group`` is not shown there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.translation import mark, tr

Value = str | int | float | bool | None

GROUPS = (
    mark("General"), mark("Answers"), mark("Conversations"), mark("Engine"), mark("Library"), mark("Jobs"),
    mark("Network"), mark("Server"), mark("Privacy"), mark("Advanced"),
)
"""In the order of the page.  A group without a setting is not shown."""

@dataclass(frozen=True)
class Setting:
    """One setting.  ``type`` is the Python type of its value; ``None`` is allowed where it is the default.

    ``choices`` pairs a value with its label; ``minimum``/``maximum``/``step`` bound a number.
    ``group`` is one of :data:`GROUPS`.  ``kind`` chooses an editor where the type does not say it all:

    * ``"folders"``: paths, one a line (:meth:`Settings.lines` gives the list);
    * ``"address"``, ``"proxy"``: a web address, or nothing;
    * ``"secret"``: nothing is stored here, the key is a name in :class:`app.settings.secrets.Secrets`;
    * ``"page"``: a link to the page of the window that the default names.
    """

    key: str
    type: type[str | int | float | bool]
    default: Value
    label: str
    group: str
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    multiline: bool = False
    unset: str = ""
    kind: str = ""
    words: str = ""
    """Other words by which a search finds it, or what a link says."""

    def check(self, value: object) -> Value:
        """The value in its declared type; ValueError says what would be right."""
        if value is None:
            if self.default is None:
                return None
            raise ValueError(tr("{name}: a value is needed").format(name=tr(self.label)))
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            text = tr("{name}: {value} is not a value of the right kind")
            raise ValueError(text.format(name=tr(self.label), value=repr(value)))
        if self.choices and value not in {choice for choice, _ in self.choices}:
            known = ", ".join(choice for choice, _ in self.choices)
            raise ValueError(
                tr("{name}: {value} is none of {known}").format(name=tr(self.label), value=repr(value), known=known)
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -math.inf if self.minimum is None else self.minimum
            high = math.inf if self.maximum is None else self.maximum
            if not low <= value <= high:
                text = tr("{name}: {value} is not between {low} and {high}")
                raise ValueError(
                    text.format(name=tr(self.label), value=repr(value), low=f"{low:g}", high=f"{high:g}")
                )
        if self.kind in ("address", "proxy") and value and not _is_address(str(value)):
            text = tr("{name}: {value} is no address; it looks like https://host or http://host:port")
            raise ValueError(text.format(name=tr(self.label), value=repr(value)))
        if self.kind == "proxy" and value and _has_password(str(value)):
            text = tr("{name}: the password does not belong here, it has a field of its own below")
            raise ValueError(text.format(name=tr(self.label)))
        return value


def _has_password(text: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(text).password is not None


def _is_address(text: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


RECOMMENDED = mark("what the model recommends")

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "theme", str, "system", mark("Appearance"), mark("General"),
        choices=(("system", mark("As the system")), ("light", mark("Light")), ("dark", mark("Dark"))),
        words=mark("theme, dark mode, colours"),
    ),
    Setting(
        "language", str, "", mark("Language"), mark("General"), mark("Takes effect at the next start."),
        choices=(("", mark("As the system")), ("en", "English"), ("de", "Deutsch")),
    ),
    Setting(
        "text_scale", int, 100, mark("Size of the text (%)"), mark("General"),
        mark("In percent of the system's; also with Ctrl and + or −."), minimum=90, maximum=150, step=5,
    ),
    Setting(
        "start_page", str, "chat", mark("Begin with"), mark("General"), mark("What the window shows when it opens."),
        choices=(
            ("chat", mark("A new chat")), ("last", mark("The last conversation")), ("library", mark("The library")),
        ),
    ),
    Setting(
        "send_with", str, "enter", mark("Send with"), mark("General"),
        mark("The other of the two makes a new line, as Shift+Enter does."),
        choices=(("enter", mark("Enter")), ("ctrl_enter", mark("Ctrl+Enter"))), words=mark("keyboard, new line"),
    ),
    Setting(
        "temperature", float, None, mark("Temperature"), mark("Answers"),
        mark("0 always takes the most likely word; higher is more varied."), minimum=0.0, maximum=2.0, step=0.05,
        unset=RECOMMENDED,
    ),
    Setting(
        "top_p", float, None, mark("Top-p"), mark("Answers"),
        mark("Only the most likely words that together reach this probability are drawn from."),
        minimum=0.01, maximum=1.0, step=0.01, unset=RECOMMENDED,
    ),
    Setting(
        "top_k", int, None, mark("Top-k"), mark("Answers"),
        mark("Only this many of the most likely words; 0 means no limit."),
        minimum=0, maximum=1000, step=1, unset=RECOMMENDED,
    ),
    Setting(
        "min_p", float, None, mark("Min-p"), mark("Answers"),
        mark("Drops words less likely than this share of the most likely one."),
        minimum=0.0, maximum=1.0, step=0.01, unset=RECOMMENDED,
    ),
    Setting(
        "max_tokens", int, None, mark("Longest answer (tokens)"), mark("Answers"),
        mark("An answer that reaches it stops there and says so."),
        minimum=1, maximum=1_000_000, step=64, unset=mark("as far as the context reaches"),
    ),
    Setting(
        "seed", int, None, mark("Seed"), mark("Answers"), mark("The same seed and settings give the same answer."),
        minimum=0, maximum=2**31 - 1, step=1, unset=mark("another each time"),
    ),
    Setting(
        "system_prompt", str, "", mark("System prompt"), mark("Answers"), mark("Put before every new conversation."),
        multiline=True,
    ),
    Setting(
        "context", int, None, mark("Context (tokens)"), mark("Engine"),
        mark("How much text a conversation can hold; longer takes more memory."),
        minimum=256, maximum=1_048_576, step=256, unset=mark("what the model and memory allow"),
    ),
    Setting(
        "kv", str, "auto", mark("Precision of the context"), mark("Engine"),
        mark("Fewer bits hold a longer context in the same memory; 8 bits are hardly distinguishable from 16."),
        choices=(
            ("auto", mark("Automatic: 16 bits where they fit")),
            ("f16", mark("16 bits")),
            ("k8v8", mark("8 bits")),
            ("k6v5", mark("5.5 bits")),
            ("k4v4", mark("4 bits")),
            ("k4v2", mark("3 bits (keys 4, values 2)")),
        ),
    ),
    Setting(
        "context_overflow", str, "stop", mark("When the context is full"), mark("Engine"),
        mark("For every conversation that has no choice of its own (a click on the context's gauge)."),
        choices=(
            ("stop", mark("Stop and ask")),
            ("slide", mark("Leave out the oldest messages")),
            ("compact", mark("Summarise the oldest messages")),
        ),
    ),
    Setting(
        "model_folders", str, "", mark("More folders with models"), mark("Library"),
        mark("One a line; for another drive. New models go to the usual place unless you choose one of these."),
        multiline=True, kind="folders",
    ),
    Setting(
        "encoding", str, "t2", mark("Encoding of new models"), mark("Library"),
        choices=(
            ("t2", mark("t2 · two ternary planes (recommended for small models)")),
            ("q2", mark("q2 · four levels")),
            ("t1", mark("t1 · one ternary plane (smallest)")),
            ("i4", mark("i4 · 4-bit integers")),
            ("i8", mark("i8 · 8-bit integers")),
            ("f16", mark("f16 · unquantised")),
        ),
    ),
    Setting(
        "notify", bool, True, mark("Tell me when a job ends"), mark("Jobs"),
        mark("A message of the system when a conversion is done, or has failed, while the window is not in front."),
        words=mark("notification, message, tray"),
    ),
    Setting(
        "game_mode", bool, True, mark("Give way to full-screen programs"), mark("Jobs"),
        mark(
            "While a game or another full-screen program is in front, conversions wait and idle models leave memory; "
            "then all goes on by itself. Works on Windows and X11; Wayland and macOS do not tell what is in front."
        ),
        words=mark("game mode, gaming, graphics memory, pause"),
    ),
    Setting(
        "offline", bool, False, mark("Offline"), mark("Network"),
        mark("Nothing goes out to the network: no search, no download. Installed models work as before."),
        words=mark("internet, airplane mode, connection"),
    ),
    Setting(
        "hub_token", str, "", mark("Hugging Face token"), mark("Network"),
        mark(
            "Needed only for models whose owners ask for an account. Make one with the right to read on the hub's page "
            "“Access tokens”. It is kept in the system's key ring, never in a file of settings or a log."
        ),
        kind="secret", words=mark("login, password, gated, account"),
    ),
    Setting(
        "proxy", str, "system", mark("Proxy"), mark("Network"),
        mark("Through which the hub is asked. The engine on this machine is never spoken to through a proxy."),
        choices=(("system", mark("As the system")), ("none", mark("None")), ("manual", mark("The one below"))),
    ),
    Setting(
        "proxy_address", str, "", mark("Address of the proxy"), mark("Network"),
        mark("For example http://proxy.example.org:3128; used when “The one below” is chosen."), kind="proxy",
    ),
    Setting(
        "proxy_password", str, "", mark("Password of the proxy"), mark("Network"),
        mark("Only for a proxy that asks for one, for the user in its address: http://user@proxy.example.org:3128."),
        kind="secret",
    ),
    Setting(
        "proxy_exceptions", str, "", mark("Without the proxy"), mark("Network"),
        mark("Hosts that are asked directly, with commas between them."),
    ),
    Setting(
        "hub_mirror", str, "", mark("Another hub"), mark("Network"),
        mark("Address of a mirror of the Hugging Face Hub. Empty: https://huggingface.co."), kind="address",
        words=mark("endpoint, mirror, HF_ENDPOINT"),
    ),
    Setting(
        "network_page", str, "network", mark("What went out"), mark("Network"),
        mark("Every request that this program has made to the network, with time, host and purpose."), kind="page",
        words=mark("Show the list"),
    ),
    Setting(
        "server_on", bool, False, mark("Server for other programs"), mark("Server"),
        mark("Programs on this machine can use the models through the OpenAI interface while the window is open."),
        words=mark("API, OpenAI, endpoint"),
    ),
    Setting(
        "server_port", int, 8642, mark("Port"), mark("Server"),
        mark("Other programs find the server under this number. From 1024 on any program may use one."),
        minimum=1, maximum=65535, step=1,
    ),
    Setting(
        "server_lan", bool, False, mark("Let other machines in"), mark("Server"),
        mark("Whoever is in your network and has the token can use your models. The connection is not encrypted."),
        words=mark("LAN, network, remote"),
    ),
    Setting(
        "server_token_wanted", bool, True, mark("Ask for a token"), mark("Server"),
        mark("Without one every program and every user of this machine can use the models."),
    ),
    Setting(
        "server_page", str, "server", mark("Connections and examples"), mark("Server"),
        mark("Who is connected, what was asked, and how to set up other programs."), kind="page",
        words=mark("Show the server"),
    ),
    Setting(
        "snapshots", bool, True, mark("Keep conversations ready"), mark("Privacy"),
        mark(
            "What the model has read is kept on the disk, so that long chats go on at once. Takes effect when the "
            "engine starts next."
        ),
    ),
    Setting(
        "snapshots_quota", float, 8.0, mark("Disk space for that (GB)"), mark("Privacy"),
        mark("The conversations not used for the longest time make room."), minimum=0.5, maximum=10_000, step=1.0,
    ),
    Setting(
        "privacy_page", str, "network", mark("What left this machine"), mark("Privacy"),
        mark("There is no telemetry: only what you search for or fetch goes out, and all of it is listed."),
        kind="page", words=mark("Show the list"),
    ),
    Setting(
        "trash_days", int, None, mark("Empty the trash after (days)"), mark("Conversations"),
        mark("What was deleted longer ago goes for ever when the window opens."),
        minimum=1, maximum=3650, step=1, unset=mark("never: only when you say so"),
    ),
    Setting(
        "trash_page", str, "trash", mark("Deleted conversations"), mark("Conversations"),
        mark("Bring them back, or delete them for ever."), kind="page", words=mark("Show the trash"),
    ),
    Setting(
        "import_page", str, "import", mark("Import conversations"), mark("Conversations"),
        mark("From exports of this program, of ChatGPT and of Open WebUI. Nothing leaves this machine."), kind="page",
        words=mark("Choose a file"),
    ),
    Setting(
        "export_page", str, "export", mark("Export all conversations"), mark("Conversations"),
        mark("All branches, attachments and settings, in one file that this program reads again."), kind="page",
        words=mark("Export"),
    ),
    Setting(
        "threads", int, None, mark("Processor threads"), mark("Advanced"),
        mark("Takes effect when the engine starts next."),
        minimum=1, maximum=1024, step=1, unset=mark("one for each core"),
    ),
    Setting(
        "report_page", str, "report", mark("Report a problem"), mark("Advanced"),
        mark("Gathers versions, settings and logs without secrets into a file that you can look at first."),
        kind="page", words=mark("Gather the report"),
    ),
    Setting("secrets_kept", str, "", "Where each secret is kept, as JSON", ""),
    Setting("sidebar", bool, True, "Whether the list of conversations is shown", ""),
    Setting("last_model", str, "", "Model used last", ""),
    Setting("window_geometry", str, "", "Place and size of the window", ""),
)
