"""The product's own settings, read before anything starts, so that a broken value is one sentence and no traceback.

Only works inside `.venv`. Importing `gantry.settings` sets up no Django; it costs a few hundredths of a second.
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from typing import Protocol, cast

from environment import ROOT
from refusals import Refusal, of_system


class Settings(Protocol):
    """What the launcher wants to know."""

    VERSION: str
    DATA_DIR: Path
    TABBY_HOST: str


def load() -> Settings:
    """The settings as the product will read them; raises Refusal naming what is wrong in `.env` or the environment."""
    from django.core.exceptions import ImproperlyConfigured

    sys.path.insert(0, str(ROOT))
    try:
        return cast("Settings", importlib.import_module("gantry.settings"))
    except OSError as fault:
        raise of_system(fault) from fault
    except (ImproperlyConfigured, ValueError) as fault:
        reason = f"{_culprit(fault)} ({fault}): mend it in {ROOT / '.env'}, which .env.example explains."
        raise Refusal(reason) from fault


def _culprit(fault: Exception) -> str:
    """The name of the variable that was being read: settings.py reads one a line."""
    for frame in reversed(traceback.extract_tb(fault.__traceback__)):
        if Path(frame.filename).name == "settings.py" and (name := re.search(r'env\.\w+\("(\w+)"', frame.line or "")):
            return f"{name[1]} has a value that cannot be used"
    return "The settings cannot be used"
