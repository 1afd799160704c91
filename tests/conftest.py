"""The shared cast and stage: alice owns, bob is a stranger, root is the operator; the model server is scripted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from asgiref.sync import SyncToAsync
from channels.layers import channel_layers
from django.db import connections
from django.test import AsyncClient, Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.engine.boots import this_boot
from apps.core import database, handler
from apps.llm import catalog
from apps.llm.client import close_shared_client
from tests.scripted_model import ScriptedModel
from tests.servers import Product

PASSWORD = "correct horse battery"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user(email="alice@example.org", password=PASSWORD, display_name="Alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user(email="bob@example.org", password=PASSWORD, display_name="Bob")


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_user(email="root@example.org", password=PASSWORD, display_name="Root", role="admin")


@pytest.fixture
def browser_of() -> Callable[[User], Client]:
    """A browser in which the given person is signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def async_browser_of() -> Callable[[User], AsyncClient]:
    """The same, for tests that run in an event loop: needed for anything that begins a turn."""

    def signed_in(user: User) -> AsyncClient:
        client = AsyncClient()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture(scope="session")
def model_server() -> Iterator[ScriptedModel]:
    server = ScriptedModel().start()
    yield server
    server.stop()


@pytest.fixture
def scripted_model(model_server: ScriptedModel, settings: Settings) -> ScriptedModel:
    """The model server that the product is configured to ask."""
    model_server.reset()
    catalog.forget()
    settings.TABBY_HOST = model_server.url
    return model_server


@pytest.fixture
async def running_engine() -> AsyncIterator[None]:
    """Whatever a test leaves running is ended before its event loop is."""
    yield
    await engine.shutdown()
    await close_shared_client()


@pytest.fixture(autouse=True)
def fresh_process_state() -> Iterator[None]:
    """A channel layer belongs to one event loop, a boot to one database: each test has its own."""
    yield
    channel_layers.backends.clear()
    this_boot.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def database_threads_end(django_db_setup: None) -> Iterator[None]:
    """Also the one on which asgiref runs what is synchronous and in no request: PostgreSQL drops no database in use."""
    yield
    database.close()
    handler.threads.close()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(scope="session")
def database_with_alice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with her account, to be copied: making one takes seconds."""
    folder = tmp_path_factory.mktemp("with-alice")
    product = Product(folder, tabby_host="")
    product.manage("migrate", "--verbosity", "0")
    product.add_account()
    return folder / "gantry.db"


@pytest.fixture(scope="session")
def namespace() -> list[str]:
    """A command that runs others where they may mount."""
    unshare = [str(shutil.which("unshare") or "/bin/false"), "--mount", "--map-root-user"]
    probe = subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("no mount namespaces here (unshare --mount)")
    return unshare


@pytest.fixture
def data_dir(tmp_path: Path, database_with_alice: Path, model_server: ScriptedModel) -> Path:
    model_server.reset()
    shutil.copy(database_with_alice, tmp_path)
    return tmp_path


@pytest.fixture
def product(data_dir: Path, model_server: ScriptedModel) -> Iterator[Product]:
    with Product(data_dir, tabby_host=model_server.url) as started:
        yield started
