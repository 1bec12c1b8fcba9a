"""wechatpy against the emulated WeCom: wecom_wechatpy.py <emulator address>."""

import base64
import contextlib
import hashlib
import http.server
import io
import json
import logging
import queue
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import requests
import wechatpy.enterprise
from wechatpy.crypto import PrpCrypto, _get_signature
from wechatpy.enterprise import parse_message
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.enterprise.exceptions import InvalidCorpIdException
from wechatpy.enterprise.replies import create_reply
from wechatpy.exceptions import APILimitedException, InvalidSignatureException, WeChatClientException

EMULATOR = sys.argv[1]
PATIENCE = 20
AES_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
TOKEN = "synthetic_token_1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
CHECKS = []


class Client(wechatpy.enterprise.WeChatClient):
    """The library's client with another address, which its token request has written out."""

    API_BASE_URL = f"{EMULATOR}/cgi-bin/"

    def fetch_access_token(self):
        return self._fetch_access_token(
            url=f"{self.API_BASE_URL}gettoken", params={"corpid": self.corp_id, "corpsecret": self.secret}
        )


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{EMULATOR}/_control/wecom/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.read().decode()}") from None


def until(probe):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Endpoint(http.server.ThreadingHTTPServer):
    """A callback address: requests land in a queue; `answers` are functions of the request, then an empty 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received = queue.Queue()
        self.answers = []
        self.echo = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/callback"


class Receiver(http.server.BaseHTTPRequestHandler):
    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, strict_parsing=True))

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, self.server.echo(self.query()))

    def do_POST(self):
        request = self.query(), self.rfile.read(int(self.headers["content-length"])).decode()
        answer = self.server.answers.pop(0) if self.server.answers else b""
        answer = answer(*request) if callable(answer) else answer
        self.server.received.put(request)
        self.answer(*((answer, b"") if isinstance(answer, int) else (200, answer)))

    def log_message(self, *_):
        pass


class World:
    """A person, and an app of a corporation of its own with a callback."""

    def __init__(self, number):
        self.number = number
        self.corp = f"wwcorp{number:011}"
        self.user = f"ZhangSan{number}"
        self.endpoint = Endpoint()
        control("POST", "users", {"id": self.user, "name": "Zhang San"})
        self.app = self.bot(product="app", corp=self.corp, secret=f"secret-{number}", agent=1000002)
        self.crypto = WeChatCrypto(TOKEN, AES_KEY, self.corp)
        self.client = Client(self.corp, f"secret-{number}")

    def bot(self, **fields):
        return control("POST", "bots", {"callback": [self.endpoint.url, TOKEN, AES_KEY], **fields})["bot"]

    def act(self, action, **fields):
        return control("POST", "actions", {"action": action, "bot": self.app, "user": self.user, **fields})

    def say(self, text="", **post):
        return self.act("post", post={"text": text, **post})["message"]

    def fault(self, method, fault, count=1, **details):
        control("POST", "faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})

    def raw(self):
        return self.endpoint.received.get(timeout=PATIENCE)

    def open(self, query, body):
        return self.crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])

    def event(self):
        """The next callback, as the library reads it."""
        return parse_message(self.open(*self.raw()))

    def sent(self, bot=None):
        return control("GET", f"bots/{bot or self.app}/sent")

    def calls(self, method):
        return control("GET", f"calls?method={method}&bot={self.app}&wait_ms=100")

    def send(self, **message):
        return self.client.message.send(1000002, self.user, msg=message)


@contextlib.contextmanager
def raises(kind, code):
    try:
        yield
    except kind as error:
        assert error.errcode == code, f"{error.errcode} {error.errmsg}"
    else:
        raise AssertionError(f"{kind.__name__} {code} was not raised")


@check
def answers_the_url_check(world):
    def echo(query):
        return world.crypto.check_signature(
            query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]
        ).encode()

    world.endpoint.echo = echo
    assert control("POST", f"bots/{world.app}/check", {})["right"]
    world.endpoint.echo = lambda query: echo(query) + b"\n"
    assert not control("POST", f"bots/{world.app}/check", {})["right"]


@check
def encrypts_for_the_library(world):
    said = world.say("hi 你好 🍎 ]]> <b>")
    message = world.event()
    assert (message.type, message.content, message.id) == ("text", "hi 你好 🍎 ]]> <b>", int(said)), message
    assert (message.source, message.target, message.agent) == (world.user, world.corp, 1000002)


@check
def refuses_nothing_that_is_right_and_forges_on_demand(world):
    control("POST", "faults", {"wrong_signatures": 1})
    world.say("forged")
    query, body = world.raw()
    with raises(InvalidSignatureException, -40001):
        world.open(query, body)
    world.say("right")
    query, body = world.raw()
    with raises(InvalidCorpIdException, -40005):
        WeChatCrypto(TOKEN, AES_KEY, "wwother").decrypt_message(
            body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
    assert world.open(query, body)


@check
def takes_the_passive_reply_of_the_library(world):
    def reply(query, body):
        message = parse_message(world.open(query, body))
        answer = create_reply(f"echo: {message.content}", message, render=True)
        return world.crypto.encrypt_message(answer, query["nonce"], query["timestamp"]).encode()

    world.endpoint.answers.append(reply)
    world.say("hi 你好")
    (sent,) = until(lambda: world.sent())
    assert sent["body"] == {"msgtype": "text", "text": {"content": "echo: hi 你好"}}, sent
    assert sent["via"] == "passive"


@check
def refuses_a_passive_reply_for_another_corporation(world):
    def reply(query, _):
        other = WeChatCrypto(TOKEN, AES_KEY, "wwother")
        xml = "<xml><MsgType>text</MsgType><Content>x</Content></xml>"
        return other.encrypt_message(xml, query["nonce"], query["timestamp"]).encode()

    world.endpoint.answers.append(reply)
    said = world.say("hi")
    delivery = until(lambda: [one for one in control("GET", "deliveries") if one["id"] == said])[0]
    assert delivery["error"] == "-40005", delivery
    assert world.sent() == []


@check
def shows_every_kind_of_message(world):
    data = base64.b64encode(PNG).decode()
    world.say(kind="image", base64=data, mime="image/png")
    image = world.event()
    assert image.type == "image" and image.media_id and image.image.startswith(EMULATOR)
    world.say(kind="voice", base64=data)
    voice = world.event()
    assert (voice.type, voice.format) == ("voice", "amr") and voice.media_id
    world.say(kind="video", base64=data)
    video = world.event()
    assert video.type == "video" and video.media_id and video.thumb_media_id
    world.say("Shenzhen", kind="location", coordinates=[22.5, 114.1])
    place = world.event()
    assert (place.location, place.label) == (("22.5", "114.1"), "Shenzhen")
    world.say("News", kind="link", url="https://example.com/")
    link = world.event()
    assert (link.title, link.url) == ("News", "https://example.com/")


@check
def shows_events(world):
    world.act("open")
    entered = world.event()
    assert (entered.type, entered.event, entered.agent) == ("event", "enter_agent", 1000002)
    world.act("event", name="click", fields={"EventKey": "menu-1"})
    assert world.event().key == "menu-1"
    world.act("event", name="LOCATION", fields={"Latitude": 22.5, "Longitude": 114.1, "Precision": 65.0})
    where = world.event()
    assert (float(where.latitude), float(where.longitude)) == (22.5, 114.1)
    pictures = {"Count": 2, "PicList": {"item": [{"PicMd5Sum": "a"}, {"PicMd5Sum": "b"}]}}
    world.act("event", name="pic_weixin", fields={"EventKey": "k", "SendPicsInfo": pictures})
    assert [one["PicMd5Sum"] for one in world.event().pictures] == ["a", "b"]


@check
def delivers_again_and_gives_up(world):
    world.endpoint.answers += [500, 302]
    said = world.say("hello")
    assert [world.event().id for _ in range(3)] == [int(said)] * 3
    world.endpoint.answers += [503] * 4
    world.say("lost")
    for _ in range(4):
        world.raw()
    world.say("next")
    assert world.event().content == "next"


@check
def gives_tokens(world):
    with raises(WeChatClientException, 40013):
        Client("wwnobody", "secret").fetch_access_token()
    with raises(WeChatClientException, 40001):
        Client(world.corp, "nonsense").fetch_access_token()
    first = world.client.fetch_access_token()
    assert first["expires_in"] == 7200
    assert Client(world.corp, world.client.secret).fetch_access_token()["access_token"] == first["access_token"]


@check
def lets_tokens_expire(world):
    world.client.message.send_text(1000002, world.user, "one")
    for action in ("expire_token", "revoke_token"):
        world.act(action)
        world.client.message.send_text(1000002, world.user, action)
    codes = [call["errcode"] for call in world.calls("message/send")]
    assert codes == [0, 42001, 0, 40014, 0], codes
    assert len(world.calls("gettoken")) == 3


@check
def sends_every_kind_of_message(world):
    messages = world.client.message
    sent = messages.send_text(1000002, world.user, "hello 你好")
    assert sent["errcode"] == 0 and sent["msgid"] and sent["invaliduser"] == ""
    messages.send_markdown(1000002, world.user, "**bold**")
    messages.send_text_card(1000002, world.user, "Title", "What", "https://example.com/")
    article = {"title": "T", "description": "D", "url": "https://example.com/", "image": ""}
    messages.send_articles(1000002, world.user, [article])
    image = world.client.media.upload("image", ("a.png", io.BytesIO(PNG), "image/png"))
    file = world.client.media.upload("file", ("a.txt", io.BytesIO(b"hello world"), "text/plain"))
    assert image["type"] == "image" and image["media_id"]
    messages.send_image(1000002, world.user, image["media_id"])
    messages.send_file(1000002, world.user, file["media_id"])
    kinds = [sent["body"]["msgtype"] for sent in world.sent()]
    assert kinds == ["text", "markdown", "textcard", "news", "image", "file"], kinds


@check
def names_what_is_wrong_with_a_message(world):
    messages = world.client.message
    with raises(WeChatClientException, 81013):
        messages.send_text(1000002, "nobody", "x")
    with raises(WeChatClientException, 301002):
        messages.send_text(1000003, world.user, "x")
    with raises(WeChatClientException, 44004):
        messages.send_text(1000002, world.user, "")
    with raises(WeChatClientException, 40007):
        messages.send_image(1000002, world.user, "nonsense")
    with raises(WeChatClientException, 40008):
        world.send(msgtype="hologram", hologram={})
    with raises(WeChatClientException, 40058):
        messages.send_markdown(1000002, world.user, "好" * 683)
    messages.send_markdown(1000002, world.user, "好" * 682)
    partly = messages.send_text(1000002, [world.user, "NoBody"], "x")
    assert partly["invaliduser"] == "nobody", partly
    messages.send_text(1000002, world.user, "好" * 700)
    assert world.sent()[-1]["body"]["text"]["content"] == "好" * 682


@check
def sends_the_same_once_when_asked(world):
    more = {"enable_duplicate_check": 1, "duplicate_check_interval": 1800}
    first, again = (world.send(msgtype="text", text={"content": "once"}, **more) for _ in range(2))
    assert first["msgid"] == again["msgid"] and len(world.sent()) == 1


@check
def takes_messages_back(world):
    sent = world.client.message.send_text(1000002, world.user, "oops")
    world.client.post("message/recall", data={"msgid": sent["msgid"]})
    assert world.sent()[0]["is_recalled"]
    with raises(WeChatClientException, 40058):
        world.client.post("message/recall", data={"msgid": "nonsense"})


@check
def keeps_media(world):
    with raises(WeChatClientException, 40006):
        world.client.media.upload("file", ("a.txt", io.BytesIO(b"tiny"), "text/plain"))
    with raises(WeChatClientException, 40005):
        world.client.media.upload("image", ("a.png", io.BytesIO(b"no picture"), "image/png"))
    with raises(WeChatClientException, 40004):
        world.client.media.upload("hologram", ("a", io.BytesIO(b"hello world"), "text/plain"))
    media = world.client.media.upload("file", ("报告.txt", io.BytesIO(b"hello world"), "text/plain"))["media_id"]
    # The library's own download has the platform's address written out.
    got = world.client.get("media/get", params={"media_id": media})
    assert isinstance(got, requests.Response) and got.content == b"hello world", got
    assert "filename" in got.headers["content-disposition"]
    with raises(WeChatClientException, 40007):
        world.client.get("media/get", params={"media_id": "nonsense"})
    image = world.say(kind="image", base64=base64.b64encode(PNG).decode(), mime="image/png")
    event = world.event()
    assert event.id == int(image)
    assert world.client.get("media/get", params={"media_id": event.media_id}).content == PNG


@check
def changes_a_card_once(world):
    card = {
        "card_type": "button_interaction",
        "main_title": {"title": "Deploy?"},
        "task_id": f"task-{world.number}",
        "button_list": [{"text": "Yes", "key": "yes"}],
    }
    with raises(WeChatClientException, 40058):
        world.send(msgtype="template_card", template_card={**card, "task_id": "not allowed!"})
    sent = world.send(msgtype="template_card", template_card=card)
    with raises(WeChatClientException, 40058):
        world.send(msgtype="template_card", template_card=card)
    world.act("press", message=sent["msgid"], key="yes")
    fields = world.event()._data
    assert (fields["Event"], fields["EventKey"]) == ("template_card_event", "yes"), fields
    assert fields["TaskId"] == card["task_id"] and fields["ResponseCode"]
    change = {
        "userids": [world.user], "agentid": 1000002,
        "response_code": fields["ResponseCode"], "button": {"replace_name": "Done"},
    }
    world.client.post("message/update_template_card", data=change)
    assert world.sent()[0]["body"]["template_card"]["replace_text"] == "Done"
    with raises(WeChatClientException, 40058):
        world.client.post("message/update_template_card", data=change)


@check
def makes_groups_of_its_own(world):
    control("POST", "users", {"id": f"LiSi{world.number}", "name": "Li Si"})
    members = [world.user, f"LiSi{world.number}"]
    chat = world.client.appchat.create(name="Team", owner=world.user, user_list=members)["chatid"]
    world.client.appchat.send_text(chat, "hello all")
    assert world.sent()[0]["chat"] == chat


@check
def knows_the_app(world):
    assert world.client.agent.get(1000002)["name"] == "Kit"
    with raises(WeChatClientException, 301002):
        world.client.agent.get(1000003)
    assert world.client.user.get(world.user)["name"] == "Zhang San"
    with raises(WeChatClientException, 60111):
        world.client.user.get("nobody")


@check
def fails_on_demand(world):
    world.fault("message/send", "refuse", errcode=45009)
    with raises(APILimitedException, 45009):
        world.client.message.send_text(1000002, world.user, "x")
    world.fault("message/send", "server_error", status=502)
    with raises(WeChatClientException, None):
        world.client.message.send_text(1000002, world.user, "x")
    world.fault("message/send", "lose_answer")
    with contextlib.suppress(requests.ConnectionError):
        world.client.message.send_text(1000002, world.user, "lost")
        raise AssertionError("the answer was not lost")
    assert [sent["body"]["text"]["content"] for sent in world.sent()] == ["lost"]


@check
def drops_what_is_too_much_for_a_member(world):
    for number in range(31):
        world.client.message.send_text(1000002, world.user, str(number))
    delivered = [sent["is_delivered"] for sent in world.sent()]
    assert delivered == [True] * 30 + [False], delivered


@check
def is_a_group_bot_with_a_webhook(world):
    key = f"key-{world.number}"
    bot = world.bot(product="group", key=key)
    chat = control("POST", "groups", {"name": "Team", "bots": [bot], "members": [world.user]})["chat"]
    hook = f"{EMULATOR}/cgi-bin/webhook/send?key={key}"

    def post(body):
        return requests.post(hook, json=body, timeout=PATIENCE).json()["errcode"]

    assert post({"msgtype": "text", "text": {"content": "hi"}}) == 0
    assert post({"msgtype": "text", "text": {"content": "好" * 683}}) == 40058
    picture = {"base64": base64.b64encode(PNG).decode(), "md5": hashlib.md5(PNG).hexdigest()}
    assert post({"msgtype": "image", "image": picture}) == 0
    assert post({"msgtype": "image", "image": {**picture, "md5": "0"}}) != 0
    form = {"media": ("a.txt", b"hello world", "text/plain")}
    upload = f"{EMULATOR}/cgi-bin/webhook/upload_media?key={key}&type=file"
    media = requests.post(upload, files=form, timeout=PATIENCE).json()["media_id"]
    assert post({"msgtype": "file", "file": {"media_id": media}}) == 0
    wrong = f"{EMULATOR}/cgi-bin/webhook/send?key=nonsense"
    assert requests.post(wrong, json={}, timeout=PATIENCE).json()["errcode"] == 93000
    codes = [post({"msgtype": "markdown", "markdown": {"content": "**x**"}}) for _ in range(20)]
    assert codes[0] == 0 and codes[-1] == 45009, codes

    # Its callback: the same cipher with nothing at the end, and a passive reply.
    crypto = WeChatCrypto(TOKEN, AES_KEY, "")

    def reply(query, body):
        document = crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        assert b"@Kit hello" in document.encode(), document
        xml = "<xml><MsgType>text</MsgType><Text><Content><![CDATA[hello you]]></Content></Text></xml>"
        return crypto.encrypt_message(xml, query["nonce"], query["timestamp"]).encode()

    world.endpoint.answers.append(reply)
    control("POST", "actions", {
        "action": "post", "bot": bot, "chat": chat, "user": world.user, "post": {"text": "hello"},
    })
    until(lambda: [sent for sent in world.sent(bot) if sent["via"] == "passive"])


@check
def refreshes_the_stream_of_an_ai_bot(world):
    bot = world.bot(product="ai", id=f"aib{world.number}")
    crypto = WeChatCrypto(TOKEN, AES_KEY, "")
    cipher = PrpCrypto(crypto.key)
    asked = []

    def seal(query, message):
        encrypted = cipher.encrypt(json.dumps(message), "").decode()
        stamp = int(time.time())
        signature = _get_signature(TOKEN, str(stamp), query["nonce"], encrypted)
        return json.dumps(
            {"encrypt": encrypted, "msgsignature": signature, "timestamp": stamp, "nonce": query["nonce"]}
        ).encode()

    def reply(query, body):
        encrypted = json.loads(body)["encrypt"]
        assert _get_signature(TOKEN, query["timestamp"], query["nonce"], encrypted) == query["msg_signature"]
        message = json.loads(cipher.decrypt(encrypted, ""))
        asked.append(message)
        words = "one two three".split()[: len(asked)]
        stream = {"id": "s1", "finish": len(words) == 3, "content": " ".join(words)}
        return seal(query, {"msgtype": "stream", "stream": stream})

    world.endpoint.answers += [reply] * 3
    control("POST", "actions", {"action": "post", "bot": bot, "user": world.user, "post": {"text": "count"}})
    sent = until(lambda: [one for one in world.sent(bot) if one["is_finished"]])[0]
    assert sent["body"]["stream"]["content"] == "one two three", sent
    assert [one["msgtype"] for one in asked] == ["text", "stream", "stream"]
    assert asked[1]["stream"] == {"id": "s1"} and asked[0]["from"] == {"userid": world.user}
    # And once more by the address in the message.
    late = {"msgtype": "markdown", "markdown": {"content": "later"}}
    codes = [requests.post(asked[0]["response_url"], json=late, timeout=PATIENCE).json()["errcode"] for _ in range(2)]
    assert codes[0] == 0 and codes[1] != 0, codes


def main():
    logging.disable(logging.CRITICAL)
    for number, scenario in enumerate(CHECKS, 1):
        try:
            scenario(World(number))
        except Exception as error:  # a check may fail in any way, and the others still run
            words = str(error).replace("\n", " ")
            print(f"FAIL wecom/wechatpy/{scenario.__name__}: {type(error).__name__}: {words}", flush=True)
            control("DELETE", "faults")
        else:
            print(f"ok wecom/wechatpy/{scenario.__name__}", flush=True)


main()
