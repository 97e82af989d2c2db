"""Who gets in, for how long, and who does not."""

from __future__ import annotations

import logging
import sys

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from console.service import hosts_of
from console.sessions import BURST, MOST_SESSIONS, MOST_TRACKED, REFILL_S, Sessions, Tries, is_csrf
from console.web_door import console_app
from controller.passwords import hash_password, is_password
from controller.peers import Peer
from controller.security_command import token
from controller.users import add_user, peer_with, read_users, set_password
from spectrum.errors import BadInput

PASSWORD = "correct horse battery"
BAN = {"action": "ban", "subchannel": "868300000/125000"}


@pytest.fixture
def bench(make_bench):
    """A console over a database in memory: the door of the database does not matter here."""
    return make_bench()


def test_a_login_by_password_reads_and_acts(bench) -> None:
    assert bench.client.get("/api/state").status_code == 401
    answer = bench.log_in()
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 200
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    view = answer.json()
    assert (view["user"], view["role"], view["may_read"], view["may_act"]) == ("alice", "operator", True, True)
    assert bench.client.get("/api/session").json()["csrf"] == view["csrf"]
    assert bench.client.get("/api/state").status_code == 200
    assert bench.client.post("/api/actions", json=BAN, headers={"X-Airshed-CSRF": view["csrf"]}).status_code == 200


def test_a_token_logs_in_too_and_needs_no_session_for_scripts(bench) -> None:
    kept = bench.operator["Authorization"].removeprefix("Bearer ")
    view = bench.client.post("/api/session", json={"token": kept}).json()
    assert (view["user"], view["may_act"]) == ("alice", True)
    bench.client.cookies.clear()
    assert bench.act(**BAN).status_code == 200


@pytest.mark.parametrize(
    "body",
    [{"user": "alice", "password": "wrong wrong"}, {"user": "nobody", "password": PASSWORD}, {"token": "x" * 43},
     {"user": "alice"}, {}],
)  # fmt: skip
def test_a_wrong_login_is_refused_in_the_same_words(bench, body: dict[str, str]) -> None:
    answer = bench.client.post("/api/session", json=body)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "nobody has that name and password, or that token"}
    assert "set-cookie" not in answer.headers
    assert bench.client.get("/api/state").status_code == 401


@pytest.mark.parametrize("body", [{"user": 5}, {"colour": "red"}, {"user": "a" * 65}, [], "x"])
def test_a_strange_login_is_a_bad_question(bench, body: object) -> None:
    answer = bench.client.post("/api/session", json=body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_too_many_tries_have_to_wait(bench) -> None:
    tries = [bench.log_in("nobody", "wrong wrong").status_code for _ in range(BURST + 1)]
    assert tries == [401] * BURST + [429]
    answer = bench.log_in()
    assert (answer.status_code, 0 < int(answer.headers["retry-after"]) <= REFILL_S) == (429, True)
    bench.tick += REFILL_S
    assert bench.log_in().status_code == 200


def test_a_viewer_looks_and_does_not_act(bench) -> None:
    view = bench.log_in("bob").json()
    assert (view["role"], view["may_act"]) == ("viewer", False)
    assert bench.client.get("/api/state").status_code == 200
    answer = bench.client.post("/api/actions", json=BAN, headers={"X-Airshed-CSRF": view["csrf"]})
    assert (answer.status_code, "bob" in answer.json()["detail"]) == (403, True)
    assert bench.client.post("/api/audit/x/undo", headers={"X-Airshed-CSRF": view["csrf"]}).status_code == 403
    assert bench.client.post("/api/actions", json=BAN, headers=bench.viewer).status_code == 403
    assert bench.get("/api/audit")["entries"] == []


@pytest.mark.parametrize("word", [None, "", "wrong", "ä"])
def test_a_cookie_alone_changes_nothing(bench, word: str | None) -> None:
    bench.log_in()
    headers = {} if word is None else {"X-Airshed-CSRF": word.encode()}
    assert bench.client.post("/api/actions", json=BAN, headers=headers).status_code == 403
    assert bench.client.delete("/api/session", headers=headers).status_code == 403
    assert bench.get("/api/audit")["entries"] == []


def test_another_sites_page_cannot_log_anybody_in(bench) -> None:
    body = {"user": "alice", "password": PASSWORD}
    answer = bench.client.post("/api/session", json=body, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_nobody_and_strange_tokens_change_nothing(bench) -> None:
    assert bench.client.post("/api/actions", json=BAN).status_code == 401
    assert bench.client.post("/api/actions", json=BAN, headers={"Authorization": "Bearer x"}).status_code == 401
    assert bench.client.get("/api/state", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_session_ends_unused_and_in_any_case(make_bench) -> None:
    bench = make_bench(idle_s=100.0, session_s=250.0)
    bench.log_in()
    for _ in range(2):
        bench.tick += 90.0
        assert bench.client.get("/api/state").status_code == 200
    bench.tick += 90.0
    assert bench.client.get("/api/state").status_code == 401, "used, but too old"
    bench.log_in()
    bench.tick += 101.0
    assert bench.client.get("/api/session").json()["user"] is None, "unused for too long"


def test_logging_out_ends_the_session_on_the_server(bench) -> None:
    view = bench.log_in().json()
    cookie = bench.client.cookies["airshed_session"]
    assert bench.client.delete("/api/session", headers={"X-Airshed-CSRF": view["csrf"]}).json()["user"] is None
    bench.client.cookies.clear()
    assert bench.client.get("/api/state", headers={"Cookie": f"airshed_session={cookie}"}).status_code == 401


def test_whoever_is_taken_out_of_the_file_is_out_at_once(bench) -> None:
    view = bench.log_in().json()
    assert bench.client.get("/api/state").status_code == 200
    add_user(bench.users, "alice", "viewer")
    answer = bench.client.post("/api/actions", json=BAN, headers={"X-Airshed-CSRF": view["csrf"]})
    assert answer.status_code == 403, "a viewer by now"
    bench.users.write_text("")
    assert bench.client.get("/api/state").status_code == 401


def test_without_users_everybody_looks_and_nobody_acts(make_bench) -> None:
    bench = make_bench(users=None)
    view = bench.client.get("/api/session").json()
    assert (view["login"], view["may_read"], view["may_act"]) == ("unavailable", True, False)
    assert bench.client.get("/api/state").status_code == 200
    assert bench.client.post("/api/actions", json=BAN).status_code == 401
    assert "airshed token" in bench.log_in().json()["detail"]


def test_reading_may_be_anyones(make_bench) -> None:
    bench = make_bench(reading="anyone")
    assert bench.client.get("/api/state").status_code == 200
    assert bench.client.post("/api/actions", json=BAN).status_code == 401


def test_nothing_secret_is_kept_or_logged(bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.log_in("alice", "wrong wrong")
    csrf = bench.log_in().json()["csrf"]
    bench.act(**BAN)
    cookie = bench.client.cookies["airshed_session"]
    secrets = [PASSWORD, csrf, cookie, bench.operator["Authorization"].removeprefix("Bearer "), "wrong wrong"]
    kept = (
        caplog.text + bench.users.read_text() + bench.client.get("/metrics").text + bench.client.get("/api/audit").text
    )
    assert not [secret for secret in secrets if secret in kept]
    assert (bench.users.stat().st_mode & 0o077) == 0


def test_passwords_are_salted_and_slow_hashes(password_hash: str) -> None:
    assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hash_password(PASSWORD) != password_hash
    assert is_password(PASSWORD, password_hash)
    assert not is_password(PASSWORD + " ", password_hash)
    assert not is_password(PASSWORD, None)


def test_token_command_sets_passwords_beside_tokens(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = tmp_path / "users.toml"
    runner = CliRunner()
    kept = runner.invoke(token, ["alice", "--users", str(users)]).output.strip()
    answer = runner.invoke(
        token, ["alice", "--role", "operator", "--users", str(users), "--password"], input=f"{PASSWORD}\n"
    )
    assert answer.exit_code == 0, answer.output
    assert PASSWORD not in answer.output
    (user,) = read_users(users)
    assert user.role == "operator"
    assert is_password(PASSWORD, user.password)
    assert peer_with(kept, (user,)) == Peer("operator", "alice")
    short = runner.invoke(token, ["bob", "--users", str(users), "--password"], input="short\n")
    assert isinstance(short.exception, BadInput)
    assert len(read_users(users)) == 1


def test_a_strange_file_of_users_is_said(tmp_path) -> None:
    users = tmp_path / "users.toml"
    users.write_text('[[user]]\nname = "a"\nrole = "king"\n')
    with pytest.raises(BadInput, match=r"airshed token"):
        read_users(users)
    with pytest.raises(BadInput, match="quotes"):
        set_password(tmp_path / "other.toml", 'a"b', "viewer", "$argon2id$x")


def test_sessions_and_tries_are_bounded() -> None:
    numbers = iter(range(10**9))
    sessions = Sessions(10.0, 20.0, lambda: f"secret-{next(numbers)}")
    first, _ = sessions.open(Peer("viewer", "a"), 0.0)
    for _ in range(MOST_SESSIONS):
        last, session = sessions.open(Peer("viewer", "a"), 0.0)
    assert len(sessions) == MOST_SESSIONS
    assert sessions.of(first, 1.0) is None
    assert sessions.of(last, 1.0) is session
    assert sessions.of("", 1.0) is None
    assert not is_csrf(session, None)
    tries = Tries()
    for number in range(MOST_TRACKED + 10):
        assert tries.wait_s((f"address {number}",), 0.0) == 0.0
    assert sys.getsizeof(tries._left) < 10e6
    assert len(tries._left) == MOST_TRACKED


def test_hosts_that_are_served() -> None:
    assert "*" not in hosts_of("127.0.0.1:8869")
    assert hosts_of("0.0.0.0:8869") == ["*"]


def test_over_tls_cookies_are_secure_and_browsers_stay_there(bench) -> None:
    app = console_app(bench.desk, bench.hub, bench.login, tls=True, hosts=["*"])
    with TestClient(app, base_url="https://console.example") as client:
        answer = client.post("/api/session", json={"user": "alice", "password": PASSWORD})
        assert answer.status_code == 200
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
        assert client.get("/api/state").status_code == 200
