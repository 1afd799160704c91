"""Keeps the processes of `bin/gantry start` running, tells what happens to them, and ends them all.

supervisor (supervisord.org) does the keeping, inside this process: it starts what crashed again, slower each time,
gives up on what does not stay up, stops in order and kills what will not stop. Here it is told how to speak, and to
notice signals at once, where by itself it sleeps up to a second. On SIGHUP, a closed terminal, it stops everything to
begin anew; here nothing begins it, so that is an end like the others.

If this process is killed, the others notice (lifeline.py).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from environment import ROOT
from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

# sysexits' EX_CONFIG: the process has said in one sentence what only a person can mend, so starting it again is no use.
_REFUSED = 78

# No path stands in here but those of the checkout itself: the format would take `%`, ` #` and ` ;` in them as its own.
_CONFIG = """\
[supervisord]
nodaemon=true
silent=true
logfile_maxbytes=1MB
logfile_backups=1
"""
_PROGRAM = """
[program:{name}]
command=.venv/bin/python -I bin/_gantry/lifeline.py {arguments}
startsecs=2
startretries=2
stopwaitsecs=15
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=NONE
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=2
stdout_events_enabled={is_shown}
"""


def run(commands: Mapping[str, Sequence[str]], data: Path, address: tuple[str, int], began: float) -> int:
    """Run these modules, each with its arguments, until a signal; returns the exit status."""
    os.chdir(ROOT)
    os.umask(0o077)
    options = _Options()
    options.read(commands, data)
    overseer = _Overseer(options, data / "logs" / "model.log")
    threading.Thread(target=_announce, args=(address, began), name="announce", daemon=True).start()
    with contextlib.suppress(asyncore.ExitNow):
        overseer.main()
    options.close_logger()
    _say("Everything has ended.")
    return overseer.exit_status


def _program(name: str, arguments: Sequence[str]) -> str:
    quoted = shlex.join(arguments).replace("%", "%%")
    return _PROGRAM.format(name=name, arguments=quoted, is_shown=str(name == "web").lower())


def _announce(address: tuple[str, int], began: float) -> None:
    """Say where the product is once it has answered a request without failing; of its first failure, that it fails."""
    is_told = False
    while (status := _health(address)) == 0 or status >= 500:
        if status and not is_told:
            is_told = True
            _say(f"It runs and cannot serve yet: /health answers {status}. The lines above say why.")
        time.sleep(1 if status else 0.05)
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    _say(f"Ready after {time.monotonic() - began:.1f} s: http://{host}:{address[1]} (Ctrl-C ends it)")


def _health(address: tuple[str, int]) -> int:
    """The status of /health; 0 while nobody answers."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _say(sentence: str) -> None:
    _write(f"{sentence}\n".encode())


def _write(text: bytes) -> None:
    """To a terminal that may be gone."""
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


class _Alarm:
    """A file descriptor in supervisor's loop that turns readable when a signal arrives."""

    def __init__(self) -> None:
        self.ears, mouth = socket.socketpair()
        self.ears.setblocking(False)
        mouth.setblocking(False)
        self._mouth = mouth
        signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self.ears.recv(4096)


class _Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisor's dealings with the system, with how each child ended kept."""

    def __init__(self) -> None:
        super().__init__()
        self.endings: dict[int, int] = {}

    def read(self, commands: Mapping[str, Sequence[str]], data: Path) -> None:
        """Take up these commands, with all files in the data folder.

        The web process's lines are events that people want to see; the model server's chatter is kept for a bad day.
        """
        config = data / "run" / "supervisor.conf"
        config.write_text(_CONFIG + "".join(map(_program, commands, commands.values())), encoding="utf-8")
        log, pid = data / "logs" / "supervisor.log", config.with_suffix(".pid")
        self.realize(["-c", str(config), "-l", str(log), "-j", str(pid)], doc=__doc__)
        self.first, self.test = True, False
        for group in self.process_group_configs:
            for process in group.process_configs:
                if process.name == "model":
                    process.stdout_logfile = str(data / "logs" / "model.log")

    def get_socket_map(self) -> dict[int, object]:
        alarm = _Alarm()
        return {alarm.ears.fileno(): alarm}

    def waitpid(self) -> tuple[int | None, int | None]:
        pid, status = super().waitpid()
        if pid:
            self.endings[pid] = os.waitstatus_to_exitcode(status)
        return pid, status


class _Overseer(Supervisor):  # type: ignore[misc]  # supervisor has no types
    """supervisor, speaking."""

    exit_status = 0

    def __init__(self, options: _Options, model_log: Path) -> None:
        super().__init__(options)
        self._model_log = model_log
        self._tell = {"web": self._tell_of_web, "model": self._tell_of_model}

    def runforever(self) -> None:
        """Start everything before the first look at the clock."""
        events.subscribe(events.ProcessLogStdoutEvent, lambda event: _write(event.data))
        events.subscribe(events.SupervisorStoppingEvent, lambda _: _say("Ending …"))
        for kind in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent, events.ProcessStateFatalEvent):
            events.subscribe(kind, self._changed)
        for group in self.process_groups.values():
            group.transition()
        super().runforever()

    def _changed(self, event: events.ProcessStateEvent) -> None:
        gave_up = isinstance(event, events.ProcessStateFatalEvent)
        self._tell[event.process.config.name](gave_up, self.options.endings.pop(event.process.pid, 1))

    def _tell_of_web(self, gave_up: bool, ending: int) -> None:
        if gave_up:
            _say("The web process does not stay up; what it said last stands above.")
        elif ending != _REFUSED:
            _say(f"The web process ended ({_how(ending)}); starting it again.")
            return
        self.exit_status = 1
        self.options.mood = SupervisorStates.SHUTDOWN

    def _tell_of_model(self, gave_up: bool, ending: int) -> None:
        if gave_up:
            _say(
                f"The bundled model server does not stay up, so there will be no answers; {self._model_log} says more."
            )
        else:
            _say(f"The bundled model server ended ({_how(ending)}); starting it again.")


def _how(ending: int) -> str:
    return f"signal {-ending}" if ending < 0 else f"exit status {ending}"
