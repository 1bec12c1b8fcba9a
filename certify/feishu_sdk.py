"""lark-oapi against the emulated Feishu: feishu_sdk.py <emulator address>."""

import io
import json
import logging
import queue
import sys
import threading
import time
import urllib.error
import urllib.request

import lark_oapi as lark
from lark_oapi.api.cardkit.v1 import (
    ContentCardElementRequest,
    ContentCardElementRequestBody,
    CreateCardRequest,
    CreateCardRequestBody,
    SettingsCardRequest,
    SettingsCardRequestBody,
)
from lark_oapi.api.im.v1 import (
    CreateFileRequest,
    CreateFileRequestBody,
    CreateImageRequest,
    CreateImageRequestBody,
    CreateMessageReactionRequest,
    CreateMessageReactionRequestBody,
    CreateMessageRequest,
    CreateMessageRequestBody,
    DeleteMessageReactionRequest,
    DeleteMessageRequest,
    Emoji,
    GetMessageRequest,
    GetMessageResourceRequest,
    ListMessageRequest,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
    UpdateMessageRequest,
    UpdateMessageRequestBody,
)
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse
from lark_oapi.core.model import RawRequest

EMULATOR = sys.argv[1]
PATIENCE = 20
KEY = "ek-0123456789abcdef"
TOKEN = "vt-synthetic-0001"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{EMULATOR}/_control/feishu/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.read().decode()}") from None


def until(found):
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError("nothing came in time")


class World:
    """An app of its own and a person."""

    def __init__(self, number, **settings):
        self.app = f"cli_{0xA000 + number:016x}"
        self.secret = f"python-secret-{number}"
        app = {"app_id": self.app, "secret": self.secret, "name": "Kit", **settings}
        self.bot = control("POST", "apps", app)["open_id"]
        ada = control("POST", "users", {"name": "Ada", "app": self.app})
        self.ada, self.ada_open_id = ada["user"], ada["open_id"]
        self.client = self.connect(self.secret)
        self.events = queue.Queue()
        self.answer = None

    def connect(self, secret):
        return lark.Client.builder().app_id(self.app).app_secret(secret).domain(EMULATOR).log_level(lark.LogLevel.CRITICAL).build()

    def act(self, action, **fields):
        return control("POST", "actions", {"action": action, **fields})

    def say(self, text, **post):
        return self.act("post", app=self.app, user=self.ada, post={"text": text, **post})["message_id"]

    def send(self, kind, content, uuid=None):
        body = CreateMessageRequestBody.builder().receive_id(self.ada_open_id).msg_type(kind).content(json.dumps(content))
        body = body.uuid(uuid).build() if uuid else body.build()
        request = CreateMessageRequest.builder().receive_id_type("open_id").request_body(body).build()
        return self.client.im.v1.message.create(request)

    def sent(self):
        return control("GET", f"apps/{self.app}/sent")

    def fault(self, method, fault, **details):
        control("POST", "faults", {"method": method, "fault": {"fault": fault, **details}})

    def handler(self, key="", token=""):
        def keep(event):
            self.events.put(event)

        def press(event):
            self.events.put(event)
            return P2CardActionTriggerResponse(self.answer)

        builder = lark.EventDispatcherHandler.builder(key, token, lark.LogLevel.CRITICAL)
        return builder.register_p2_im_message_receive_v1(keep).register_p2_card_action_trigger(press).build()

    def listen(self):
        # The SDK's client runs for ever on the event loop of its module, so each check has a process of its own.
        socket = lark.ws.Client(self.app, self.secret, event_handler=self.handler(), domain=EMULATOR, log_level=lark.LogLevel.CRITICAL)
        threading.Thread(target=socket.start, daemon=True).start()
        until(lambda: control("GET", f"apps/{self.app}/connections"))

    def event(self, kind="message"):
        """The next event of a kind; a message that was on its way when the connection broke may have come twice."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if hasattr(event.event, kind):
                return event


def fine(answer):
    assert answer.success(), (answer.code, answer.msg)
    return getattr(answer, "data", None)


@check
def sends_and_reads_history(world):
    sent = fine(world.send("text", {"text": "hello"}))
    fine(world.send("post", {"zh_cn": {"title": "t", "content": [[{"tag": "md", "text": "**b**"}]]}}))
    request = ListMessageRequest.builder().container_id_type("chat").container_id(sent.chat_id).build()
    items = fine(world.client.im.v1.message.list(request)).items
    assert [item.msg_type for item in items] == ["text", "post"]
    assert json.loads(items[0].body.content) == {"text": "hello"}


@check
def a_wrong_secret_gets_no_token(world):
    world.client = world.connect("wrong")
    try:
        answer = world.send("text", {"text": "x"})
        assert not answer.success()
    except lark.exception.ObtainAccessTokenException as error:
        assert error.code == 10014, error
    assert world.sent() == []


@check
def wrong_contents_are_refused(world):
    assert world.send("text", {"text": ""}).code == 230001
    assert world.send("post", {"post": {"zh_cn": {"content": []}}}).code == 230001
    assert world.send("image", {"image_key": "img_of_another"}).code == 230001
    assert world.send("interactive", {"schema": "2.0"}).code == 230099


@check
def replies_and_threads(world):
    question = world.say("question")
    body = ReplyMessageRequestBody.builder().msg_type("text").content('{"text":"a"}').reply_in_thread(True).build()
    request = ReplyMessageRequest.builder().message_id(question).request_body(body).build()
    answer = fine(world.client.im.v1.message.reply(request))
    assert (answer.parent_id, answer.root_id) == (question, question)
    request = ReplyMessageRequest.builder().message_id(answer.thread_id).request_body(body).build()
    assert world.client.im.v1.message.reply(request).code == 99992354


@check
def the_same_uuid_shows_once_after_a_lost_answer(world):
    fine(world.send("text", {"text": "warm"}))
    world.fault("send", "lose_answer")
    try:
        world.send("text", {"text": "once"}, "u-1")
    except Exception:
        pass
    fine(world.send("text", {"text": "once"}, "u-1"))
    assert [message["content"]["text"] for message in world.sent()] == ["warm", "once"]


@check
def edits_updates_and_recalls(world):
    text = fine(world.send("text", {"text": "one"})).message_id
    body = UpdateMessageRequestBody.builder().msg_type("text").content('{"text":"two"}').build()
    request = UpdateMessageRequest.builder().message_id(text).request_body(body).build()
    for _ in range(20):
        fine(world.client.im.v1.message.update(request))
    assert world.client.im.v1.message.update(request).code == 230072
    card = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "x"}]}}
    shown = fine(world.send("interactive", card)).message_id
    card["body"]["elements"][0]["content"] = "y"
    body = PatchMessageRequestBody.builder().content(json.dumps(card)).build()
    fine(world.client.im.v1.message.patch(PatchMessageRequest.builder().message_id(shown).request_body(body).build()))
    fine(world.client.im.v1.message.delete(DeleteMessageRequest.builder().message_id(text).build()))
    last = world.sent()
    assert last[0]["recalled"] and last[1]["content"]["body"]["elements"][0]["content"] == "y"


@check
def reacts_and_takes_it_back(world):
    seen = world.say("look")
    emoji = Emoji.builder().emoji_type("Typing").build()
    body = CreateMessageReactionRequestBody.builder().reaction_type(emoji).build()
    request = CreateMessageReactionRequest.builder().message_id(seen).request_body(body).build()
    reaction = fine(world.client.im.v1.message_reaction.create(request)).reaction_id
    request = DeleteMessageReactionRequest.builder().message_id(seen).reaction_id(reaction).build()
    fine(world.client.im.v1.message_reaction.delete(request))
    assert world.client.im.v1.message_reaction.delete(request).code == 231014


@check
def uploads_and_downloads(world):
    body = CreateImageRequestBody.builder().image_type("message").image(io.BytesIO(PNG)).build()
    image = fine(world.client.im.v1.image.create(CreateImageRequest.builder().request_body(body).build()))
    fine(world.send("image", {"image_key": image.image_key}))
    body = CreateFileRequestBody.builder().file_type("stream").file_name("a.txt").file(io.BytesIO(b"hello")).build()
    file = fine(world.client.im.v1.file.create(CreateFileRequest.builder().request_body(body).build()))
    sent = fine(world.send("file", {"file_key": file.file_key}))
    request = GetMessageResourceRequest.builder().message_id(sent.message_id).file_key(file.file_key).type("file").build()
    answer = world.client.im.v1.message_resource.get(request)
    assert answer.success() and answer.file.read() == b"hello"
    got = fine(world.client.im.v1.message.get(GetMessageRequest.builder().message_id(sent.message_id).build()))
    assert json.loads(got.items[0].body.content)["file_key"] == file.file_key


@check
def streams_a_card(world):
    card = {
        "schema": "2.0",
        "config": {"streaming_mode": True},
        "body": {"elements": [{"tag": "markdown", "element_id": "md", "content": ""}]},
    }
    body = CreateCardRequestBody.builder().type("card_json").data(json.dumps(card)).build()
    card_id = fine(world.client.cardkit.v1.card.create(CreateCardRequest.builder().request_body(body).build())).card_id
    fine(world.send("interactive", {"type": "card", "data": {"card_id": card_id}}))

    def content(text, sequence):
        body = ContentCardElementRequestBody.builder().content(text).sequence(sequence).build()
        request = ContentCardElementRequest.builder().card_id(card_id).element_id("md").request_body(body).build()
        return world.client.cardkit.v1.card_element.content(request)

    fine(content("one", 1))
    fine(content("one two", 2))
    assert content("again", 2).code == 300317
    settings = json.dumps({"config": {"streaming_mode": False}})
    body = SettingsCardRequestBody.builder().settings(settings).sequence(3).build()
    fine(world.client.cardkit.v1.card.settings(SettingsCardRequest.builder().card_id(card_id).request_body(body).build()))
    assert content("late", 4).code == 300309
    assert world.send("interactive", {"type": "card", "data": {"card_id": card_id}}).code == 230099


@check
def waits_out_rate_limits(world):
    fine(world.send("text", {"text": "warm"}))
    world.fault("send", "rate_limited")
    assert world.send("text", {"text": "x"}).code == 99991400
    for _ in range(3):
        fine(world.send("text", {"text": "y"}))
    codes = [world.send("text", {"text": "z"}).code for _ in range(6)]
    assert 230020 in codes, codes


@check
def a_token_that_ended_is_refused_and_renewed(world):
    fine(world.send("text", {"text": "before"}))
    world.act("revoke", app=world.app)
    assert world.send("text", {"text": "after"}).code in (0, 99991663)


@check
def webhooks_are_signed_and_encrypted(world):
    hooked = World(5000, encrypt_key=KEY, verification_token=TOKEN, events_url="http://127.0.0.1:9/feishu/events")
    endpoint = Endpoint(hooked.handler(KEY, TOKEN))
    hooked.act("webhook", app=hooked.app, events=endpoint.url, callbacks=endpoint.url)
    verified = control("POST", "verify", {"app": hooked.app, "challenge": "c0ffee"})
    assert verified == {"status": 200, "answer": {"challenge": "c0ffee"}}, verified
    control("POST", "faults", {"wrong_signatures": 1})
    sent = hooked.say("signed")
    event = hooked.event()
    assert event.event.message.message_id == sent
    own = lambda: [one for one in control("GET", "deliveries") if one["app"] == hooked.app]
    until(lambda: len(own()) == 2)
    assert [one["status"] == 200 for one in own()] == [False, True], own()
    card = {"schema": "2.0", "body": {"elements": [{"tag": "button", "name": "b1", "text": {"tag": "plain_text", "content": "A"}, "behaviors": [{"type": "callback", "value": {"k": "v"}}]}]}}
    shown = fine(hooked.send("interactive", card)).message_id
    hooked.answer = {"toast": {"type": "success", "content": "done"}}
    token = hooked.act("press", message=shown, user=hooked.ada, wanted="A")["token"]
    assert hooked.event("action").event.action.value == {"k": "v"}
    press = until(lambda: next((one for one in control("GET", "presses") if one["token"] == token and one["answer"]), None))
    assert press["answer"]["toast"]["content"] == "done", press


class Endpoint:
    """Hands requests to the SDK's own dispatcher."""

    def __init__(self, handler):
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                raw = RawRequest()
                raw.uri = self.path
                raw.headers = {name.title(): value for name, value in self.headers.items()}
                raw.body = self.rfile.read(int(self.headers["content-length"]))
                answer = handler.do(raw)
                self.send_response(answer.status_code)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/feishu/events"


# The SDK has one event loop for all its long connections, so this one is last and alone.
@check
def lives_on_the_long_connection(world):
    world.listen()
    first = world.say("hi")
    event = world.event()
    assert event.event.message.message_id == first, event.event.message
    assert event.event.sender.sender_id.open_id == world.ada_open_id
    control("POST", "faults", {"reorder_fragments": 1})
    world.say("long " * 20_000)
    text = json.loads(world.event().event.message.content)["text"]
    assert len(text) == 100_000, len(text)
    world.act("cut", app=world.app)
    dark = world.say("in the dark")
    while world.event().event.message.message_id != dark:
        pass
    card = {"schema": "2.0", "body": {"elements": [{"tag": "button", "text": {"tag": "plain_text", "content": "A"}, "behaviors": [{"type": "callback", "value": {"k": "v"}}]}]}}
    shown = fine(world.send("interactive", card)).message_id
    world.answer = {"toast": {"type": "info", "content": "seen"}}
    token = world.act("press", message=shown, user=world.ada, wanted="A")["token"]
    assert world.event("action").event.action.value == {"k": "v"}
    press = until(lambda: next((one for one in control("GET", "presses") if one["token"] == token and one["answer"]), None))
    assert press["answer"]["toast"]["content"] == "seen", press


def main():
    logging.disable(logging.CRITICAL)
    for number, scenario in enumerate(CHECKS, 1):
        try:
            scenario(World(number))
        except Exception as error:  # a check may fail in any way, and the others still run
            words = str(error).replace("\n", " ")
            print(f"FAIL feishu/python/{scenario.__name__}: {type(error).__name__}: {words}", flush=True)
            control("DELETE", "faults")
        else:
            print(f"ok feishu/python/{scenario.__name__}", flush=True)


main()
