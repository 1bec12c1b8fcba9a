"""slack_sdk and slack_bolt against the emulated Slack: slack_python.py <emulator address>."""

import contextlib
import http.server
import json
import logging
import queue
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from slack_bolt import App, BoltRequest
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.oauth.oauth_flow import OAuthFlow
from slack_bolt.oauth.oauth_settings import OAuthSettings
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.oauth.token_rotation import TokenRotator
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.webhook import WebhookClient

EMULATOR = sys.argv[1]
PATIENCE = 20
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{EMULATOR}/_control/slack/{path}", data, {"content-type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.read().decode()}") from None


def act(action, **fields):
    return control("POST", "actions", {"action": action, **fields})


def until(probe):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@contextlib.contextmanager
def refused(code):
    try:
        yield
    except SlackApiError as error:
        assert error.response["error"] == code, error.response.data
    else:
        raise AssertionError(f"was not refused with {code}")


class Endpoint(http.server.ThreadingHTTPServer):
    """A request URL in front of a Bolt app; `statuses` are answered first, without the app."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.app = None
        self.statuses = []
        self.received = queue.Queue()
        self.answered = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/slack/events"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.received.put((dict(self.headers), body))
        if self.server.statuses:
            self.send_response(self.server.statuses.pop(0))
            self.end_headers()
            return
        answer = self.server.app.dispatch(BoltRequest(body=body, headers={k: [v] for k, v in self.headers.items()}))
        self.server.answered.put(answer.status)
        self.send_response(answer.status)
        for name, values in answer.headers.items():
            for value in values:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write((answer.body or "").encode())

    def log_message(self, *_):
        pass


class World:
    """A workspace with an app of its own, a person, a channel and a Bolt app."""

    def __init__(self, number, socket=False, **fields):
        self.token = f"xoxb-python-{number}"
        self.app_token = f"xapp-python-{number}"
        self.secret = f"{number:032x}"
        self.endpoint = Endpoint()
        self.client_id = f"{number}.1"
        new = {"name": "Kit", "signing_secret": self.secret, "client_id": self.client_id, "client_secret": "secret"}
        for field in ("events_url", "interactions_url", "options_url", "commands_url"):
            new[field] = self.endpoint.url
        if socket:
            new["app_token"] = self.app_token
        self.app_id = control("POST", "apps", new | fields)["app"]
        self.team = control("POST", "workspaces", {"name": f"Kit {number}"})["team"]
        self.install = act("install", app=self.app_id, team=self.team, token=self.token)
        self.bot = self.install["bot_user"]
        self.ada = control("POST", "users", {"team": self.team, "name": "Ada"})["user"]
        members = [self.ada, self.bot]
        self.general = control("POST", "channels", {"team": self.team, "name": "general", "members": members})["channel"]
        self.direct = act("direct", app=self.app_id, user=self.ada)["channel"]
        self.client = WebClient(token=self.token, base_url=f"{EMULATOR}/api/")
        self.bolt = self.endpoint.app = App(signing_secret=self.secret, client=self.client)

    def say(self, text, channel=None, **post):
        post["text"] = text
        return act("say", channel=channel or self.direct, user=self.ada, post=post)["ts"]

    def settled(self, interaction):
        return until(lambda: (one := control("GET", f"interactions?number={interaction}"))["settled"] and one)

    def history(self, channel=None):
        return control("GET", f"channels/{channel or self.general}/history")

    def ephemerals(self):
        return control("GET", f"channels/{self.general}/ephemerals")

    def fault(self, method, fault, count=1, **details):
        control("POST", "faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})


@check
def names_itself(world):
    answer = world.client.auth_test()
    assert (answer["user_id"], answer["bot_id"]) == (world.bot, world.install["bot_id"]), answer.data
    assert "chat:write" in answer.headers["x-oauth-scopes"]
    assert world.client.api_test()["ok"]
    with refused("invalid_auth"):
        WebClient(token="xoxb-nonsense", base_url=f"{EMULATOR}/api/").auth_test()
    with refused("not_authed"):
        WebClient(base_url=f"{EMULATOR}/api/").auth_test()


@check
def hears_a_direct_message_and_answers_in_its_thread(world):
    heard = queue.Queue()

    @world.bolt.event("message")
    def message(event, say, ack):
        heard.put(event)
        say(f"echo: {event['text']}", thread_ts=event["ts"])

    ts = world.say("hi 你好 🍎 & <you>")
    event = heard.get(timeout=PATIENCE)
    assert event["text"] == "hi 你好 🍎 &amp; &lt;you&gt;" and event["channel_type"] == "im", event
    reply = until(lambda: [m for m in world.history(world.direct) if m["via"] == "chat.postMessage"])[0]
    assert reply["thread_ts"] == ts and reply["text"] == f"echo: {event['text']}", reply
    replies = world.client.conversations_replies(channel=world.direct, ts=ts)["messages"]
    assert [m["ts"] for m in replies] == [ts, reply["ts"]] and replies[0]["reply_count"] == 1, replies


@check
def hears_a_mention_beside_the_message(world):
    heard = queue.Queue()
    world.bolt.event("app_mention")(lambda event: heard.put(("app_mention", event)))
    world.bolt.event("message")(lambda event: heard.put(("message", event)))
    world.say(f"<@{world.bot}> hello", world.general)
    both = dict(heard.get(timeout=PATIENCE) for _ in range(2))
    assert both["app_mention"]["ts"] == both["message"]["ts"], both
    # Its own posts come back to the app, and Bolt drops them.
    world.client.chat_postMessage(channel=world.general, text="mine")
    until(lambda: world.endpoint.received.qsize() >= 3)
    assert heard.empty()


@check
def is_stopped_by_a_wrong_signature(world):
    world.bolt.event("message")(lambda: None)
    control("POST", "faults", {"wrong_signatures": 1})
    world.say("forged")
    assert world.endpoint.answered.get(timeout=PATIENCE) == 401
    world.say("real")
    until(lambda: 200 in world.endpoint.answered.queue)
    headers, body = world.endpoint.received.get()
    assert not SignatureVerifier(world.secret).is_valid_request(body, headers)
    until(lambda: world.endpoint.received.qsize() >= 1)
    headers, body = world.endpoint.received.get()
    assert SignatureVerifier(world.secret).is_valid_request(body, headers)


@check
def answers_the_challenge(world):
    body = json.dumps({"type": "url_verification", "token": "x", "challenge": "ch4ll3ng3"})
    now = str(int(time.time()))
    signature = SignatureVerifier(world.secret).generate_signature(timestamp=now, body=body)
    headers = {"x-slack-signature": [signature], "x-slack-request-timestamp": [now], "content-type": ["application/json"]}
    answer = world.bolt.dispatch(BoltRequest(body=body, headers=headers))
    assert answer.status == 200 and "ch4ll3ng3" in answer.body, answer.body


@check
def is_delivered_again_with_number_and_reason(world):
    world.bolt.event("message")(lambda: None)
    world.endpoint.statuses += [500]
    world.say("hello")
    (_, one), (headers, two) = (world.endpoint.received.get(timeout=PATIENCE) for _ in range(2))
    lower = {name.lower(): value for name, value in headers.items()}
    assert one == two and lower["x-slack-retry-num"] == "1" and lower["x-slack-retry-reason"] == "http_error", lower


@check
def edits_and_deletes_its_own(world):
    post = world.client.chat_postMessage(channel=world.general, text="one", unfurl_links=False)
    edit = world.client.chat_update(channel=world.general, ts=post["ts"], text="two")
    assert edit["message"]["edited"]["user"] == world.bot and edit["text"] == "two", edit.data
    link = world.client.chat_getPermalink(channel=world.general, message_ts=post["ts"])["permalink"]
    assert post["ts"].replace(".", "") in link
    world.client.chat_delete(channel=world.general, ts=post["ts"])
    with refused("message_not_found"):
        world.client.chat_update(channel=world.general, ts=post["ts"], text="three")
    other = world.say("hers", world.general)
    with refused("cant_update_message"):
        world.client.chat_update(channel=world.general, ts=other, text="mine")


@check
def whispers_and_posts_later(world):
    whisper = world.client.chat_postEphemeral(channel=world.general, user=world.ada, text="psst")
    assert world.ephemerals()[0]["ts"] == whisper["message_ts"]
    later = world.client.chat_scheduleMessage(channel=world.general, post_at=int(time.time()) + 600, text="later")
    listed = world.client.chat_scheduledMessages_list(channel=world.general)["scheduled_messages"]
    assert [m["id"] for m in listed] == [later["scheduled_message_id"]]
    world.client.chat_deleteScheduledMessage(
        channel=world.general, scheduled_message_id=later["scheduled_message_id"]
    )
    with refused("invalid_scheduled_message_id"):
        world.client.chat_deleteScheduledMessage(
            channel=world.general, scheduled_message_id=later["scheduled_message_id"]
        )


@check
def reacts(world):
    heard = queue.Queue()
    world.bolt.event("reaction_added")(lambda event: heard.put(event))
    world.bolt.event("message")(lambda: None)
    ts = world.say("hi", world.general)
    world.client.reactions_add(channel=world.general, timestamp=ts, name="eyes")
    with refused("already_reacted"):
        world.client.reactions_add(channel=world.general, timestamp=ts, name="eyes")
    act("react", channel=world.general, user=world.ada, ts=ts, name="tada")
    assert heard.get(timeout=PATIENCE)["reaction"] == "tada"
    got = world.client.reactions_get(channel=world.general, timestamp=ts)["message"]["reactions"]
    assert [r["name"] for r in got] == ["eyes", "tada"], got
    world.client.reactions_remove(channel=world.general, timestamp=ts, name="eyes")


@check
def uploads_and_downloads_files(world):
    content = bytes(range(256)) * 40
    done = world.client.files_upload_v2(
        channel=world.general, filename="a.bin", content=content, title="A", initial_comment="here"
    )
    info = world.client.files_info(file=done["file"]["id"])["file"]
    assert info["size"] == len(content) and info["title"] == "A", info
    assert info["shares"]["public"][world.general][0]["ts"] == world.history()[-1]["ts"]
    request = urllib.request.Request(info["url_private_download"], headers={"authorization": f"Bearer {world.token}"})
    assert urllib.request.urlopen(request, timeout=PATIENCE).read() == content
    page = urllib.request.urlopen(info["url_private"], timeout=PATIENCE)
    assert page.headers["content-type"].startswith("text/html")
    heard = queue.Queue()
    world.bolt.event("message")(lambda event: heard.put(event))
    world.say("see", files=[{"name": "b.txt", "base64": "aGVsbG8="}])
    event = heard.get(timeout=PATIENCE)
    assert event["subtype"] == "file_share" and event["files"][0]["mimetype"] == "text/plain", event


BUTTONS = [
    {
        "type": "actions",
        "block_id": "b1",
        "elements": [{"type": "button", "action_id": "go", "value": "1", "text": {"type": "plain_text", "text": "Go"}}],
    }
]


@check
def acknowledges_a_press_and_uses_its_response_url(world):
    pressed = queue.Queue()

    @world.bolt.action("go")
    def go(ack, body, respond):
        ack()
        respond(text="done", replace_original=True)
        pressed.put(body)

    ts = world.client.chat_postMessage(channel=world.general, text="Run it?", blocks=BUTTONS)["ts"]
    number = act("press", channel=world.general, user=world.ada, ts=ts, wanted="Go")["interaction"]
    body = pressed.get(timeout=PATIENCE)
    assert body["actions"][0]["value"] == "1" and body["container"]["message_ts"] == ts, body
    assert world.settled(number)["error"] is None
    until(lambda: world.history()[-1]["text"] == "done")
    for _ in range(4):
        assert WebhookClient(body["response_url"]).send(text="more").body == "ok"
    assert WebhookClient(body["response_url"]).send(text="too much").status_code == 404


@check
def opens_and_submits_a_modal(world):
    view = {
        "type": "modal",
        "callback_id": "form",
        "title": {"type": "plain_text", "text": "Form"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "name",
                "label": {"type": "plain_text", "text": "Name"},
                "element": {"type": "plain_text_input", "action_id": "value"},
            }
        ],
    }
    submitted = queue.Queue()

    @world.bolt.shortcut("start")
    def start(ack, body, client):
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=view)

    @world.bolt.view("form")
    def form(ack, body):
        name = body["view"]["state"]["values"]["name"]["value"]["value"]
        submitted.put(name)
        if name == "x":
            ack(response_action="errors", errors={"name": "too short"})
        else:
            ack()

    act("shortcut", app=world.app_id, user=world.ada, callback_id="start")
    (shown,) = until(lambda: control("GET", f"users/{world.ada}/views"))

    def submit(name):
        values = {"name": {"value": {"type": "plain_text_input", "value": name}}}
        return world.settled(act("submit", view=shown["id"], values=values)["interaction"])

    assert submit("x")["answer"]["response_action"] == "errors"
    assert len(control("GET", f"users/{world.ada}/views")) == 1
    assert submit("Ada")["error"] is None and submitted.get() == "x" and submitted.get() == "Ada"
    assert control("GET", f"users/{world.ada}/views") == []
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    assert world.client.views_publish(user_id=world.ada, view=home)["view"]["type"] == "home"
    with refused("invalid_trigger_id"):
        world.client.views_open(trigger_id="1.2.3", view=view)


@check
def answers_a_command(world):
    @world.bolt.command("/kit")
    def kit(ack, command, respond):
        ack(f"got {command['text']}")
        respond(text="and all", response_type="in_channel")

    world.bolt.event("message")(lambda: None)
    fields = {"app": world.app_id, "channel": world.general, "user": world.ada, "command": "/kit", "text": "a b"}
    done = world.settled(act("command", **fields)["interaction"])
    assert done["error"] is None and done["answer"] == "got a b", done
    assert world.ephemerals()[0]["text"] == "got a b"
    until(lambda: [m for m in world.history() if m["text"] == "and all"])


@check
def finds_people_and_places(world):
    user = world.client.users_info(user=world.ada)["user"]
    assert user["real_name"] == "Ada" and not user["is_bot"]
    assert {u["id"] for u in world.client.users_list()["members"]} == {world.ada, world.bot}
    assert world.client.bots_info(bot=world.install["bot_id"])["bot"]["user_id"] == world.bot
    assert world.client.conversations_info(channel=world.general)["channel"]["is_member"]
    assert world.client.conversations_info(channel=world.direct)["channel"]["user"] == world.ada
    assert set(world.client.conversations_members(channel=world.general)["members"]) == {world.ada, world.bot}
    assert world.client.conversations_open(users=[world.ada])["channel"]["id"] == world.direct
    for number in range(5):
        world.say(str(number), world.general)
    pages = world.client.conversations_history(channel=world.general, limit=2)
    texts = [m["text"] for page in pages for m in page["messages"]]
    assert texts == ["4", "3", "2", "1", "0"], texts
    with refused("channel_not_found"):
        world.client.conversations_info(channel="C0NONE")


@check
def explains_what_is_wrong_with_blocks(world):
    try:
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
        world.client.chat_postMessage(channel=world.general, text="x", blocks=[section])
        raise AssertionError("was not refused")
    except SlackApiError as error:
        assert error.response["error"] == "invalid_blocks"
        assert "/blocks/0/text/text" in error.response["response_metadata"]["messages"][0]
    with refused("no_text"):
        world.client.chat_postMessage(channel=world.general)
    with refused("msg_too_long"):
        world.client.chat_postMessage(channel=world.general, markdown_text="x" * 12_001)


@check
def waits_out_a_rate_limit(world):
    world.fault("chat.postMessage", "rate_limited", retry_after=1)
    try:
        world.client.chat_postMessage(channel=world.general, text="x")
        raise AssertionError("was not limited")
    except SlackApiError as error:
        assert error.response.status_code == 429 and error.response.headers["Retry-After"] == "1"
        assert error.response["error"] == "ratelimited"
    world.fault("chat.postMessage", "rate_limited", retry_after=1)
    world.client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    assert world.client.chat_postMessage(channel=world.general, text="after all")["ok"]
    world.fault("chat.postMessage", "refuse", error="is_archived")
    with refused("is_archived"):
        world.client.chat_postMessage(channel=world.general, text="x")


@check
def streams(world):
    ts = world.say("tell me", world.general)
    stream = world.client.chat_stream(
        channel=world.general, thread_ts=ts, recipient_user_id=world.ada, recipient_team_id=world.team, buffer_size=4
    )
    for word in ("one ", "two ", "three"):
        stream.append(markdown_text=word)
    stream.stop()
    (message,) = [m for m in world.history() if m["via"] == "chat.startStream"]
    assert message["text"] == "one two three" and not message["streaming"], message
    with refused("message_not_in_streaming_state"):
        world.client.chat_appendStream(channel=world.general, ts=message["ts"], markdown_text="late")


def socket_client(world):
    client = SocketModeClient(app_token=world.app_token, web_client=world.client)
    heard = queue.Queue()

    def listen(client, request):
        answers = {"slash_commands": {"text": "by socket"}}
        client.send_socket_mode_response(
            SocketModeResponse(envelope_id=request.envelope_id, payload=answers.get(request.type))
        )
        heard.put(request)

    client.socket_mode_request_listeners.append(listen)
    client.connect()
    until(lambda: control("GET", f"apps/{world.app_id}/sockets")["open"] == 1)
    return client, heard


@check
def receives_by_socket(world):
    world = World(2001, socket=True)
    client, heard = socket_client(world)
    world.say("hello")
    request = heard.get(timeout=PATIENCE)
    assert request.type == "events_api" and request.payload["event"]["text"] == "hello"
    assert (request.retry_attempt, request.retry_reason) == (0, ""), vars(request)
    fields = {"app": world.app_id, "channel": world.general, "user": world.ada, "command": "/kit", "text": "x"}
    done = world.settled(act("command", **fields)["interaction"])
    assert done["answer"] == {"text": "by socket"} and heard.get().type == "slash_commands"
    ts = world.client.chat_postMessage(channel=world.general, text="Run it?", blocks=BUTTONS)["ts"]
    act("press", channel=world.general, user=world.ada, ts=ts, wanted="go")
    until(lambda: any(r.type == "interactive" for r in list(heard.queue)))
    until(lambda: control("GET", f"apps/{world.app_id}/sockets")["pending"] == 0)
    client.close()


@check
def changes_sockets_on_demand(world):
    world = World(2002, socket=True)
    client, heard = socket_client(world)
    known = set()
    for reason in ("refresh_requested", "warning"):
        act("disconnect", app=world.app_id, reason=reason)
        # The new one is open before the old one has gone.
        until(lambda: control("GET", f"apps/{world.app_id}/sockets")["open"] == 2)
        world.say(reason)
        event = heard.get(timeout=PATIENCE).payload
        # The library may have acknowledged on the socket that it was closing: it comes again.
        while event["event_id"] in known:
            event = heard.get(timeout=PATIENCE).payload
        known.add(event["event_id"])
        assert event["event"]["text"] == reason
        until(lambda: control("GET", f"apps/{world.app_id}/sockets")["open"] == 1)
    client.close()


@check
def bolt_runs_by_socket(world):
    world = World(2003, socket=True)
    handler = SocketModeHandler(world.bolt, world.app_token, web_client=world.client, ping_interval=1)

    @world.bolt.event("message")
    def message(event, say):
        say(f"echo: {event['text']}")

    world.say("early")
    handler.connect()
    until(lambda: [m for m in world.history(world.direct) if m["text"] == "echo: early"])
    act("cut_sockets", app=world.app_id)
    world.say("late")
    until(lambda: [m for m in world.history(world.direct) if m["text"] == "echo: late"])
    handler.close()


@check
def installs_with_oauth(world):
    settings = OAuthSettings(
        client_id=world.client_id,
        client_secret="secret",
        scopes=["chat:write", "commands"],
        redirect_uri="http://127.0.0.1:9/callback",
        authorization_url=f"{EMULATOR}/oauth/v2/authorize",
        installation_store=FileInstallationStore(base_dir=tempfile.mkdtemp()),
        state_store=FileOAuthStateStore(expiration_seconds=60, base_dir=tempfile.mkdtemp()),
    )
    flow = OAuthFlow(client=WebClient(base_url=f"{EMULATOR}/api/"), settings=settings)
    state = settings.state_store.issue()
    url = flow.build_authorize_url(state, BoltRequest(body="")) + f"&team={world.team}"

    class Still(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        urllib.request.build_opener(Still).open(url, timeout=PATIENCE)
        raise AssertionError("no redirect")
    except urllib.error.HTTPError as error:
        query = urllib.parse.parse_qs(urllib.parse.urlparse(error.headers["location"]).query)
    assert query["state"] == [state]
    installation = flow.run_installation(query["code"][0])
    assert installation.team_id == world.team and installation.bot_user_id == world.bot
    client = WebClient(token=installation.bot_token, base_url=f"{EMULATOR}/api/")
    assert client.auth_test()["team_id"] == world.team
    assert flow.run_installation(query["code"][0]) is None
    client.auth_revoke()
    with refused("token_revoked"):
        client.auth_test()


@check
def rotates_tokens(world):
    web = WebClient(base_url=f"{EMULATOR}/api/")
    given = web.oauth_v2_exchange(token=world.token, client_id=world.client_id, client_secret="secret")
    assert given["access_token"].startswith("xoxe.xoxb-") and given["expires_in"] == 43200, given.data
    with refused("token_revoked"):
        world.client.auth_test()
    from slack_sdk.oauth.installation_store import Bot

    bot = Bot(
        app_id=world.app_id, team_id=world.team, bot_token=given["access_token"], bot_id="B", bot_user_id=world.bot,
        bot_scopes=["chat:write"], bot_refresh_token=given["refresh_token"], bot_token_expires_in=60,
        installed_at=time.time(),
    )
    rotator = TokenRotator(client_id=world.client_id, client_secret="secret", client=web)
    renewed = rotator.perform_bot_token_rotation(bot=bot, minutes_before_expiration=120)
    assert renewed.bot_token != given["access_token"]
    assert WebClient(token=renewed.bot_token, base_url=f"{EMULATOR}/api/").auth_test()["user_id"] == world.bot
    with refused("invalid_refresh_token"):
        web.oauth_v2_access(
            client_id=world.client_id, client_secret="secret", grant_type="refresh_token",
            refresh_token=given["refresh_token"],
        )


@check
def hears_of_its_end(world):
    heard = queue.Queue()
    # Bolt looks up who it is before each event, which no token of a dead installation can.
    app = App(signing_secret=world.secret, client=world.client, authorize=lambda: None)
    world.endpoint.app = app
    act("uninstall", app=world.app_id, team=world.team)
    bodies = [json.loads(world.endpoint.received.get(timeout=PATIENCE)[1]) for _ in range(2)]
    assert {body["event"]["type"] for body in bodies} == {"tokens_revoked", "app_uninstalled"}, heard
    with refused("account_inactive"):
        world.client.auth_test()


def main():
    logging.disable(logging.CRITICAL)
    for number, scenario in enumerate(CHECKS, 1):
        try:
            scenario(World(number))
        except Exception as error:  # a check may fail in any way, and the others still run
            words = str(error).replace("\n", " ")
            print(f"FAIL slack/python/{scenario.__name__}: {type(error).__name__}: {words}", flush=True)
            control("DELETE", "faults")
        else:
            print(f"ok slack/python/{scenario.__name__}", flush=True)


main()
