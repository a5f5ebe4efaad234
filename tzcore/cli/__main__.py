"""``python -m tzcore.cli`` is the same as ``tz``."""

import sys

from tzcore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
