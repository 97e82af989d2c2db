"""What operators do through the page: each is asked about, done in the database, audited, and undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from channel_status import records
from controller.operators import read_word

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any]) -> Any:
    """A living site with users."""
    return make_bench(users=True)


def leases(bench: Any) -> set[str]:
    """Leases of the database, by id."""
    return {lease.lease_id for lease in bench.database.leases(bench.site.name, time.time())}


def audit(bench: Any) -> list[dict[str, Any]]:
    """The audit as it is kept, oldest first."""
    return [records.decode(entry.value) for entry in bench.database.read(bench.site.name, "audit")]


def choose(seen: Any, key: str) -> None:
    """The row of a subchannel."""
    seen.page.locator(f".map-row[data-key='{key}']").click()


def confirm(seen: Any, name: str) -> None:
    """The dialog's button."""
    seen.page.get_by_role("dialog").get_by_role("button", name=name).click()
    seen.page.get_by_role("dialog").wait_for(state="detached")


def test_a_wrong_password_is_refused(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.sign_in(password="wrong and long enough")
    problem = seen.page.get_by_role("dialog").get_by_role("alert")
    problem.wait_for()
    assert problem.inner_text()
    assert seen.page.evaluate("fetch('/api/session').then(a => a.json())")["user"] is None
    seen.page.keyboard.press("Escape")
    seen.page.get_by_role("dialog").wait_for(state="detached")
    assert seen.page.evaluate("document.activeElement.id") == "account"
    seen.allowed = ("401",)


def test_who_may_not_look_is_asked_to_sign_in_again_and_again(
    make_bench: Callable[..., Any], look: Callable[..., Any]
) -> None:
    private = make_bench(users=True, private=True)
    seen = look(private)
    for _ in range(2):
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("bob")
        dialog.get_by_label("Password or token").fill(PASSWORD)
        dialog.get_by_role("button", name="Sign in").click()
        seen.connected()
        # A console that was started again knows no session any more.
        private.stop_console()
        private.start_console()
    seen.page.get_by_text("Sign in to see this site.").wait_for()
    seen.allowed = ("401", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "EventSource")


def test_a_viewer_may_not_act(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.sign_in("bob")
    seen.page.get_by_role("button", name="bob (viewer)").wait_for()
    seen.page.get_by_role("button", name="Ban…").click()
    seen.page.get_by_text("bob may read; only operators may change things.").wait_for()
    assert audit(bench) == []


def test_a_lease_is_evicted_and_given_back(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    lease = bench.lease()
    choose(seen, records.subchannel_key(lease.subchannel))
    entry = seen.page.locator(f"[data-lease='{lease.lease_id}']")
    entry.get_by_text("Why here?").click()
    entry.get_by_text("by policy algorithm1").wait_for()
    entry.get_by_role("button", name="Evict").click()
    # Nobody is signed in: the page asks, and then goes on with what was wanted.
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("alice")
    dialog.get_by_label("Password or token").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()
    seen.page.get_by_role("heading", name=f"Evict {lease.device}?").wait_for()
    assert lease.lease_id in leases(bench)
    confirm(seen, "Evict it")
    entry.wait_for(state="detached")
    assert lease.lease_id not in leases(bench)
    assert [(one["action"], one["by"], one["subject"]) for one in audit(bench)] == [("evict", "alice", lease.lease_id)]
    seen.page.get_by_role("button", name="Undo", exact=True).click()
    entry.wait_for()
    assert lease.lease_id in leases(bench)
    assert audit(bench)[-1]["undo_of"] == audit(bench)[0]["id"]


def test_a_ban_stands_until_it_is_undone_from_the_audit(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.sign_in()
    cell = bench.site.spectrum.lora[2]
    key = records.subchannel_key(cell)
    choose(seen, key)
    seen.page.get_by_role("button", name="Ban…").click()
    confirm(seen, "Ban it")
    seen.page.locator(f".map-row[data-key='{key}'][data-state='banned']").wait_for()
    assert read_word(bench.database, bench.site.name).banned == (key,)
    seen.page.get_by_role("link", name="Events").click()
    line = seen.page.locator(".audit > li").filter(has_text="banned").first
    line.get_by_role("button", name="Undo").click()
    confirm(seen, "Undo it")
    line.get_by_text("undone since").wait_for()
    assert read_word(bench.database, bench.site.name).banned == ()


def test_the_policy_is_changed_with_its_n(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.sign_in()
    seen.page.get_by_role("button", name="Change…").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Policy", exact=True).select_option("round-robin")
    dialog.get_by_label("Attempts (N)").fill("no number")
    dialog.get_by_role("button", name="Change it").click()
    assert dialog.is_visible(), "the browser refuses what is no number"
    dialog.get_by_label("Attempts (N)").fill("7")
    confirm(seen, "Change it")
    seen.page.locator(".tile").filter(has_text="Policy").get_by_text("round-robin").wait_for()
    word = read_word(bench.database, bench.site.name)
    assert (word.policy, word.attempts) == ("round-robin", 7)


def test_nothing_is_done_when_the_question_is_closed(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.sign_in()
    before = audit(bench)
    for button in ("Ban…", "Pin…", "Change…"):
        seen.page.get_by_role("button", name=button).click()
        seen.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        seen.page.get_by_role("dialog").wait_for(state="detached")
    assert audit(bench) == before
