"""Python websockets against the echo bot's standard channel: standard_websockets.py <echo binary>."""

import asyncio
import base64
import contextlib
import hashlib
import os
import signal
import sys
import traceback
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidStatus

from standard_peer import BEARER, PROTOCOL, TOKEN, Echo, Peer, entry

BINARY = sys.argv[1]
ORIGIN = "https://app.example"
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def seq(cursor):
    return int(cursor.rsplit(".", 1)[1])


@check
async def opens_with_a_bearer_header(world):
    async with world.plain.connect() as connection:
        assert connection.subprotocol is None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
    async with world.plain.connect(protocols=[PROTOCOL]) as connection:
        assert connection.subprotocol == PROTOCOL


@check
async def opens_with_a_subprotocol_token_and_does_not_echo_it(world):
    async with world.plain.connect(headers={}, protocols=[PROTOCOL, entry(TOKEN)]) as connection:
        headers = connection.response.headers
        assert headers.get_all("Sec-WebSocket-Protocol") == [PROTOCOL]
        assert "bearer" not in str(headers)


@check
async def a_wrong_or_missing_token_is_401(world):
    for how in (
        {"headers": {"Authorization": "Bearer wrong"}},
        {"headers": {"Authorization": f"Basic {TOKEN}"}},
        {"headers": {}, "protocols": [PROTOCOL, entry("wrong")]},
        {"headers": {}, "protocols": [PROTOCOL]},
        {"headers": {}},
    ):
        headers = await world.plain.refused(401, **how)
        assert headers["WWW-Authenticate"].split()[0] == "Bearer"


@check
async def two_credentials_have_to_agree(world):
    await world.plain.refused(401, protocols=[PROTOCOL, entry("wrong")])
    await world.plain.refused(401, headers={}, protocols=[PROTOCOL, entry(TOKEN), entry("wrong")])
    await world.listed.refused(401, query="?token=wrong")
    async with world.plain.connect(protocols=[PROTOCOL, entry(TOKEN)]):
        pass


@check
async def a_token_in_the_query_counts_only_when_allowed(world):
    query = f"?token={quote(TOKEN, safe='')}"
    await world.plain.refused(401, headers={}, query=query)
    async with world.plain.connect(query="?token=ignored"):
        pass
    async with world.listed.connect(headers={}, query=query):
        pass
    await world.listed.refused(401, headers={}, query="?token=wrong")


@check
async def a_wrong_origin_is_403_and_an_absent_one_passes(world):
    for origin in ("https://evil.example", "http://app.example", "https://app.example:8443", "null"):
        await world.listed.refused(403, origin=origin)
    # The origin is looked at before the token.
    await world.listed.refused(403, origin="https://evil.example", headers={})
    for origin in (None, ORIGIN, "HTTPS://APP.example:443"):
        async with world.listed.connect(origin=origin):
            pass
    async with world.plain.connect(origin="https://any.example"):
        pass


@check
async def what_is_no_upgrade_is_426(world):
    for headers in (BEARER, {}, {"Origin": "https://evil.example"}):
        answer = await world.listed.http("GET", "/standard/ws", headers=headers)
        assert answer.status_code == 426, answer.status_code
    # RFC 9110, 15.5.22: the answer says what to upgrade to.
    assert answer.headers["Upgrade"].lower() == "websocket"
    assert (await world.plain.http("POST", "/standard/ws", headers=BEARER)).status_code == 405
    assert (await world.plain.http("GET", "/standard/other", headers=BEARER)).status_code == 404


@check
async def info_tells_what_an_upgrade_would(world):
    answer = await world.plain.http("GET", "/standard/info", headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"protocol": PROTOCOL, "ok": True})
    answer = await world.plain.http("GET", "/standard/info")
    assert answer.status_code == 401 and isinstance(answer.json(), dict)
    assert answer.headers["WWW-Authenticate"].split()[0] == "Bearer"
    answer = await world.listed.http("GET", "/standard/info", headers={**BEARER, "Origin": "https://evil.example"})
    assert answer.status_code == 403 and isinstance(answer.json(), dict)
    assert "Access-Control-Allow-Origin" not in answer.headers


@check
async def hello_is_welcomed(world):
    async with world.plain.peer(world.name) as peer:
        welcome = peer.welcome
        assert (welcome["id"], welcome["client_id"], welcome["verified"]) == ("h-1", world.name, False)
        assert (welcome["heartbeat"], welcome["max_frame_bytes"]) == (30, 1048576)
        assert welcome["session"] and welcome["bot"]["id"] and welcome["server"].startswith("channel-kit/")
        await peer.put(type="hello", id="h-2", client_id=world.name)
        await peer.error("already_open", of="h-2")
        await peer.stays()


@check
async def a_missing_hello_closes_with_4400(world):
    async with world.plain.connect() as connection:
        peer = Peer(connection)
        await peer.say("too early")
        assert (await peer.frame(type="error", code="hello_required"))["fatal"] is True
        assert await peer.closed() == 4400


@check
async def another_version_closes_with_4400(world):
    async with world.plain.connect() as connection:
        peer = Peer(connection)
        await peer.put(v=2, type="hello", id="h-1", client_id=world.name)
        assert (await peer.frame(type="error", code="unsupported_version"))["supported"] == [1]
        assert await peer.closed() == 4400


@check
async def a_message_is_acknowledged_and_answered(world):
    async with world.plain.peer(world.name) as peer:
        id = await peer.say("hello", thread="t1")
        ack = await peer.frame(type="ack", of=id)
        assert (ack["conversation"], ack["duplicate"]) == ("default", False)
        answer = await peer.frame(type="message", in_reply_to=id)
        assert answer["text"] == "echo: hello" and answer["from"]["kind"] == "bot"
        assert answer["final"] is True and answer["thread"] == "t1"
        after = await peer.ask("again")
        assert after["seq"] > answer["seq"] and after["id"] != answer["id"]


@check
async def a_duplicate_is_answered_once(world):
    async with world.plain.peer(world.name) as peer:
        once = {"type": "message", "id": "m-once", "conversation": "default", "text": "once"}
        await peer.put(**once)
        assert (await peer.frame(type="ack", of="m-once"))["duplicate"] is False
        await peer.put(**once)
        assert (await peer.frame(type="ack", of="m-once"))["duplicate"] is True
    async with world.plain.peer(world.name, resume={"default": peer.welcome["resume"]["default"]["cursor"]}) as peer:
        await peer.put(**once)
        assert (await peer.frame(type="ack", of="m-once"))["duplicate"] is True
        # A conversation is answered in order: what was to come before this answer has come.
        await peer.ask("last")
        await peer.frame(type="message", text="echo: once")
        assert not [frame for frame in peer.backlog if frame.get("text") == "echo: once"]


@check
async def an_id_with_other_content_is_a_conflict(world):
    async with world.plain.peer(world.name) as peer:
        id = await peer.say("one")
        await peer.frame(type="message", in_reply_to=id)
        await peer.put(type="message", id=id, conversation="default", text="two")
        assert (await peer.error("id_conflict", of=id))["fatal"] is False
        assert (await peer.ask("three"))["text"] == "echo: three"
        assert not [frame for frame in peer.backlog if frame.get("text") == "echo: two"]


@check
async def a_stream_ends_with_all_words(world):
    async with world.plain.peer(world.name) as peer:
        words = " ".join(str(word) for word in range(1, 21))
        await peer.say("/stream 20")
        shown = []
        while not (shown and shown[-1]["final"]):
            frame = await peer.next()
            if frame["type"] in ("message", "edit"):
                shown.append(frame)
        assert shown[-1]["text"] == words and len(shown) > 2, shown
        assert len({frame["id"] for frame in shown}) == 1, "not one message"
        assert all(words.startswith(frame["text"]) for frame in shown), shown
        revs = [frame["rev"] for frame in shown if frame["type"] == "edit"]
        assert revs == sorted(set(revs)), revs


@check
async def a_pressed_button_is_answered(world):
    async with world.plain.peer(world.name) as peer:
        offer = await peer.ask("/buttons")
        buttons = {button["label"]: button for row in offer["buttons"] for button in row}
        assert list(buttons) == ["A", "B"], offer
        press = {"type": "action", "conversation": "default", "message": offer["id"]}
        await peer.put(**press, id="a-1", button=buttons["A"]["id"], value=buttons["A"]["value"])
        await peer.frame(type="ack", of="a-1")
        await peer.frame(type="message", text="pressed A")
        await peer.put(**press, id="a-2", button="no-such-button")
        await peer.error("unknown_button", of="a-2")
        await peer.put(**{**press, "message": "s-none"}, id="a-3", button=buttons["A"]["id"])
        await peer.error("unknown_message", of="a-3")
        await peer.stays()


@check
async def attachments_arrive_byte_by_byte(world):
    def file(name, content, **more):
        data = base64.b64encode(content).decode()
        return {"kind": "file", "name": name, "mime": "application/x", "size": len(content), "data": data, **more}

    async with world.plain.peer(world.name) as peer:
        small, large = bytes(range(256)) * 3 + b"!", os.urandom(256 * 1024)
        for name, content in (("a b.bin", small), ("ü.bin", large)):
            answer = await peer.ask("", attachments=[file(name, content)])
            assert answer["text"] == f"file {name} {len(content)} {hashlib.sha256(content).hexdigest()}"
        id = await peer.say("", attachments=[file("c.bin", large + b"!")])
        await peer.error("invalid_media", of=id)
        uploaded = (await world.plain.http("POST", "/standard/media", headers=BEARER, content=large + b"?")).json()
        assert uploaded["size"] == len(large) + 1
        reference = {"kind": "file", "name": "d.bin", "media_id": uploaded["media_id"]}
        answer = await peer.ask("", attachments=[reference])
        assert answer["text"].endswith(hashlib.sha256(large + b"?").hexdigest())
        assert (await world.plain.http("POST", "/standard/media", content=b"x")).status_code == 401


@check
async def a_file_of_the_bot_can_be_read(world):
    async with world.plain.peer(world.name) as peer:
        (file,) = (await peer.ask("/file"))["attachments"]
        assert (file["kind"], file["name"], file["size"]) == ("file", "hello.txt", 5)
        assert base64.b64decode(file["data"], validate=True) == b"hello"


@check
async def an_edit_is_seen(world):
    async with world.plain.peer(world.name) as peer:
        id = await peer.say("helo")
        await peer.frame(type="message", in_reply_to=id)
        await peer.frame(type="ack", of=id)
        edit = {"type": "edit", "rev": 2, "conversation": "default", "text": "hello", "final": True}
        await peer.put(**edit, id=id)
        await peer.frame(type="ack", of=id)
        await peer.frame(type="message", text="edited: hello")
        bots = await peer.ask("whose?")
        await peer.put(**edit, id=bots["id"])
        await peer.error("not_owner", of=bots["id"])


@check
async def resume_replays_what_was_missed(world):
    async with world.plain.peer(world.name) as peer:
        assert peer.welcome["resume"]["default"]["state"] == "new"
        cursor = (await peer.ask("before"))["cursor"]
    async with world.plain.peer(world.name) as other:
        assert other.welcome["resume"]["default"]["state"] == "new"
        await other.ask("one")
        last = (await other.ask("two"))["cursor"]
        await other.stays()
        assert not [frame for frame in other.backlog if frame.get("replay")], "replay without a cursor"
    async with world.plain.peer(world.name, resume={"default": cursor}) as peer:
        resumed = peer.welcome["resume"]["default"]
        assert (resumed["state"], resumed["cursor"]) == ("ok", last), resumed
        frames = [await peer.next() for _ in range(resumed["replaying"])]
        assert all(frame["replay"] is True for frame in frames), frames
        assert [frame["seq"] for frame in frames] == list(range(seq(cursor) + 1, seq(last) + 1)), frames
        assert [f["text"] for f in frames if f["from"]["kind"] == "bot"] == ["echo: one", "echo: two"]
        end = await peer.next()
        assert (end["type"], end["of"], end["cursor"]) == ("ack", "resume", last), end
        assert not (await peer.ask("live")).get("replay")
    # What has been read to the end replays nothing, and says so.
    async with world.plain.peer(world.name, resume={"default": last}) as peer:
        assert peer.welcome["resume"]["default"]["state"] == "ok"


@check
async def an_answer_waits_for_an_absent_client(world):
    async with world.plain.peer(world.name) as peer:
        cursor = (await peer.ask("before"))["cursor"]
        id = await peer.say("/sleep 1")
        await peer.frame(type="ack", of=id)
    await asyncio.sleep(1.5)
    async with world.plain.peer(world.name, resume={"default": cursor}) as peer:
        await peer.frame(type="message", text="slept 1")


@check
async def an_unknown_epoch_is_a_gap(world):
    async with world.plain.peer(world.name) as peer:
        last = (await peer.ask("before"))["cursor"]
    async with world.plain.peer(world.name, resume={"default": "c0.9"}) as peer:
        resumed = peer.welcome["resume"]["default"]
        assert (resumed["state"], resumed["cursor"]) == ("gap", last), resumed
        frames = [await peer.next() for _ in range(resumed["replaying"])]
        assert frames[0]["cursor"] == resumed["oldest"] and frames[-1]["cursor"] == last, frames
        assert all(frame["replay"] is True for frame in frames), frames
        assert (await peer.next())["of"] == "resume"


@check
async def another_device_sees_both_sides_and_another_client_nothing(world):
    async with (
        world.plain.peer(world.name) as first,
        world.plain.peer(world.name) as second,
        world.plain.peer(f"{world.name}-x") as stranger,
    ):
        id = await first.say("for us")
        mirrored = await second.frame(type="message", id=id)
        assert (mirrored["text"], mirrored["from"]["kind"]) == ("for us", "user")
        there = await second.frame(type="message", in_reply_to=id)
        assert there["cursor"] == (await first.frame(type="message", in_reply_to=id))["cursor"]
        await stranger.stays()
        assert not stranger.backlog, stranger.backlog


@check
async def typing_reactions_and_deletes_reach_the_other_device(world):
    async with world.plain.peer(world.name) as first, world.plain.peer(world.name) as second:
        await first.put(type="typing", conversation="default", state="start", ttl=5)
        assert (await second.frame(type="typing", state="start"))["from"]["id"] == world.name
        id = (await first.ask("hello"))["in_reply_to"]
        await first.put(type="reaction", id="r-1", target=id, emoji="👀", remove=False, conversation="default")
        await first.frame(type="ack", of="r-1")
        assert (await second.frame(type="reaction", target=id))["emoji"] == "👀"
        await first.put(type="delete", id=id, conversation="default")
        await first.frame(type="ack", of=id)
        await second.frame(type="delete", id=id)
        await first.stays()
        assert not [frame for frame in first.backlog if frame["type"] == "typing"], first.backlog


@check
async def a_binary_frame_closes_with_1003(world):
    async with world.plain.peer(world.name) as peer:
        await peer.connection.send(b'{"v":1,"type":"ping","id":"p"}')
        assert await peer.closed() == 1003


@check
async def an_oversize_frame_closes_with_1009(world):
    def ping(size):
        frame = '{"v":1,"type":"ping","id":"p-size","pad":"%s"}'
        return frame % ("x" * (size + 2 - len(frame)))

    async with world.plain.peer(world.name) as peer:
        assert len(ping(1 << 20)) == 1 << 20
        await peer.connection.send(ping(1 << 20))
        await peer.frame(type="pong", id="p-size")
        await peer.connection.send(ping((1 << 20) + 1))
        assert await peer.closed() == 1009
    async with world.plain.peer(world.name) as peer:
        with contextlib.suppress(ConnectionClosed):
            await peer.connection.send(["x" * 65536] * 17)
        assert await peer.closed() == 1009


@check
async def fragments_are_one_message(world):
    async with world.plain.peer(world.name) as peer:
        await peer.connection.send(['{"v":1,"type":"pi', "", 'ng","id":"p-1"', "}"])
        await peer.frame(type="pong", id="p-1")


@check
async def an_unknown_type_is_an_error_and_no_end(world):
    async with world.plain.peer(world.name) as peer:
        await peer.put(type="telepathy", id="x-1", conversation="default")
        assert (await peer.error("unknown_type", of="x-1"))["fatal"] is False
        assert (await peer.ask("still here"))["text"] == "echo: still here"


@check
async def the_third_bad_frame_closes_with_4400(world):
    async with world.plain.peer(world.name) as peer:
        for bad in ("not json", "[1]"):
            await peer.connection.send(bad)
            await peer.error("bad_frame")
        await peer.stays()
        await peer.connection.send('{"v":1,"type":"message","id":7,"text":[]}')
        assert await peer.closed() == 4400


@check
async def request_errors_leave_the_connection_open(world):
    async with world.plain.peer(world.name) as peer:
        await peer.error("empty_message", of=await peer.say(""))
        await peer.error("text_too_long", of=await peer.say("😀" * 32769))
        await peer.put(type="message", id="not an id", conversation="default", text="x")
        await peer.error("invalid_id")
        await peer.put(type="delete", id="m-none", conversation="default")
        await peer.error("unknown_message", of="m-none")
        assert (await peer.ask("😀" * 32000))["text"] == "echo: " + "😀" * 32000


@check
async def ping_is_answered(world):
    async with world.plain.peer(world.name) as peer:
        await peer.put(type="ping", id="p-1")
        await peer.frame(type="pong", id="p-1")
        async with asyncio.timeout(10):
            await (await peer.connection.ping())


@check
async def a_burst_is_slowed_and_a_flood_closed_with_4429(world):
    async with world.plain.peer(world.name) as peer:
        for number in range(70):
            await peer.put(type="ping", id=f"b-{number}")
        assert (await peer.frame(type="error", code="rate_limited"))["retry_after"] > 0
        await asyncio.sleep(2)
        await peer.stays()
        with contextlib.suppress(ConnectionClosed):
            for number in range(1000):
                await peer.put(type="ping", id=f"f-{number}")
        assert await peer.closed() == 4429


@check
async def text_comes_back_unchanged(world):
    async with world.plain.peer(world.name) as peer:
        for text in (
            "naïve café e\u0301 ß İ",
            "👩‍👩‍👧‍👦 🇺🇳 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "שלום \u202bעולם\u202c مرحبا",
            "漢字 ｶﾅ 한글 𠮷",
            "a\u2028b\u200bc\u00a0d\n\te \\ \" </script>",
            "**bold** _it_ `code` [l](https://e.x) <b>",
        ):
            assert (await peer.ask(text))["text"] == f"echo: {text}"


@check
async def the_101st_connection_is_503(world):
    async with Echo(BINARY) as echo, contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            last = await stack.enter_async_context(echo.connect())
        assert (await echo.refused(503))["Retry-After"] == "5"
        await echo.refused(401, headers={})
        answer = await echo.http("GET", "/standard/info", headers=BEARER)
        assert answer.status_code == 503 and isinstance(answer.json(), dict)
        await last.close()
        async with asyncio.timeout(10):
            while True:
                try:
                    async with echo.connect():
                        break
                except InvalidStatus:
                    await asyncio.sleep(0.05)


@check
async def sigterm_closes_with_1001(world):
    async with Echo(BINARY) as echo, echo.peer(world.name) as peer:
        await peer.ask("before")
        echo.process.send_signal(signal.SIGTERM)
        assert await peer.closed() == 1001
        async with asyncio.timeout(15):
            assert await echo.process.wait() == 0


class World:
    """The bots that checks share; a check talks under its own name."""


async def main():
    world = World()
    async with (
        asyncio.timeout(240),
        Echo(BINARY) as world.plain,
        Echo(BINARY, ALLOW_TOKEN_QUERY="true", ALLOW_ORIGINS=f"{ORIGIN},http://localhost:3000") as world.listed,
    ):
        for number, scenario in enumerate(CHECKS, 1):
            world.name = f"websockets-{number}"
            try:
                async with asyncio.timeout(60):
                    await scenario(world)
            except Exception as error:  # a check may fail in any way, and the others still run
                # The last line of this file on the way: a bare assert does not say what it wanted.
                way = [at for at in traceback.extract_tb(error.__traceback__) if at.filename == __file__]
                said = f"{type(error).__name__}: {error} at `{way[-1].line}`".replace("\n", " ")[:600]
                print(f"FAIL standard/websockets/{scenario.__name__}: {said}", flush=True)
            else:
                print(f"ok standard/websockets/{scenario.__name__}", flush=True)


asyncio.run(main())
