"""line-bot-sdk against the emulated LINE: line_sdk.py <emulator address>, with the data host in CERTIFY_LINE_DATA."""

import base64
import contextlib
import http.server
import json
import logging
import os
import queue
import sys
import threading
import urllib.error
import urllib.request
import uuid

from linebot.v3 import WebhookHandler, WebhookParser
from linebot.v3.exceptions import InvalidSignatureError
from linebot.v3.messaging import (
    ApiClient,
    ApiException,
    ButtonsTemplate,
    Configuration,
    ErrorResponse,
    FlexContainer,
    FlexMessage,
    ImageMessage,
    MessageAction,
    MessagingApi,
    MessagingApiBlob,
    MulticastRequest,
    PostbackAction,
    PushMessageRequest,
    QuickReply,
    QuickReplyItem,
    ReplyMessageRequest,
    SetWebhookEndpointRequest,
    ShowLoadingAnimationRequest,
    TemplateMessage,
    TextMessage,
    TextMessageV2,
    ValidateMessageRequest,
)
from linebot.v3.messaging.exceptions import (
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from linebot.v3.webhooks import (
    AccountLinkEvent,
    BeaconEvent,
    BotSuspendedEvent,
    FileMessageContent,
    FollowEvent,
    ImageMessageContent,
    JoinEvent,
    MemberJoinedEvent,
    MessageEvent,
    PostbackEvent,
    StickerMessageContent,
    TextMessageContent,
    UnfollowEvent,
    UnsendEvent,
    VideoPlayCompleteEvent,
)

EMULATOR = sys.argv[1]
DATA = os.environ["CERTIFY_LINE_DATA"]
PATIENCE = 20
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{EMULATOR}/_control/line/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.read().decode()}") from None


class Endpoint(http.server.ThreadingHTTPServer):
    """A webhook: bodies and signatures land in a queue; `answers` are the next statuses, then 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received = queue.Queue()
        self.answers = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/callback"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.received.put((body, self.headers["x-line-signature"]))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


class World:
    """An account of its own, with a webhook, and a person."""

    def __init__(self, number):
        self.secret = f"{number:032x}"
        self.token = f"token-{number}"
        self.endpoint = Endpoint()
        self.account = {"secret": self.secret, "token": self.token, "name": "Kit", "webhook": self.endpoint.url}
        self.account |= {"redelivery": True, "quota": 20}
        self.bot = control("POST", "bots", self.account)["bot"]
        self.ada = control("POST", "users", {"name": "Ada"})["user"]
        self.parser = WebhookParser(self.secret)

    def act(self, action, **fields):
        return control("POST", "actions", {"action": action, "bot": self.bot, **fields})

    def post(self, chat=None, **post):
        return self.act("post", user=self.ada, chat=chat, post=post)["message"]

    def say(self, text, chat=None, **post):
        return self.post(chat, text=text, **post)

    def fault(self, method, fault, count=1, **details):
        control("POST", "faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})

    def raw(self):
        return self.endpoint.received.get(timeout=PATIENCE)

    def event(self):
        """The one event of the next body, as the SDK reads it."""
        (event,) = self.parser.parse(*self.raw())
        return event

    def sent(self):
        return control("GET", f"bots/{self.bot}/sent")

    def group(self, **more):
        return control("POST", "groups", {"name": "Team", "members": [self.ada], **more})["chat"]

    @contextlib.contextmanager
    def api(self, token=None):
        with ApiClient(Configuration(host=EMULATOR, access_token=token or self.token)) as client:
            yield MessagingApi(client)

    @contextlib.contextmanager
    def blob(self, host=DATA):
        with ApiClient(Configuration(host=host, access_token=self.token)) as client:
            yield MessagingApiBlob(client)

    def push(self, *messages, key=None, to=None):
        with self.api() as api:
            request = PushMessageRequest(to=to or self.ada, messages=list(messages))
            return api.push_message(request, x_line_retry_key=key)


@contextlib.contextmanager
def raises(kind, status, words=""):
    """Gives a list that holds the parsed error body afterwards."""
    found = []
    try:
        yield found
    except kind as error:
        assert error.status == status, f"{error.status} {error.body}"
        assert "x-line-request-id" in {name.lower() for name in error.headers}, error.headers
        body = ErrorResponse.from_json(error.body)
        assert words.lower() in body.message.lower(), error.body
        found += [body, error]
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


@check
def names_itself(world):
    with world.api() as api:
        info = api.get_bot_info()
    assert (info.user_id, info.display_name, info.chat_mode) == (world.bot, "Kit", "bot"), info


@check
def refuses_a_wrong_token(world):
    with raises(UnauthorizedException, 401, "invalid token"), world.api("nonsense") as api:
        api.get_bot_info()
    world.act("revoke")
    with raises(UnauthorizedException, 401), world.api() as api:
        api.get_bot_info()


@check
def signs_its_webhooks(world):
    world.say("hi 你好 🍎")
    body, signature = world.raw()
    payload = world.parser.parse(body, signature, as_payload=True)
    assert payload.destination == world.bot
    (event,) = payload.events
    assert isinstance(event, MessageEvent) and isinstance(event.message, TextMessageContent)
    assert event.message.text == "hi 你好 🍎" and event.source.user_id == world.ada
    assert event.mode == "active" and not event.delivery_context.is_redelivery
    for wrong in (body + " ", body.replace("你好", "\\u4f60\\u597d")):
        with contextlib.suppress(InvalidSignatureError):
            world.parser.parse(wrong, signature)
            raise AssertionError("a changed body was accepted")


@check
def can_sign_wrongly(world):
    control("POST", "faults", {"wrong_signatures": 1})
    world.say("hello")
    with contextlib.suppress(InvalidSignatureError):
        world.parser.parse(*world.raw())
        raise AssertionError("a wrong signature was accepted")


@check
def feeds_the_handler(world):
    handler = WebhookHandler(world.secret)
    seen = []
    handler.add(MessageEvent, message=StickerMessageContent)(lambda event: seen.append(event.message.sticker_id))
    handler.add(FollowEvent)(lambda event: seen.append(event.follow.is_unblocked))
    world.post(kind="sticker", sticker=["446", "1988"])
    handler.handle(*world.raw())
    world.act("follow", user=world.ada)
    handler.handle(*world.raw())
    assert seen == ["1988", False], seen


@check
def shows_every_kind_of_message(world):
    data = base64.b64encode(b"\x89PNG").decode()
    world.post(kind="image", base64=data, image_set=["S", 1, 2])
    image = world.event().message
    assert isinstance(image, ImageMessageContent), image
    assert image.content_provider.type == "line" and image.image_set.total == 2, image
    world.post(kind="file", name="a.txt", base64=data)
    file = world.event().message
    assert isinstance(file, FileMessageContent) and (file.file_name, file.file_size) == ("a.txt", 4), file
    world.post(kind="video", base64=data, duration_ms=60000)
    assert world.event().message.duration == 60000
    world.post(kind="audio", external="https://e.test/a.m4a")
    assert world.event().message.content_provider.original_content_url == "https://e.test/a.m4a"
    world.post(kind="location", place=["Tokyo", "1-1"], coordinates=[35.68, 139.7])
    place = world.event().message
    assert (place.title, place.latitude) == ("Tokyo", 35.68), place


@check
def shows_who_comes_and_goes(world):
    world.act("follow", user=world.ada)
    assert isinstance(world.event(), FollowEvent)
    world.act("unfollow", user=world.ada)
    assert isinstance(world.event(), UnfollowEvent)
    chat = world.group()
    world.act("join", chat=chat)
    joined = world.event()
    assert isinstance(joined, JoinEvent) and joined.source.group_id == chat and joined.reply_token
    ben = control("POST", "users", {"name": "Ben"})["user"]
    control("POST", "actions", {"action": "member", "chat": chat, "user": ben, "inside": True})
    member = world.event()
    assert isinstance(member, MemberJoinedEvent) and member.joined.members[0].user_id == ben


@check
def marks_mentions_and_quotes(world):
    chat = world.group(bot=world.bot)
    said = world.say("🍎 @Kit hello", chat)
    event = world.event()
    (mentionee,) = event.message.mention.mentionees
    assert (mentionee.index, mentionee.length, mentionee.is_self) == (3, 4, True), mentionee
    world.say("what I said", chat, quote=said)
    assert world.event().message.quoted_message_id == said


@check
def shows_the_rarer_events(world):
    def event(kind, fields, repliable=True):
        world.act("event", chat=world.ada, kind=kind, fields=fields, repliable=repliable)
        return world.event()

    beacon = event("beacon", {"beacon": {"hwid": "d41d8cd98f", "type": "enter", "dm": "00"}})
    assert isinstance(beacon, BeaconEvent) and beacon.beacon.hwid == "d41d8cd98f" and beacon.reply_token
    played = event("videoPlayComplete", {"videoPlayComplete": {"trackingId": "t"}})
    assert isinstance(played, VideoPlayCompleteEvent) and played.video_play_complete.tracking_id == "t"
    linked = event("accountLink", {"link": {"result": "ok", "nonce": "n"}})
    assert isinstance(linked, AccountLinkEvent) and linked.link.nonce == "n"
    suspended = event("botSuspended", {}, repliable=False)
    assert isinstance(suspended, BotSuspendedEvent) and suspended.webhook_event_id


@check
def keeps_unknown_events_readable(world):
    world.act("event", chat=world.ada, kind="somethingNew", fields={"somethingNew": {"a": 1}})
    event = world.event()
    assert event.type == "somethingNew", event


@check
def replies_once(world):
    world.say("hello")
    event = world.event()
    with world.api() as api:
        request = ReplyMessageRequest(reply_token=event.reply_token, messages=[TextMessage(text="hi")])
        (sent,) = api.reply_message(request).sent_messages
        assert sent.id and sent.quote_token
        with raises(ApiException, 400, "Invalid reply token"):
            api.reply_message(request)
    assert [(m["message"]["text"], m["via"]) for m in world.sent()] == [("hi", "reply")]


@check
def reply_tokens_end(world):
    world.say("hello")
    event = world.event()
    control("POST", "clock", {"advance_ms": 61_000})
    with world.api() as api, raises(ApiException, 400, "Invalid reply token"):
        api.reply_message(ReplyMessageRequest(reply_token=event.reply_token, messages=[TextMessage(text="late")]))


@check
def pushes_once_per_retry_key(world):
    key = str(uuid.uuid4())
    with world.api() as api:
        request = PushMessageRequest(to=world.ada, messages=[TextMessage(text="once")])
        first = api.push_message_with_http_info(request, x_line_retry_key=key)
        headers = {name.lower(): value for name, value in first.headers.items()}
        with raises(ApiException, 409, "already accepted") as found:
            api.push_message(request, x_line_retry_key=key)
    body, error = found
    again = {name.lower(): value for name, value in error.headers.items()}
    assert again["x-line-accepted-request-id"] == headers["x-line-request-id"], again
    assert [m.id for m in body.sent_messages] == [m.id for m in first.data.sent_messages]
    assert len(world.sent()) == 1
    with raises(ApiException, 400):
        world.push(TextMessage(text="no uuid"), key="nonsense")


@check
def a_lost_answer_is_found_by_its_key(world):
    key = str(uuid.uuid4())
    world.fault("push", "fail_after")
    with contextlib.suppress(ServiceException):
        world.push(TextMessage(text="once"), key=key)
        raise AssertionError("the call did not fail")
    with raises(ApiException, 409):
        world.push(TextMessage(text="once"), key=key)
    assert len(world.sent()) == 1


@check
def takes_rich_messages(world):
    bubble = {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [
        {"type": "text", "text": "x", "wrap": True},
        {"type": "button", "action": {"type": "uri", "label": "Go", "uri": "https://e.test/"}},
    ]}}
    buttons = ButtonsTemplate(text="?", actions=[PostbackAction(label="A", data="a:1"), MessageAction(label="B", text="b")])
    quick = QuickReply(items=[QuickReplyItem(action=MessageAction(label="C", text="c"))])
    picture = "https://e.test/i.png"
    sent = world.push(
        FlexMessage(alt_text="f", contents=FlexContainer.from_dict(bubble)),
        TemplateMessage(alt_text="t", template=buttons),
        ImageMessage(original_content_url=picture, preview_image_url=picture),
        TextMessage(text="pick", quick_reply=quick),
    ).sent_messages
    assert len(sent) == 4
    world.act("press", user=world.ada, message=sent[1].id, wanted="a:1")
    pressed = world.event()
    assert isinstance(pressed, PostbackEvent) and pressed.postback.data == "a:1" and pressed.reply_token
    world.act("press", user=world.ada, message=sent[3].id, wanted="C")
    assert world.event().message.text == "c"


@check
def names_what_is_wrong_with_a_message(world):
    with raises(ApiException, 400, "The request body has 1 error(s)") as found:
        world.push(TextMessage(text="fine"), TextMessage(text="🍎" * 2501))
    assert found[0].details[0].var_property == "messages[1].text", found[0]
    with world.api() as api, raises(ApiException, 400):
        api.validate_push(ValidateMessageRequest(messages=[TextMessage(text="")]))
    with world.api() as api:
        api.validate_push(ValidateMessageRequest(messages=[TextMessage(text="fine")]))
    with raises(ApiException, 400):
        world.push(TextMessageV2(text="Hi {u}"))
    assert world.sent() == []


@check
def quotes_by_token(world):
    world.say("quote me")
    token = world.event().message.quote_token
    (sent,) = world.push(TextMessage(text="as you said", quote_token=token)).sent_messages
    world.push(TextMessage(text="as I said", quote_token=sent.quote_token))
    with raises(ApiException, 400):
        world.push(TextMessage(text="as nobody said", quote_token="nonsense"))


@check
def counts_the_monthly_limit(world):
    with world.api() as api:
        quota = api.get_message_quota()
        assert (quota.type, quota.value) == ("limited", 20), quota
        world.push(TextMessage(text="one"))
        api.multicast(MulticastRequest(to=[world.ada], messages=[TextMessage(text="two")]))
        assert api.get_message_quota_consumption().total_usage == 2
        for _ in range(18):
            world.push(TextMessage(text="more"))
        with raises(ApiException, 429, "monthly limit"):
            world.push(TextMessage(text="too much"))


@check
def limits_rates_on_demand(world):
    world.fault("push", "too_many_requests")
    with raises(ApiException, 429, "rate limit"):
        world.push(TextMessage(text="x"))
    world.push(TextMessage(text="x"))


@check
def shows_profiles_of_friends_and_members(world):
    with world.api() as api:
        with raises(NotFoundException, 404):
            api.get_profile(world.ada)
        world.say("hello")
        profile = api.get_profile(world.ada)
        assert (profile.display_name, profile.user_id) == ("Ada", world.ada)
        chat = world.group(bot=world.bot)
        assert api.get_group_summary(chat).group_name == "Team"
        assert api.get_group_member_profile(chat, world.ada).display_name == "Ada"
        assert api.get_group_member_count(chat).count == 1
        with raises(ForbiddenException, 403, "not available for your account"):
            api.get_group_members_ids(chat)
        api.leave_group(chat)
        with raises(NotFoundException, 404):
            api.get_group_summary(chat)


@check
def hands_out_content_when_it_is_ready(world):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    message = world.post(kind="image", mime="image/png", base64=base64.b64encode(picture).decode(), preparing=1)
    with world.blob() as blob:
        first = blob.get_message_content_with_http_info(message)
        assert first.status_code == 202, first.status_code
        second = blob.get_message_content_with_http_info(message)
        assert second.status_code == 200 and bytes(second.data) == picture
        assert blob.get_message_content_preview(message)
        with raises(NotFoundException, 404):
            blob.get_message_content("1")
        control("POST", "actions", {"action": "expire_content", "message": message})
        with raises(ApiException, 410):
            blob.get_message_content(message)
    with world.blob(EMULATOR) as blob, raises(NotFoundException, 404):
        blob.get_message_content(message)


@check
def tells_how_far_a_video_is(world):
    message = world.post(kind="video", base64="AAAA", preparing=1)
    with world.blob() as blob:
        states = [blob.get_message_content_transcoding_by_message_id(message).status for _ in range(2)]
    assert [str(getattr(state, "value", state)) for state in states] == ["processing", "succeeded"], states


@check
def shows_the_loading_animation_to_people_only(world):
    with world.api() as api:
        api.show_loading_animation(ShowLoadingAnimationRequest(chat_id=world.ada, loading_seconds=5))
        (running,) = control("GET", f"bots/{world.bot}/loadings")
        assert running["seconds"] == 5
        with raises(ApiException, 400):
            api.show_loading_animation(ShowLoadingAnimationRequest(chat_id=world.group(bot=world.bot)))
    world.push(TextMessage(text="done"))
    assert control("GET", f"bots/{world.bot}/loadings") == []


@check
def delivers_again_with_the_mark(world):
    world.endpoint.answers += [500]
    world.say("hello")
    first, second = world.event(), world.event()
    assert first.webhook_event_id == second.webhook_event_id and first.reply_token == second.reply_token
    assert (first.delivery_context.is_redelivery, second.delivery_context.is_redelivery) == (False, True)


@check
def delivers_several_events_in_one_body(world):
    world.act("hold")
    world.say("one")
    said = world.say("two")
    world.act("unsend", user=world.ada, message=said)
    world.act("release")
    one, two, unsent = world.parser.parse(*world.raw())
    assert (one.message.text, two.message.text) == ("one", "two")
    assert isinstance(unsent, UnsendEvent) and unsent.unsend.message_id == said


@check
def stands_by(world):
    world.act("standby", chat=world.ada, standby=True)
    world.say("not for you")
    event = world.event()
    assert event.mode == "standby" and event.reply_token is None, event


@check
def verifies_the_webhook(world):
    with world.api() as api:
        result = api.test_webhook_endpoint()
        assert result.success and result.status_code == 200, result
        assert world.parser.parse(*world.raw()) == []
        world.endpoint.answers += [500]
        assert not api.test_webhook_endpoint().success
        world.raw()
        world.act("verify")
        first, second = world.parser.parse(*world.raw())
        assert (first.reply_token, second.reply_token) == ("0" * 32, "f" * 32)
        with raises(ApiException, 400, "Invalid reply token"):
            api.reply_message(ReplyMessageRequest(reply_token="0" * 32, messages=[TextMessage(text="x")]))


@check
def sets_the_webhook(world):
    other = Endpoint()
    with world.api() as api:
        assert api.get_webhook_endpoint().endpoint == world.endpoint.url
        api.set_webhook_endpoint(SetWebhookEndpointRequest(endpoint=other.url))
    world.say("over here")
    assert world.parser.parse(*other.received.get(timeout=PATIENCE))[0].message.text == "over here"


def main():
    logging.disable(logging.CRITICAL)
    for number, scenario in enumerate(CHECKS, 1):
        try:
            scenario(World(number))
        except Exception as error:  # a check may fail in any way, and the others still run
            words = str(error).replace("\n", " ")
            print(f"FAIL line/python/{scenario.__name__}: {type(error).__name__}: {words}", flush=True)
            control("DELETE", "faults")
        else:
            print(f"ok line/python/{scenario.__name__}", flush=True)


main()
