"""What a bench prints: the machine, how much was measured, and the figures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping

from bench.figures import Figure

Report = dict[str, dict[str, object] | bool]


def report(
    found: Mapping[str, Figure], measured: Mapping[str, object], load_before: tuple[float, float, float]
) -> Report:
    """The figures beside what one needs to judge them; `ok` where none is over its floor."""
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "load_before": load_before[0],
            "load_after": os.getloadavg()[0],
        },
        "measured": dict(measured),
        "figures": dict(found),
        "ok": all(figure["ok"] is not False for figure in found.values()),
    }


def printed(made: Report) -> str:
    """JSON with a line for each figure, so that people can read it as well."""
    parts = (
        f'  "{name}": {{\n{_lines(part)}\n  }}' if isinstance(part, dict) else f'  "{name}": {json.dumps(part)}'
        for name, part in made.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}"


def _lines(part: dict[str, object]) -> str:
    return ",\n".join(f'    "{name}": {json.dumps(value)}' for name, value in part.items())
