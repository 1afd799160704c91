"""Every verb that is not the launcher's own is manage.py's."""

from __future__ import annotations

from .conftest import Checkout


def test_help_lists_both_the_launchers_verbs_and_djangos(checkout: Checkout) -> None:
    ended = checkout.run("--help")
    assert ended.returncode == 0
    for verb in ("bin/gantry start", "bin/gantry validate", "createsuperuser", "serve_model"):
        assert verb in ended.stdout


def test_arguments_and_exit_status_pass_unchanged(checkout: Checkout) -> None:
    good = checkout.run("shell", "--no-imports", "-c", "print('a  b')")
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "a  b")
    bad = checkout.run("shell", "--no-imports", "-c", "raise SystemExit(7)")
    assert bad.returncode == 7
    assert "Unknown command: 'nonsense'" in checkout.run("nonsense").stdout
