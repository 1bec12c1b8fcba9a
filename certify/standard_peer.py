"""A running echo bot, and a client's side of its standard channel on Python websockets."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import socket
from datetime import datetime, timezone

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PROTOCOL = "channel-kit.v1"
# It has a `-` in base64url, and characters that a query has to escape.
TOKEN = "tok-standard+01/~~~=="
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
NUMBERS = itertools.count(1)


def entry(token):
    """A token as an entry of the subprotocol header."""
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


class Echo:
    """A running echo bot."""

    def __init__(self, binary, **options):
        self.binary = binary
        self.options = {f"CHANNEL_STANDARD_{name}": value for name, value in options.items()}

    async def __aenter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHANNEL_")}
        settings = {"CHANNEL_BIND": self.address, "CHANNEL_STANDARD_TOKEN": TOKEN, **self.options}
        self.process = await asyncio.create_subprocess_exec(
            self.binary,
            env=inherited | settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(20):
                while (line := await self.process.stdout.readline()) != b"ready standard\n":
                    assert line, "the echo bot ended before it was ready"
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    def connect(self, query="", headers=None, protocols=None, origin=None):
        return connect(
            f"ws://{self.address}/standard/ws{query}",
            additional_headers=BEARER if headers is None else headers,
            subprotocols=protocols,
            origin=origin,
            proxy=None,
            max_size=None,
        )

    async def refused(self, status, **how):
        """The headers of the refusal."""
        try:
            async with self.connect(**how):
                raise AssertionError(f"was let in, not refused with {status}")
        except InvalidStatus as error:
            assert error.response.status_code == status, error
            return error.response.headers

    async def http(self, method, path, **how):
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.request(method, f"http://{self.address}{path}", **how)

    @contextlib.asynccontextmanager
    async def peer(self, client, resume=None, **how):
        """A connection whose hello has been answered."""
        async with self.connect(**how) as connection:
            peer = Peer(connection)
            more = {} if resume is None else {"resume": resume}
            await peer.put(type="hello", id="h-1", client_id=client, name="Ada", **more)
            peer.welcome = await peer.frame(type="welcome")
            yield peer


class Peer:
    def __init__(self, connection):
        self.connection = connection
        self.backlog = []

    async def put(self, **frame):
        await self.connection.send(json.dumps({"v": 1, **frame}, ensure_ascii=False))

    async def next(self):
        """The next frame, taken or not."""
        async with asyncio.timeout(15):
            text = await self.connection.recv()
        assert isinstance(text, str), "a binary frame"
        frame = json.loads(text)
        obeys(frame)
        return frame

    async def frame(self, **members):
        """Takes the first frame with these members; others stay for later."""
        looked = 0
        while True:
            for at in range(looked, len(self.backlog)):
                if all(self.backlog[at].get(name) == value for name, value in members.items()):
                    return self.backlog.pop(at)
            looked = len(self.backlog)
            try:
                self.backlog.append(await self.next())
            except TimeoutError:
                raise AssertionError(f"no frame {members}, only {self.backlog}") from None
            except ConnectionClosed as error:
                raise AssertionError(f"no frame {members}, only {self.backlog}, then {error}") from None

    async def say(self, text, **more):
        """Sends a message; its id."""
        id = f"m-{next(NUMBERS)}"
        await self.put(type="message", id=id, conversation="default", text=text, **more)
        return id

    async def ask(self, text, **more):
        """Sends a message and takes its ack and its answer; the answer."""
        id = await self.say(text, **more)
        await self.frame(type="ack", of=id)
        return await self.frame(type="message", in_reply_to=id)

    async def error(self, code, of=None):
        found = await self.frame(type="error", code=code)
        assert found.get("of") == of, found
        return found

    async def stays(self):
        """Proves that the connection is alive, and takes all that came before."""
        id = f"p-{next(NUMBERS)}"
        await self.put(type="ping", id=id)
        await self.frame(type="pong", id=id)

    async def closed(self):
        """The code that the server closes with."""
        async with asyncio.timeout(15):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self.backlog.append(json.loads(await self.connection.recv()))
        return self.connection.close_code


def obeys(frame):
    """What holds for every frame of a server, whatever it answers."""
    assert frame["v"] == 1, frame
    kind = frame["type"]
    for member in ("id", "conversation"):
        assert member not in frame or ID.fullmatch(frame[member]), frame
    if kind in ("message", "delete", "reaction") or (kind == "edit" and frame["final"]):
        assert frame["seq"] >= 1, frame
        assert re.fullmatch(rf".+\.{frame['seq']}", frame["cursor"]), frame
    else:
        assert "seq" not in frame, frame
    if "ts" in frame:
        assert frame["ts"].endswith("Z"), frame
        age = datetime.now(timezone.utc) - datetime.fromisoformat(frame["ts"])
        assert abs(age.total_seconds()) < 300, frame
    if kind == "ack" and frame["of"] != "resume":
        assert frame["status"] == "accepted" and isinstance(frame["duplicate"], bool) and "ts" in frame, frame
    if kind == "message":
        assert frame["from"]["kind"] in ("bot", "user") and "ts" in frame, frame
        assert frame["format"] in ("plain", "markdown"), frame
    if kind == "error":
        assert isinstance(frame["message"], str) and isinstance(frame["fatal"], bool), frame
