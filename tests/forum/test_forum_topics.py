"""Topics: built and parsed alike, and each participant kept to its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from forum.errors import TopicError
from forum.topics import (
    Topic,
    Topics,
    agent_name,
    is_observer,
    is_person,
    matching_filters,
    participant_name,
    person_name,
)

TOPICS = Topics("r1")
BUILT = {
    "rc/r1/submit/ada": Topic("submit", "ada"),
    "rc/r1/feed/ada": Topic("feed", "ada"),
    "rc/r1/inbox/ada": Topic("inbox", "ada"),
    "rc/r1/presence/ada": Topic("presence", "ada"),
    "rc/r1/lab/ada/request": Topic("lab_request", "ada"),
    "rc/r1/lab/ada/reply": Topic("lab_reply", "ada"),
    "rc/r1/notice": Topic("notice", ""),
    "rc/r1/event/post/p1": Topic("event", "post/p1"),
}
STRANGE = [
    "",
    "#",
    "rc/#",
    "rc/r1",
    "rc/r1/",
    "rc/r1/#",
    "rc/r1/feed",
    "rc/r1/feed/",
    "rc/r1/feed/+",
    "rc/r1/feed/Ada",
    "rc/r1/feed/ada/x",
    "rc/r1/submit/clerk",
    "rc/r1/event",
    "rc/r1/event/#",
    "rc/r1/event//x",
    "rc/r1/notice/x",
    "rc/r1/lab/ada",
    "rc/r1/lab/ada/other",
    "rc/r1/lab/clerk/request",
    "rc/r1/lab/observer.x/request",
    "rc/r1/submit/observer",
    "rc/r1/submit/~",
    "rc/r1/submit/~~ada",
    "rc/r1/submit/ada~",
    "rc/r2/feed/ada",
    "xrc/r1/feed/ada",
    "rc/r1/feed/ada\n",
    "$SYS/broker",
]


def test_built_topics_parse_back() -> None:
    """Every builder's topic is taken apart into its kind and owner."""
    built = [
        TOPICS.submit("ada"),
        TOPICS.feed("ada"),
        TOPICS.inbox("ada"),
        TOPICS.presence("ada"),
        TOPICS.lab_request("ada"),
        TOPICS.lab_reply("ada"),
        TOPICS.notice(),
        TOPICS.event("post/p1"),
    ]
    assert built == list(BUILT)
    assert [TOPICS.parse(topic) for topic in built] == list(BUILT.values())


@pytest.mark.parametrize("topic", STRANGE)
def test_strange_topics_are_nobodys(topic: str) -> None:
    """Wildcards, other runs and malformed topics do not parse and nobody may publish there."""
    with pytest.raises(TopicError):
        TOPICS.parse(topic)
    for user in ("ada", "clerk", "observer", "lab", ""):
        assert not TOPICS.may_publish(user, topic)


def test_an_agent_writes_its_own_three_topics_only() -> None:
    """An agent publishes drafts, presence and lab requests under its own name."""
    mine = {topic for topic in BUILT if TOPICS.may_publish("ada", topic)}
    assert mine == {"rc/r1/submit/ada", "rc/r1/presence/ada", "rc/r1/lab/ada/request"}
    assert not any(TOPICS.may_publish("bob", topic) for topic in BUILT)
    assert not any(TOPICS.may_publish("ad", topic) for topic in BUILT)


def test_the_clerk_writes_what_agents_read_and_no_drafts() -> None:
    """The clerk cannot post in an author's name."""
    written = {topic for topic in BUILT if TOPICS.may_publish("clerk", topic)}
    assert written == set(BUILT) - {
        "rc/r1/submit/ada",
        "rc/r1/presence/ada",
        "rc/r1/lab/ada/request",
    }


def test_observers_write_requests_of_their_own_only() -> None:
    """Observers watch and ask; each of their logins under its own name."""
    for user in ("observer", "observer.2"):
        assert not any(TOPICS.may_publish(user, topic) for topic in BUILT)
        assert TOPICS.may_publish(user, TOPICS.lab_request(user))
        assert TOPICS.may_subscribe(user, TOPICS.lab_reply(user))
        assert not TOPICS.may_publish(user, TOPICS.lab_reply(user))
    assert not TOPICS.may_publish("observer", TOPICS.lab_request("observer.2"))
    assert not TOPICS.may_subscribe("observer.2", TOPICS.lab_reply("observer"))
    assert TOPICS.may_publish("clerk", TOPICS.lab_reply("observer.2"))
    for name in ("observer.0", "observer.", "observer.x", "observer.100", "observer-2"):
        assert not is_observer(name)


def test_a_person_has_an_agents_topics_under_a_name_no_agent_can_bear() -> None:
    """~ada and ada have the same rights, each over its own; neither passes for the other."""
    anna = person_name("Anna B.")
    assert anna == "~anna-b"
    for topics in (TOPICS.writable, TOPICS.readable):
        assert topics(anna) == tuple(topic.replace("/ada", f"/{anna}") for topic in topics("ada"))
    for topic in TOPICS.writable(anna):
        assert TOPICS.parse(topic).owner == anna
        assert TOPICS.may_publish(anna, topic)
        assert not TOPICS.may_publish("anna-b", topic)
    assert TOPICS.may_publish("clerk", TOPICS.feed(anna))
    assert participant_name(anna) == anna
    assert is_person(anna)
    assert not is_person("anna-b")
    with pytest.raises(TopicError, match="agent name"):
        agent_name(anna)


@pytest.mark.parametrize(
    ("known_as", "name"),
    [
        ("root", "~root"),
        ("Ä Ö", "~somebody"),
        ("", "~somebody"),
        ("~x/#+", "~x"),
        ("a" * 40, "~" + "a" * 32),
    ],
)
def test_any_login_becomes_a_persons_name(known_as: str, name: str) -> None:
    """Whatever a system calls its users, the name is one level of a topic."""
    assert person_name(known_as) == name
    assert participant_name(name) == name


def test_the_rights_as_filters_say_the_same_as_the_questions() -> None:
    """A filter somebody may write to or read is granted whole."""
    for user in ("ada", "~ada", "clerk", "observer", "observer.2"):
        assert TOPICS.writable(user)
        for allowed in TOPICS.readable(user):
            assert TOPICS.may_subscribe(user, allowed)
        for allowed in TOPICS.writable(user):
            topic = allowed.replace("+", "ada").replace("#", "post")
            assert TOPICS.may_publish(user, topic)
    assert TOPICS.writable("lab") == TOPICS.readable("lab") == ()


def test_an_agent_reads_its_own_four_topics_only() -> None:
    """An agent's feed, inbox and lab replies, and notices; no filter that covers more."""
    mine = {topic for topic in BUILT if TOPICS.may_subscribe("ada", topic)}
    assert mine == {"rc/r1/feed/ada", "rc/r1/inbox/ada", "rc/r1/notice", "rc/r1/lab/ada/reply"}
    assert {t for t in BUILT if TOPICS.may_subscribe("bob", t)} == {"rc/r1/notice"}
    for wide in ("#", "+/#", "rc/#", "rc/r1/#", "rc/+/feed/ada", "rc/r1/feed/+", "rc/r1/feed/#"):
        assert not TOPICS.may_subscribe("ada", wide)
    for wide in ("rc/r1/+/ada", "rc/r1/feed/ada/#", "rc/r1/notice/#", "$share/g/rc/r1/feed/ada"):
        assert not TOPICS.may_subscribe("ada", wide)


def test_the_clerk_reads_submissions_and_requests() -> None:
    """The clerk's filters, and nothing wider."""
    for allowed in ("rc/r1/submit/+", "rc/r1/submit/ada", "rc/r1/lab/+/request"):
        assert TOPICS.may_subscribe("clerk", allowed)
    for wide in ("#", "rc/r1/#", "rc/r1/+/+", "rc/r1/submit/#", "rc/r1/feed/ada", "rc/r2/submit/+"):
        assert not TOPICS.may_subscribe("clerk", wide)


def test_observers_read_events_only() -> None:
    """The whole of event/, and nothing beside it."""
    for allowed in (
        "rc/r1/event/#",
        "rc/r1/event/post/p1",
        "rc/r1/event/+/x",
        "rc/r1/event/post/#",
    ):
        assert TOPICS.may_subscribe("observer", allowed)
    for other in ("#", "rc/r1/#", "rc/r1/+/post", "rc/r1/event", "rc/r1/feed/ada", "rc/r2/event/#"):
        assert not TOPICS.may_subscribe("observer", other)


def test_unknown_and_reserved_users_have_no_rights() -> None:
    """A name that is no agent's reads and writes nothing."""
    for user in ("", "lab", "Ada", "+", "#", "ada/x"):
        assert not any(TOPICS.may_publish(user, topic) for topic in BUILT)
        assert not any(TOPICS.may_subscribe(user, topic) for topic in BUILT)


@pytest.mark.parametrize("name", ["clerk", "observer", "lab", "", "A", "a b", "a/b", "a" * 33, "+"])
def test_bad_agent_names_are_refused(name: str) -> None:
    """Names that are reserved or could steer a topic are refused with the rule."""
    with pytest.raises(TopicError, match="agent name"):
        agent_name(name)


@pytest.mark.parametrize("run_id", ["", "a/b", "+", "#", ".x", "a" * 65, "a\n"])
def test_bad_run_ids_are_refused(run_id: str) -> None:
    """A run id is one level of a topic."""
    with pytest.raises(TopicError, match="run id"):
        Topics(run_id)


@given(
    st.lists(st.sampled_from(["rc", "r1", "feed", "ada", "bob"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["rc", "r1", "feed", "ada", "bob", "+"]), min_size=1, max_size=5),
    st.booleans(),
)
def test_filters_of_a_topic_are_those_that_match_it(
    levels: list[str], wanted: list[str], is_open: bool
) -> None:
    """Looking filters up finds what paho's matching says, and nothing else."""
    topic, topic_filter = "/".join(levels), "/".join([*wanted, *["#"] * is_open])
    matches = topic_matches_sub(topic_filter, topic)
    assert (topic_filter in matching_filters(topic)) == matches
    assert len(set(matching_filters(topic))) == len(matching_filters(topic))
