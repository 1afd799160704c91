from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.errors import AlreadySetUp
from apps.accounts.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
FORM = {"email": "First@Example.org", "display_name": "The First", "password": PASSWORD}


def test_an_empty_installation_leads_to_setup(client: Client) -> None:
    response = client.get("/", follow=True)
    assert [url for url, _ in response.redirect_chain] == ["/login?next=/", "/setup"]
    assert "no-store" in response.headers["Cache-Control"]
    assert b'type="password"' in response.content


def test_the_first_account_is_an_admin_and_signed_in(client: Client) -> None:
    response = client.post("/setup", FORM)
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    first = User.objects.get()
    assert (first.email, first.display_name, first.role) == ("first@example.org", "The First", "admin")
    assert client.get("/api/auth/me").json()["id"] == first.pk


def test_setup_is_gone_afterwards(client: Client, alice: User) -> None:
    for response in (client.get("/setup"), client.post("/setup", FORM)):
        assert (response.status_code, response.headers["Location"]) == (302, "/login")
    assert User.objects.get() == alice


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("email", "no address", "valid email"),
        ("email", "", "required"),
        ("display_name", "", "required"),
        ("display_name", "nul\0", "Null characters"),
        ("display_name", "x" * 101, "at most 100"),
        ("password", "short", "too short"),
        ("password", "password1", "too common"),
        ("password", "first@example.org", "too similar"),
    ],
)
def test_a_mistake_is_told_beside_its_field(client: Client, field: str, value: str, said: str) -> None:
    response = client.post("/setup", FORM | {field: value})
    assert response.status_code == 422
    assert said in response.content.decode()
    assert list(response.context["form"].errors) == [field]
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not User.objects.exists()


def test_setup_needs_its_csrf_token(db: None) -> None:
    assert Client(enforce_csrf_checks=True).post("/setup", FORM).status_code == 403
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["first-{}@example.org", "same@example.org"])
def test_fifty_at_once_make_exactly_one(crowd, address: str) -> None:
    def set_up(number: int) -> str:
        response = Client().post("/setup", FORM | {"email": address.format(number)})
        assert response.status_code == 302
        return response.headers["Location"]

    places = crowd(50, set_up)
    assert sorted(places) == ["/"] + ["/login"] * 49
    assert User.objects.get().role == "admin"


def test_the_database_itself_takes_only_one_founder(db: None) -> None:
    User.objects.create_first("first@example.org", PASSWORD)
    second = User(email="second@example.org", display_name="x", is_founder=True)
    with pytest.raises(AlreadySetUp):
        User.objects.enrol(second)
