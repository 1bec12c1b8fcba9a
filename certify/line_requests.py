"""What channel-line sends, against the models of line-bot-sdk: line_requests.py <recorded requests>.

No package carries LINE's OpenAPI description (https://github.com/line/line-openapi) itself. The SDK's calls and models are
generated from it: paths, parameters and headers are read out of the calls, and a body has to go through the model of
its call and come back whole, so an unknown field, a missing one, a wrong type, a word that is no choice, and a list
or text over its limit each fail. That this can fail is a check of its own: every body is spoiled in many ways.
"""

import copy
import inspect
import json
import re
import sys
import uuid

from linebot.v3.messaging import MessagingApi, MessagingApiBlob, models

HOSTS = {MessagingApi: "api.line.me", MessagingApiBlob: "api-data.line.me"}
# What the SDK's models do not know of a field: its keys are free.
FREE = {"substitution"}
# What has to be among the requests, or the record shows too little.
CALLS = {
    "reply_message", "push_message", "show_loading_animation", "mark_messages_as_read_by_token",
    "get_message_content", "get_message_content_transcoding_by_message_id", "get_bot_info", "get_profile",
    "get_group_member_profile", "get_message_quota", "get_message_quota_consumption", "set_webhook_endpoint",
}  # fmt: skip
MESSAGES = {"text", "textV2", "sticker", "image", "video", "audio", "template", "flex"}
FIELDS = {"quickReply", "quoteToken", "notificationDisabled", "substitution"}


class Call:
    """A call of the SDK: where it goes, and what it takes."""

    def __init__(self, api, name):
        function = getattr(api, f"{name}_with_http_info")
        source = inspect.getsource(function)
        path, self.method = re.search(r"call_api\(\s*'([^']+)', '([A-Z]+)'", source).groups()
        self.name, self.host = name, HOSTS[api]
        self.path = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        self.headers = {header.lower() for header in re.findall(r"_header_params\['(X-[^']+)'\]", source)}
        body = re.search(r"_body_params = _params\['(\w+)'\]", source)
        types = dict(re.findall(r":type (\w+): (\w+)", source))
        self.body = getattr(models, types[body.group(1)], None) if body else None

    def fits(self, request):
        return (request["method"], request["host"]) == (self.method, self.host) and self.path.fullmatch(request["path"])


def calls():
    for api in HOSTS:
        for name, _ in inspect.getmembers(api, inspect.isfunction):
            if name.endswith("_with_http_info"):
                yield Call(api, name.removesuffix("_with_http_info"))


def lost(sent, read, at="body"):
    """Where the model has not kept what was sent."""
    if isinstance(sent, dict) and isinstance(read, dict):
        for key, value in sent.items():
            if key not in read:
                yield f"{at}.{key} is unknown"
            else:
                yield from lost(value, read[key], f"{at}.{key}")
    elif isinstance(sent, list) and isinstance(read, list) and len(sent) == len(read):
        for index, (mine, theirs) in enumerate(zip(sent, read)):
            yield from lost(mine, theirs, f"{at}[{index}]")
    elif type(sent) is not type(read) or sent != read:
        yield f"{at} is {sent!r}, read as {read!r}"


def judge_body(model, body):
    try:
        read = model.from_dict(copy.deepcopy(body)).to_dict()
    except Exception as error:  # models and their look-ups refuse in many ways
        return [f"{type(error).__name__}: {' '.join(str(error).split())}"]
    return list(lost(body, read))


def judge(request, known):
    """The call that a request is, and what is wrong with it."""
    fitting = [call for call in known if call.fits(request)]
    if len(fitting) != 1:
        return None, [f"{len(fitting)} calls are {request['method']} {request['host']}{request['path']}"]
    call, headers, wrong = fitting[0], request["headers"], []
    if not re.fullmatch(r"Bearer \S+", headers.get("authorization", "")):
        wrong.append("no bearer token")
    if request["query"] is not None:
        wrong.append(f"unknown query {request['query']}")
    wrong += [f"unknown header {name}" for name in headers if name.startswith("x-") and name not in call.headers]
    if "x-line-retry-key" in headers and str(uuid.UUID(headers["x-line-retry-key"])) != headers["x-line-retry-key"]:
        wrong.append("the retry key is no UUID")
    if call.body is None:
        return call, wrong + (["a body that nobody wants"] if request["body"] else [])
    if headers.get("content-type", "").partition(";")[0] != "application/json":
        wrong.append("the body is not called JSON")
    return call, wrong + judge_body(call.body, json.loads(request["body"]))


def spoilt(value, at="body"):
    """A value with one thing wrong, in every place: an unknown field, another type."""
    if isinstance(value, dict):
        if at.rpartition(".")[2] not in FREE:
            yield f"{at} with an unknown field", value | {"zzz": 1}
        for key, inner in value.items():
            for words, bad in spoilt(inner, f"{at}.{key}"):
                yield words, value | {key: bad}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for words, bad in spoilt(inner, f"{at}[{index}]"):
                yield words, value[:index] + [bad] + value[index + 1 :]
    yield f"{at} of another type", 7 if isinstance(value, str) else "seven"


def seen(value, fields, kinds):
    if isinstance(value, dict):
        fields.update(value)
        for inner in value.values():
            seen(inner, fields, kinds)
    elif isinstance(value, list):
        for inner in value:
            seen(inner, fields, kinds)


def report(name, wrong):
    words = "; ".join(sorted(set(wrong)))[:600]
    print(f"FAIL line/models/{name}: {words}" if wrong else f"ok line/models/{name}", flush=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    known = list(calls())
    faults, bodies, fields, kinds, keyed = {}, {}, set(), set(), set()
    for request in requests:
        call, wrong = judge(request, known)
        name = call.name if call else "unknown"
        faults.setdefault(name, []).extend(wrong)
        if "x-line-retry-key" in request["headers"]:
            keyed.add(name)
        if call and call.body:
            bodies[request["body"]] = call
            body = json.loads(request["body"])
            seen(body, fields, kinds)
            kinds.update(message["type"] for message in body.get("messages", []))
    for name, wrong in sorted(faults.items()):
        report(name, wrong)

    report("all_calls", [f"{name} was not made" for name in CALLS - faults.keys()])
    report("all_kinds", [f"no {kind} was sent" for kind in MESSAGES - kinds])
    report("all_fields", [f"no {field} was sent" for field in FIELDS - fields])
    report("retry_keys", [] if keyed == {"push_message"} else [f"keys on {sorted(keyed)}"])

    tried, missed = 0, []
    for text, call in bodies.items():
        if len(text) > 20_000:
            continue
        for words, bad in spoilt(json.loads(text)):
            tried += 1
            if not judge_body(call.body, bad):
                missed.append(f"{call.name}: {words}")
    report("spoilt_bodies", missed if tried else ["nothing was tried"])
    print(f"line/models: {len(requests)} requests, {len(bodies)} bodies, {tried} spoilt ones", flush=True)


main()
