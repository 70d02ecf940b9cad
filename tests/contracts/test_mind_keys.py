"""No word of a key: whatever form a server sends it back in, and by whatever part of an answer."""

from __future__ import annotations

import json
import logging
import traceback

import pytest
from canary import CANARY, FORMS, everything_in, leaks
from mind_stage import stage
from model_servers import FLAVOURS, Cut, Say, Status, StreamError

from agents.errors import MindError
from agents.minds.scrubbing import scrubbed, scrubbed_call

KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_COMPATIBLE_API_KEY")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_the_key_is_taken_out_of_any_text(form: str) -> None:
    """In the middle, twice, and at the end; the rest of the text stays."""
    text = f"a {FORMS[form]} b {FORMS[form]}"
    assert leaks(text)
    assert not leaks(scrubbed(text, CANARY))
    assert scrubbed(text, CANARY).startswith("a ")
    assert scrubbed("nothing of it", CANARY) == "nothing of it"


def test_a_key_in_escaped_letters_of_json_is_taken_out_too() -> None:
    """As the reader of the JSON would see it; broken JSON as well."""
    spelt = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
    for text in (f'{{"text": "{spelt}"}}', f'{{"text": "{spelt}', f'{{"text": "{CANARY}"}}'):
        call = scrubbed_call(f"id {CANARY}", f"name {CANARY}", text, CANARY)
        assert not leaks(call.call_id + call.name + call.arguments)
        try:
            assert not leaks(json.loads(call.arguments)["text"])
        except ValueError:
            assert text.endswith(spelt)
    fine = '{"text": "\\u00e9 \\n x"}'
    assert json.loads(scrubbed_call("1", "n", fine, CANARY).arguments) == json.loads(fine)


def behaviours(form: str):
    """Return answers that hold a form of the key in each place that is read."""
    note = ("notebook", {"text": f"It is {form}."})
    return [
        Status(401, f"Incorrect API key provided: {form}."),
        Status(400, f"bad {form}"),
        StreamError("overloaded_error", f"busy, {form}"),
        StreamError("invalid_request", f"no, {form}"),
        Cut(Say(calls=(note,), text=form)),
        Say(text=f"My key is {form}"),
        Say(text=form, ending="refused"),
        Say(calls=(note, (f"tool {form}", {}), ("notebook", f'{{"text": "{form}", "x": 1}}'))),
        Say(calls=(("notebook", json.dumps({"text": form}).replace("s", "\\u0073")),)),
        Say(calls=(("wait", f"not JSON {form}"),)),
    ]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("form", ["plain", "base64-within"])
async def test_nothing_is_kept_of_a_key_that_a_server_sends_back(
    flavour, form, monkeypatch, caplog
):
    """Not in actions, rows, logs, reasons, or the traceback of what was raised."""
    caplog.set_level(logging.INFO)
    for behaviour in behaviours(FORMS[form]):
        async with stage(flavour, lambda *_: behaviour, monkeypatch) as on:  # noqa: B023
            for key in KEYS:
                monkeypatch.setenv(key, CANARY)
            kept: list[object] = []
            try:
                kept += await on.decide()
            except MindError as error:
                kept += traceback.format_exception(error)
            assert on.served.requests
            sent = on.served.headers[0]
            assert CANARY in sent.get("x-api-key", "") + sent.get("authorization", "")
            kept += [on.ledger.entries, on.ledger.answers, on.ledger.told]
            for text in (*map(repr, kept), *map(str, kept), caplog.text):
                assert not leaks(text), behaviour


def test_the_search_finds_what_is_packed(tmp_path) -> None:
    """The search itself: in a commit's message, in a row, in a file."""
    import sqlite3

    import pygit2

    repository = pygit2.init_repository(str(tmp_path / "repo.git"), bare=True)
    tree = repository.TreeBuilder().write()
    who = pygit2.Signature("a", "a@b")
    repository.create_commit("refs/heads/x", who, who, f"m {CANARY}", tree, [])
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("create table events (body text)")
        database.execute("insert into events values (?)", (FORMS["url"],))
    database.close()
    (tmp_path / "log").write_text(FORMS["hex"])
    found = {where for where, data in everything_in(tmp_path) if leaks(data)}
    assert any("object" in where for where in found)
    assert any("events" in where for where in found)
    assert "log" in found
