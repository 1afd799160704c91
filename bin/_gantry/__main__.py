"""The verbs of `bin/gantry`. Standard library only: this runs before anything is installed."""

from __future__ import annotations

import io
import os
import signal
import sys

from refusals import Refusal, of_system

USAGE = """\
bin/gantry start [--host HOST] [--port PORT]   set up what is missing, then serve until Ctrl-C
bin/gantry validate                            set up what is missing, then run every check
bin/gantry session VERB …                      recording sessions, on this server or another: session --help says more
bin/gantry VERB …                              any verb of manage.py, such as migrate, createsuperuser or shell
"""


def main() -> int:
    """Carry out the verb; returns the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    try:
        return _carry_out(sys.argv[1:])
    except Refusal as refusal:
        reason = refusal
    except OSError as fault:
        reason = of_system(fault)
    except KeyboardInterrupt:
        print("\nStopped before it was done; nothing is left running.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"gantry: {reason}", file=sys.stderr)
    return reason.status


def _carry_out(arguments: list[str]) -> int:
    match arguments:
        case ["start", *rest]:
            import start

            return start.run(rest)
        case ["validate", *rest]:
            import validate

            return validate.run(rest)
        case ["session", *rest]:
            import session

            return session.run(rest)
        case [] | ["help" | "-h" | "--help"]:
            import environment

            print(USAGE)
            return _manage(["help"]) if environment.is_prepared(environment.RUN) else 0
        case _:
            return _manage(arguments)


def _manage(arguments: list[str]) -> int:
    import environment

    environment.prepare(environment.RUN, *([environment.MODEL] if arguments[0] == "serve_model" else []))
    environment.configure()

    import configuration

    configuration.load()
    python = str(environment.PYTHON)
    os.execv(python, [python, str(environment.ROOT / "manage.py"), *arguments])  # noqa: S606 - what was typed


if __name__ == "__main__":
    sys.exit(main())
