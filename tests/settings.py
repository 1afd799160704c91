"""The product's settings, for tests: a data folder of their own, and password hashing that costs little."""

import atexit
import os
import shutil
import tempfile

os.environ.update(SECRET_KEY="only-for-tests-" + "x" * 40, DATA_DIR=tempfile.mkdtemp(prefix="gantry-tests-"))
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
for name in ("TABBY_HOST", "PUBLIC_URL", "TRUSTED_PROXIES", "LLM_API_KEY", "DEFAULT_MODEL", "REDIS_URL"):
    os.environ[name] = "0" if name == "TRUSTED_PROXIES" else ""
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")

from gantry.settings import *  # noqa: E402, F403

# The first question of a process waits for what is then loaded, on a machine that runs tests beside it.
MEMORY_TIMEOUT = 30.0
PASSWORD_HASHERS = ["tests.hashers.QuickBCryptSHA256PasswordHasher"]
