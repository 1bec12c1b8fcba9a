"""dingtalk-stream and DingtalkChatbot against the emulated DingTalk: dingtalk_sdk.py <emulator address>."""

import asyncio
import base64
import json
import logging
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

EMULATOR = sys.argv[1]
# The SDK reads the address when it is imported.
os.environ["DINGTALK_OPENAPI_ENDPOINT"] = EMULATOR

import dingtalk_stream
import requests
from dingtalk_stream import AckMessage, AICardReplier, CardReplier, ChatbotMessage
from dingtalkchatbot.chatbot import ActionCard, CardItem, DingtalkChatbot

PATIENCE = 30
TEMPLATE = "382e4302-551d-4880-bf29-a30acfab2e71.schema"
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{EMULATOR}/_control/dingtalk/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.read().decode()}") from None


def look(what, **of):
    return control("GET", f"{what}?{urllib.parse.urlencode(of)}")


def until(found):
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError("nothing came in time")


class Handler(dingtalk_stream.ChatbotHandler):
    """Keeps what comes, and answers with what the check has prepared."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    async def process(self, callback):
        self.world.frames.put(callback)
        answer = self.world.answers.pop(0) if self.world.answers else (AckMessage.STATUS_OK, "OK")
        if isinstance(answer, Exception):
            raise answer
        return answer


class Events(dingtalk_stream.EventHandler):
    def __init__(self, world):
        super().__init__()
        self.world = world

    async def process(self, event):
        self.world.frames.put(event)
        return AckMessage.STATUS_OK, "OK"


class World:
    """An app of its own and two people."""

    def __init__(self, number, **settings):
        self.app = f"dingpython{number}"
        self.secret = f"python-secret-{number}"
        app = {"client_id": self.app, "secret": self.secret, "name": "Kit", **settings}
        control("POST", "apps", app)
        self.ada, self.bob = f"ada{number}", f"bob{number}"
        for user, name in ((self.ada, "Ada"), (self.bob, "Bob")):
            control("POST", "users", {"id": user, "name": name})
        self.frames = queue.Queue()
        self.answers = []
        self.client = self.new_client(self.secret)
        self.handler = Handler(self)
        self.handler.dingtalk_client = self.client

    def new_client(self, secret):
        return dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(self.app, secret))

    def connect(self, client=None, count=1):
        client = client or self.client
        handler = Handler(self) if client is not self.client else self.handler
        client.register_all_event_handler(Events(self))
        topics = (ChatbotMessage.TOPIC, ChatbotMessage.DELEGATE_TOPIC, dingtalk_stream.CallbackHandler.TOPIC_CARD_CALLBACK)
        for topic in topics:
            client.register_callback_handler(topic, handler)
        # The client runs for ever; the thread ends with the script.
        threading.Thread(target=lambda: asyncio.run(client.start()), daemon=True).start()
        until(lambda: look("connections", app=self.app)["open"] == count)

    def act(self, action, **fields):
        return control("POST", "actions", {"action": action, **fields})

    def say(self, text="", **post):
        return self.act("post", app=self.app, user=self.ada, post={"text": text, **post})["message"]

    def group(self):
        return control("POST", "groups", {"title": "Team", "apps": [self.app], "members": [self.ada, self.bob]})["chat"]

    def frame(self):
        return self.frames.get(timeout=PATIENCE)

    def message(self):
        return ChatbotMessage.from_dict(self.frame().data)

    def incoming(self, text="hi"):
        """A message as the SDK reads it, without a connection."""
        self.say(text)
        return ChatbotMessage.from_dict(look("events", app=self.app)[-1])

    def deliveries(self, count):
        until(lambda: len(look("deliveries", app=self.app)) >= count)
        return look("deliveries", app=self.app)

    def sent(self):
        return look("sent", app=self.app)

    def card(self, card):
        return next(one for one in look("cards", app=self.app) if one["id"] == card)

    def calls(self, method):
        return control("GET", f"calls?method={method}&bot={self.app}")

    def fault(self, method, fault, count=1, **details):
        control("POST", "faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})


@check
def connects_and_answers_pings(world):
    world.connect()
    until(lambda: look("connections", app=world.app)["pongs"] >= 2)
    assert look("connections", app=world.app)["open"] == 1
    opened = world.calls("open")[0]
    assert opened["body"]["clientSecret"] == "***", opened
    topics = [one["topic"] for one in opened["body"]["subscriptions"]]
    assert topics[0] == "*" and ChatbotMessage.TOPIC in topics, topics


@check
def a_wrong_secret_is_refused(world):
    stranger = world.new_client("wrong")
    for client in (stranger, world.client):
        client.register_callback_handler(ChatbotMessage.TOPIC, world.handler)
    assert stranger.open_connection() is None
    answer = world.calls("open")[0]
    assert (answer["status"], answer["answer"]["code"]) == (401, "authFailed"), answer
    assert stranger.get_access_token() is None
    world.act("disable", app=world.app, disabled=True)
    assert world.client.open_connection() is None
    world.act("disable", app=world.app, disabled=False)
    assert world.client.open_connection()["ticket"]


@check
def waits_out_a_busy_gateway(world):
    # The SDK sleeps ten seconds after a refusal.
    world.fault("open", "too_many_requests")
    world.connect()
    assert [call["status"] for call in world.calls("open")] == [429, 200]


@check
def receives_a_direct_message(world):
    world.connect()
    sent = world.say("hi there")
    message = world.message()
    assert message.message_id == sent and message.text.content == "hi there"
    assert message.conversation_type == "1" and message.robot_code == world.app
    assert message.sender_staff_id == world.ada and message.sender_nick == "Ada"
    assert message.session_webhook_expired_time - message.create_at == 90 * 60 * 1000
    assert message.sender_id.startswith("$:LWCP_v1:$"), message.sender_id
    [delivery] = world.deliveries(1)
    assert (delivery["status"], delivery["attempt"]) == (200, 1), delivery
    assert delivery["data"] == {"response": "OK"}, delivery


@check
def receives_mentions_in_a_group(world):
    world.connect()
    chat = world.group()
    world.act("post", chat=chat, user=world.ada, post={"text": "nobody is asked"})
    world.act("post", chat=chat, user=world.ada, post={"text": "@Kit ask @Bob"})
    message = world.message()
    assert message.text.content == " ask @Bob", message.text
    assert message.conversation_type == "2" and message.conversation_title == "Team"
    assert message.conversation_id == chat and message.is_in_at_list
    assert [user.staff_id for user in message.at_users] == [None, world.bob]
    assert message.at_users[0].dingtalk_id == message.chatbot_user_id


@check
def reads_rich_texts_and_downloads_pictures(world):
    picture = base64.b64encode(b"the picture").decode()
    world.connect()
    world.say(rich=[{"text": "a"}, {"picture": picture}, {"text": "b"}])
    message = world.message()
    assert message.get_text_list() == ["a", "b"]
    [code] = message.get_image_list()
    url = world.handler.get_image_download_url(code)
    assert requests.get(url).content == b"the picture"
    world.say(kind="picture", base64=picture)
    [code] = world.message().get_image_list()
    assert requests.get(world.handler.get_image_download_url(code)).content == b"the picture"
    assert world.handler.get_image_download_url("none") == ""


@check
def reads_files_voice_and_quotes(world):
    world.connect()
    first = world.say("old")
    world.frame()
    world.say("new", quote=first)
    message = world.message()
    assert message.text.extensions["repliedMsg"]["msgId"] == first, message.text.extensions
    assert message.extensions["originalMsgId"] == first
    for kind in ("file", "audio", "video"):
        world.say(kind=kind, name="a.pdf", base64="AAAA", recognition="spoken")
        message = world.message()
        assert message.message_type == kind
        assert message.extensions["content"]["downloadCode"], message.extensions


@check
def replies_through_the_session(world):
    message = world.incoming()
    assert world.handler.reply_text("hello", message) == {"errcode": 0, "errmsg": "ok"}
    assert world.handler.reply_markdown("T", f"**b** @{world.ada}", message)["errcode"] == 0
    text, markdown = world.sent()
    assert (text["kind"], text["content"], text["via"]) == ("text", {"content": "hello"}, "session")
    # The text of the first one does not hold the mark.
    assert (text["mentions"], markdown["mentions"]) == ([], [world.ada])
    assert world.handler.reply_text("", message)["errcode"] == 40035
    world.fault("session_send", "errcode", errcode=300001, errmsg="expired")
    assert world.handler.reply_text("late", message)["errcode"] == 300001
    world.fault("session_send", "lose_answer")
    assert world.handler.reply_text("lost", message) is None
    assert world.sent()[-1]["content"] == {"content": "lost"}


@check
def what_is_not_acknowledged_comes_again(world):
    world.connect()
    world.answers = [RuntimeError("no answer"), (AckMessage.STATUS_SYSTEM_EXCEPTION, "no"), (AckMessage.STATUS_OK, "OK")]
    sent = world.say("again")
    frames = [world.frame() for _ in range(3)]
    assert {frame.data["msgId"] for frame in frames} == {sent}
    assert len({frame.headers.message_id for frame in frames}) == 3
    ends = [(one["attempt"], one["error"]) for one in world.deliveries(3)]
    assert ends == [(1, "timeout"), (2, "refused"), (3, None)], ends


@check
def a_frame_can_come_twice(world):
    world.connect()
    control("POST", "faults", {"duplicate_frames": 1})
    sent = world.say("twice")
    assert [world.frame().data["msgId"] for _ in range(2)] == [sent, sent]


@check
def receives_events(world):
    world.connect()
    chat = world.group()
    world.act("robot", app=world.app, chat=chat, by=world.ada, inside=True)
    event = world.frame()
    assert event.headers.event_type == "im_cool_app_install", event
    assert event.headers.event_corp_id == "corp1" and event.headers.event_id
    assert event.headers.event_born_time > 0 and event.headers.event_unified_app_id
    assert event.data["openConversationId"] == chat
    [delivery] = world.deliveries(1)
    assert (delivery["id"], delivery["status"]) == (event.headers.event_id, 200), delivery


@check
def takes_over_on_the_disconnect_notice_and_loses_nothing(world):
    world.connect()
    world.act("drain", app=world.app)
    sent = world.say("meanwhile")
    assert world.message().message_id == sent
    assert len(world.calls("connect")) == 2
    assert look("connections", app=world.app)["open"] == 1


@check
def comes_back_after_a_cut(world):
    # The SDK sleeps ten seconds after a connection that broke.
    world.connect()
    world.act("cut", app=world.app)
    sent = world.say("in the dark")
    assert world.message().message_id == sent


@check
def two_connections_share_the_load(world):
    world.connect()
    other = world.new_client(world.secret)
    world.connect(other, count=2)
    for number in range(20):
        world.say(str(number))
    texts = {world.message().text.content for _ in range(20)}
    assert len(texts) == 20, texts
    used = {one["connection"] for one in world.deliveries(20)}
    assert len(used) == 2, used


@check
def a_token_is_kept_and_fetched_anew_when_it_was_refused(world):
    message = world.incoming()
    first = world.client.get_access_token()
    assert world.new_client(world.secret).get_access_token() == first
    world.act("revoke", app=world.app)
    replier = CardReplier(world.client, message)
    assert replier.create_and_send_card(TEMPLATE, {}) == ""
    # Nobody knows whose token that was.
    assert world.calls("create_card") == []
    assert control("GET", "calls?method=create_card")[-1]["status"] == 401
    world.client.reset_access_token()
    assert world.client.get_access_token() != first
    assert replier.create_and_send_card(TEMPLATE, {}) != ""


@check
def an_ai_card_streams_in_a_direct_chat(world):
    replier = AICardReplier(world.client, world.incoming())
    card = replier.start(TEMPLATE, {"msgContent": ""})
    assert world.card(card)["variables"]["flowStatus"] == "1"
    replier.streaming(card, "msgContent", "one", append=False, finished=False, failed=False)
    replier.streaming(card, "msgContent", " two", append=True, finished=False, failed=False)
    replier.streaming(card, "msgContent", "end", append=False, finished=True, failed=False)
    shown = world.card(card)
    assert shown["texts"] == ["one", "one two", "end"] and shown["is_final"], shown
    replier.finish(card, {"msgContent": "end"})
    shown = world.card(card)
    assert shown["variables"] == {"msgContent": "end", "flowStatus": "3"}, shown
    replier.fail(card, {})
    assert world.card(card)["variables"] == {"flowStatus": "5"}
    [message] = world.sent()
    assert (message["via"], message["card"]) == ("card", card), message


@check
def an_ai_card_streams_in_a_group_asynchronously(world):
    chat = world.group()
    world.act("post", chat=chat, user=world.ada, post={"text": "@Kit hi"})
    incoming = ChatbotMessage.from_dict(look("events", app=world.app)[-1])
    replier = AICardReplier(world.client, incoming)

    async def run():
        card = await replier.async_start(TEMPLATE, {"msgContent": ""})
        await replier.async_streaming(card, "msgContent", "x", append=False, finished=True, failed=False)
        await replier.async_finish(card, {"msgContent": "x"})
        both = await replier.async_create_and_deliver_card(TEMPLATE, {"k": "v"}, at_sender=True)
        return card, both

    card, both = asyncio.run(run())
    assert world.card(card)["texts"] == ["x"]
    assert [world.card(one)["chats"] for one in (card, both)] == [[chat], [chat]]
    assert replier.create_and_deliver_card(TEMPLATE, {"k": "v"}, at_all=True)
    assert len(world.sent()) == 3


@check
def a_card_that_is_refused_shows_nothing(world):
    replier = AICardReplier(world.client, world.incoming())
    for fault in (("rate_limited", {}), ("refuse", {"status": 500, "code": "system.err", "message": "x"})):
        world.fault("create_card", fault[0], **fault[1])
        assert replier.start(TEMPLATE, {}) == ""
    # Values have to be texts.
    assert replier.start(TEMPLATE, {"n": 1}) == ""
    card = replier.start(TEMPLATE, {})
    world.fault("stream_card", "rate_limited")
    replier.streaming(card, "msgContent", "x", append=False, finished=False, failed=False)
    refused = world.calls("stream_card")[-1]
    assert refused["status"] == 403 and "QpsLimit" in refused["answer"]["code"], refused
    assert world.card(card)["texts"] == []


@check
def the_helpers_for_markdown_cards_work(world):
    message = world.incoming()
    made = world.handler.reply_markdown_card("**b**", message, title="T")
    assert world.card(made.card_instance_id)["variables"]["markdown"] == "**b**"
    made.update("changed")
    assert world.card(made.card_instance_id)["variables"]["markdown"] == "changed"
    made = world.handler.reply_ai_markdown_button(message, "text", [{"text": "A", "id": "a"}], title="T")
    shown = world.card(made.card_instance_id)
    assert shown["variables"]["flowStatus"] == "3" and shown["texts"], shown


@check
def cards_of_the_older_kind_are_sent_and_changed(world):
    message = world.incoming()
    card = world.handler.reply_card({"contents": []}, message, at_sender=True)
    assert world.card(card)["data"] == {"contents": []}
    assert world.handler.update_card(card, {"contents": [1]})["processQueryKey"]
    assert world.card(card)["data"] == {"contents": [1]}
    assert world.handler.update_card("none", {"contents": []}) == 400


@check
def a_press_is_answered_and_changes_the_card(world):
    replier = CardReplier(world.client, world.incoming())
    card = replier.create_and_send_card(TEMPLATE, {"status": "open", "title": "T"})
    world.answers = [(AckMessage.STATUS_OK, "OK")]
    world.connect()
    world.frame()
    change = {"cardUpdateOptions": {"updateCardDataByKey": True}, "cardData": {"cardParamMap": {"status": "done"}}}
    world.answers = [(AckMessage.STATUS_OK, change)]
    world.act("press", card=card, user=world.ada, wanted="approve", params={"k": "v"})
    press = dingtalk_stream.CardCallbackMessage.from_dict(world.frame().data)
    assert press.card_instance_id == card and press.user_id == world.ada and press.corp_id == "corp1"
    private = press.content["cardPrivateData"]
    assert private == {"actionIds": ["approve"], "params": {"k": "v"}}, private
    until(lambda: world.card(card)["variables"]["status"] == "done")
    assert world.card(card)["variables"]["title"] == "T"


@check
def a_hosted_reply_is_a_topic_of_its_own(world):
    world.connect()
    world.say("hi")
    data = {**world.frame().data, "msgId": "m1", "hostingContext": {"userId": "u", "nick": "n"}}
    world.act("callback", app=world.app, topic=ChatbotMessage.DELEGATE_TOPIC, data=data)
    frame = world.frame()
    assert frame.headers.topic == ChatbotMessage.DELEGATE_TOPIC
    assert ChatbotMessage.from_dict(frame.data).hosting_context.user_id == "u"


@check
def uploads_media(world):
    # The host of uploads is written out in the SDK, so the call is led to the emulator on its way.
    def led(url, *rest, **more):
        return post(url.replace("https://oapi.dingtalk.com", EMULATOR), *rest, **more)

    post, requests.post = requests.post, led
    try:
        media = world.client.upload_to_dingtalk(b"image")
        assert media.startswith("@lAD"), media
        try:
            world.client.upload_to_dingtalk(b"image", filetype="wrong")
            raise AssertionError("a wrong type was taken")
        except Exception as error:
            assert "40004" in str(error), error
        world.act("revoke", app=world.app)
        try:
            world.client.upload_to_dingtalk(b"image")
            raise AssertionError("a wrong token was taken")
        except Exception as error:
            assert "40014" in str(error), error
    finally:
        requests.post = post
    token = world.new_client(world.secret).get_access_token()
    body = {"robotCode": world.app, "userIds": [world.ada, "nobody"], "msgKey": "sampleImageMsg", "msgParam": json.dumps({"photoURL": media})}
    headers = {"x-acs-dingtalk-access-token": token}
    answer = requests.post(f"{EMULATOR}/v1.0/robot/oToMessages/batchSend", json=body, headers=headers).json()
    assert answer["invalidStaffIdList"] == ["nobody"] and answer["processQueryKey"], answer


@check
def a_custom_robot_signs_as_the_known_answer_says(world):
    robot = DingtalkChatbot("https://x/robot/send?access_token=T", secret="SECsynthetic0000000000000000000001")
    robot.start_time = 1700000000
    robot.update_webhook()
    sign = "MT8Q052uDT%2FjtZ4avbtef%2BFFlff1MAepZAUjGzCFtRg%3D"
    assert robot.webhook == f"https://x/robot/send?access_token=T&timestamp=1700000000000&sign={sign}", robot.webhook


def custom(world, **settings):
    chat = world.group()
    token = f"T-{world.app}-{len(settings)}"
    url = control("POST", "robots", {"token": token, "group": chat, **settings})["url"]
    return url, chat


@check
def a_custom_robot_sends_signed_messages_of_every_kind(world):
    secret = "SEC0123456789"
    url, chat = custom(world, secret=secret)
    robot = DingtalkChatbot(url, secret=secret)
    card = ActionCard(title="T", text="x", btns=[CardItem(title="A", url="https://e.x"), CardItem(title="B", url="https://e.x")])
    link = CardItem(title="T", url="https://e.x", pic_url="https://e.x/p.png")
    answers = [
        robot.send_text("hello", at_mobiles=["138"]),
        robot.send_markdown("T", "**b**", is_at_all=True),
        robot.send_link("T", "t", "https://e.x"),
        robot.send_action_card(card),
        robot.send_feed_card([link]),
    ]
    assert [answer["errcode"] for answer in answers] == [0] * 5, answers
    history = look("history", chat=chat)
    assert [one["kind"] for one in history] == ["text", "markdown", "link", "actionCard", "feedCard"]
    assert [one["mentions"] for one in history[:2]] == [["138"], ["all"]]
    assert robot.send_image("https://e.x/p.png")["errcode"] == 400105
    assert DingtalkChatbot(url, secret="SECwrong").send_text("x")["errcode"] == 310000
    assert DingtalkChatbot(url).send_text("x")["errcode"] == 310000
    assert len(look("history", chat=chat)) == 5


@check
def a_custom_robot_has_a_keyword_and_a_limit(world):
    url, chat = custom(world, keyword="build", secret=None)
    assert DingtalkChatbot(url).send_text("hello")["errcode"] == 310000
    # Each object has a queue of its own, which would sleep before the limit.
    codes = [DingtalkChatbot(url).send_text("build")["errcode"] for _ in range(21)]
    assert codes == [0] * 20 + [130101], codes
    assert DingtalkChatbot(url.replace("T-", "U-")).send_text("build")["errcode"] == 300001


# The last one: it moves the time of everybody.
@check
def a_session_and_a_token_end(world):
    message = world.incoming()
    first = world.client.get_access_token()
    control("POST", "clock", {"advance_ms": 90 * 60 * 1000})
    assert world.handler.reply_text("late", message)["errcode"] == 300001
    control("POST", "clock", {"advance_ms": 30 * 60 * 1000})
    assert world.new_client(world.secret).get_access_token() != first
    assert CardReplier(world.client, message).create_and_send_card(TEMPLATE, {}) == ""


def main():
    logging.disable(logging.CRITICAL)
    for number, scenario in enumerate(CHECKS, 1):
        try:
            scenario(World(number))
        except Exception as error:  # a check may fail in any way, and the others still run
            words = str(error).replace("\n", " ")
            print(f"FAIL dingtalk/python/{scenario.__name__}: {type(error).__name__}: {words}", flush=True)
            control("DELETE", "faults")
        else:
            print(f"ok dingtalk/python/{scenario.__name__}", flush=True)
    # Clients of the SDK run for ever.
    os._exit(0)


main()
