"""python-telegram-bot against the emulated Telegram: telegram_ptb.py <emulator address>."""

import asyncio
import contextlib
import io
import logging
import socket
import struct
import sys
import zlib

import httpx
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, ReplyParameters, Update
from telegram.constants import ChatAction, ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)
from telegram.ext import ApplicationBuilder, CallbackQueryHandler, MessageHandler, TypeHandler, filters

EMULATOR = sys.argv[1]
ADA = 42
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


def png(width, height):
    """A valid PNG of one colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x40\x80\xc0" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class World:
    """One bot of its own, and the people around it."""

    def __init__(self, control, number):
        self.control = control
        self.bot_id = 700000 + number
        self.token = f"{self.bot_id}:TEST-TOKEN-{number}"
        self.username = f"ptb_{number}_bot"

    async def post(self, path, body):
        answer = await self.control.post(f"/_control/telegram/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path, **query):
        answer = await self.control.get(f"/_control/telegram/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def act(self, action, **fields):
        return await self.post("actions", {"action": action, "bot": self.bot_id, **fields})

    async def say(self, text, chat=ADA, **post):
        done = await self.act("post", chat=chat, user=ADA, post={"text": text, **post})
        return done["message_id"]

    async def fault(self, method, fault, count=1, **details):
        await self.post("faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})

    async def history(self, chat=ADA):
        return await self.get(f"bots/{self.bot_id}/history/{chat}")

    async def calls(self, method):
        calls = await self.get("calls", method=method)
        return [call for call in calls if call["bot"] == self.bot_id]

    async def listening(self):
        return await self.get(f"bots/{self.bot_id}/listening")

    def builder(self):
        return (
            ApplicationBuilder()
            .token(self.token)
            .base_url(f"{EMULATOR}/bot")
            .base_file_url(f"{EMULATOR}/file/bot")
            .get_updates_read_timeout(4)
        )

    @contextlib.asynccontextmanager
    async def api(self):
        app = self.builder().build()
        async with app.bot as bot:
            yield bot

    @contextlib.asynccontextmanager
    async def polling(self, *handlers, **options):
        app = self.builder().build()
        app.add_handlers(handlers)
        async with app:
            await app.start()
            await app.updater.start_polling(timeout=2, poll_interval=0, **options)
            try:
                yield app
            finally:
                await app.updater.stop()
                await app.stop()


async def until(probe, patience=20):
    """The first true result of `probe`."""
    async with asyncio.timeout(patience):
        while True:
            found = probe()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def raises(kind, words=""):
    try:
        yield
    except kind as error:
        assert words.lower() in str(error).lower(), f"{error!r} does not say {words!r}"
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@check
async def login(world):
    async with world.api() as bot:
        me = await bot.get_me()
        assert me.id == world.bot_id and me.is_bot and me.username == world.username
    world.token = "1:NOT-KNOWN"
    async with raises(InvalidToken):
        async with world.api():
            pass


@check
async def receives_text_and_replies(world):
    async def echo(update, _):
        await update.message.reply_text(f"echo: {update.message.text}", do_quote=True)

    async with world.polling(MessageHandler(filters.TEXT, echo)):
        said = await world.say("hello")

        async def answered():
            return [m for m in await world.history() if m["text"] == "echo: hello"]

        (answer,) = await until(answered)
        assert answer["reply_to"] == said and "bot" in answer["author"]


@check
async def confirms_the_last_update_when_it_stops(world):
    seen = []

    async def note(update, _):
        seen.append(update.update_id)

    async with world.polling(TypeHandler(Update, note)):
        await world.say("one")
        await until(lambda: seen)
    last = (await world.calls("getUpdates"))[-1]
    assert int(last["params"]["offset"]) == seen[-1] + 1, last["params"]
    assert last["params"].get("timeout", "0") in ("0", 0)
    assert await world.get(f"bots/{world.bot_id}/pending") == []


@check
async def receives_a_photo_and_downloads_it(world):
    import base64

    picture = png(320, 200)
    got = []

    async def take(update, _):
        size = update.message.photo[-1]
        file = await size.get_file()
        got.append((size.width, bytes(await file.download_as_bytearray()), update.message.caption))

    async with world.polling(MessageHandler(filters.PHOTO, take)):
        file = {"kind": "photo", "base64": base64.b64encode(picture).decode()}
        await world.say("look", file=file)
        await until(lambda: got)
    assert got == [(320, picture, "look")], (got[0][0], len(got[0][1]), got[0][2])


@check
async def receives_a_pressed_button(world):
    pressed = []

    async def press(update, _):
        query = update.callback_query
        await query.answer("done")
        pressed.append((query.data, query.from_user.id, query.id))

    async with world.polling(CallbackQueryHandler(press)) as app:
        await world.say("/start")
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="approve:1")]])
        sent = await app.bot.send_message(ADA, "Run it?", reply_markup=keyboard)
        assert sent.reply_markup == keyboard
        await world.act("press", chat=ADA, message_id=sent.message_id, user=ADA, data="approve:1")
        await until(lambda: pressed)
        assert pressed[0][:2] == ("approve:1", ADA)
        async with raises(BadRequest, "query is too old"):
            await app.bot.answer_callback_query(pressed[0][2])
        async with raises(BadRequest, "button_data_invalid"):
            long = InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="x" * 65)]])
            await app.bot.send_message(ADA, "no", reply_markup=long)


@check
async def edits_and_sees_edits(world):
    edited = []

    async def note(update, _):
        edited.append(update.edited_message)

    async with world.polling(MessageHandler(filters.UpdateType.EDITED_MESSAGE, note)) as app:
        said = await world.say("helo")
        await world.act("edit", chat=ADA, message_id=said, text="hello")
        (message,) = await until(lambda: edited)
        assert message.text == "hello" and message.message_id == said and message.edit_date
        sent = await app.bot.send_message(ADA, "first")
        await app.bot.edit_message_text("second", ADA, sent.message_id)
        async with raises(BadRequest, "message is not modified"):
            await app.bot.edit_message_text("second", ADA, sent.message_id)
        async with raises(BadRequest, "message can't be edited"):
            await app.bot.edit_message_text("mine", ADA, said)
        assert await app.bot.delete_message(ADA, sent.message_id)
        async with raises(BadRequest, "message to edit not found"):
            await app.bot.edit_message_text("third", ADA, sent.message_id)
        async with raises(BadRequest, "message to delete not found"):
            await app.bot.delete_message(ADA, sent.message_id)


@check
async def uploads_files(world):
    async with world.api() as bot:
        await world.say("/start")
        content = b"hello" * 1000
        sent = await bot.send_document(ADA, io.BytesIO(content), filename="hello.txt", caption="a <file")
        assert sent.document.file_name == "hello.txt" and sent.document.file_size == 5000
        file = await bot.get_file(sent.document.file_id)
        assert bytes(await file.download_as_bytearray()) == content
        again = await bot.send_document(ADA, sent.document.file_id)
        assert again.document.file_unique_id == sent.document.file_unique_id
        photo = await bot.send_photo(ADA, png(64, 48))
        assert (photo.photo[-1].width, photo.photo[-1].height) == (64, 48)
        album = await bot.send_media_group(ADA, [InputMediaPhoto(png(10 + n, 10)) for n in range(3)])
        assert len({m.media_group_id for m in album}) == 1 and [m.photo[-1].width for m in album] == [10, 11, 12]
        async with raises(BadRequest, "wrong file identifier"):
            await bot.send_document(ADA, "BQACnothing")
        async with raises(NetworkError, "Request Entity Too Large"):
            await bot.send_photo(ADA, b"\xff\xd8\xff" + bytes(11 * 1024 * 1024))


@check
async def formats(world):
    async with world.api() as bot:
        await world.say("/start")
        html = await bot.send_message(ADA, "😀 <b>bold</b> <code>x &lt; y</code>", parse_mode=ParseMode.HTML)
        found = html.parse_entities()
        assert sorted(found.values()) == ["bold", "x < y"], found
        text = r"*bold _both_* ||secret|| [link](http://example.test/) 1\.5"
        marked = await bot.send_message(ADA, text, parse_mode=ParseMode.MARKDOWN_V2)
        assert marked.text == "bold both secret link 1.5"
        kinds = [entity.type for entity in marked.entities]
        assert kinds == ["bold", "italic", "spoiler", "text_link"], kinds
        async with raises(BadRequest, "can't parse entities"):
            await bot.send_message(ADA, "<b>open", parse_mode=ParseMode.HTML)
        async with raises(BadRequest, "byte offset 5"):
            await bot.send_message(ADA, "1234 *open", parse_mode=ParseMode.MARKDOWN_V2)
        async with raises(BadRequest, "message is too long"):
            await bot.send_message(ADA, "😀" * 2049)
        async with raises(BadRequest, "message text is empty"):
            await bot.send_message(ADA, " \n ")


@check
async def works_in_topics(world):
    forum = -1001000000000 - world.bot_id
    await world.post("groups", {"id": forum, "title": "Kit", "forum": True, "admins": [world.bot_id]})
    async with world.api() as bot:
        topic = await bot.create_forum_topic(forum, "Plans")
        sent = await bot.send_message(forum, "first", message_thread_id=topic.message_thread_id)
        assert sent.message_thread_id == topic.message_thread_id and sent.is_topic_message
        async with raises(BadRequest, "message thread not found"):
            await bot.send_message(forum, "lost", message_thread_id=9999)
        chat = await bot.get_chat(forum)
        assert chat.is_forum and chat.title == "Kit"
        member = await bot.get_chat_member(forum, world.bot_id)
        assert member.status == "administrator"


@check
async def reacts_and_types(world):
    async with world.api() as bot:
        said = await world.say("hello")
        assert await bot.set_message_reaction(ADA, said, "👍")
        assert await bot.send_chat_action(ADA, ChatAction.TYPING)
        assert await bot.set_my_commands([("start", "begin")])
        assert [c.command for c in await bot.get_my_commands()] == ["start"]
        message = (await world.history())[0]
        assert message["reactions"] == {str(world.bot_id): ["👍"]}
        actions = await world.get("chat-actions")
        assert any(a["bot"] == world.bot_id and a["action"] == "typing" for a in actions)
        async with raises(BadRequest, "reaction_invalid"):
            await bot.set_message_reaction(ADA, said, "🧨")


@check
async def waits_when_told_to(world):
    async with world.api() as bot:
        await world.say("/start")
        await world.fault("sendMessage", "too_many_requests", retry_after=7)
        try:
            await bot.send_message(ADA, "hello")
        except RetryAfter as error:
            assert int(getattr(error, "_retry_after", error.retry_after).total_seconds()) == 7
        else:
            raise AssertionError("no RetryAfter")
        await world.post("faults", {"flood_control": True})
        try:
            async with raises(RetryAfter):
                for n in range(10):
                    await bot.send_message(ADA, f"{n}")
            await world.post("clock", {"advance_ms": 10_000})
            await bot.send_message(ADA, "later")
        finally:
            await world.post("faults", {"flood_control": False})


@check
async def conflicts_with_a_second_poller(world):
    async with world.api() as one, world.api() as two:
        older = asyncio.create_task(one.get_updates(timeout=3))
        await until(world.listening)
        newer = asyncio.create_task(two.get_updates(timeout=1))
        async with raises(Conflict, "terminated by other getUpdates request"):
            await older
        assert await newer == ()
        await one.set_webhook("https://example.test/tg")
        async with raises(Conflict, "webhook is active"):
            await two.get_updates(timeout=1)


@check
async def learns_of_a_migration(world):
    group = -world.bot_id
    await world.post("groups", {"id": group, "title": "Kit", "bots": [world.bot_id]})
    moves = []

    async def note(update, _):
        moves.append((update.message.migrate_to_chat_id, update.message.migrate_from_chat_id))

    async with world.polling(MessageHandler(filters.StatusUpdate.MIGRATE, note)) as app:
        await app.bot.send_message(group, "before")
        new = (await world.act("migrate", chat=group, by=ADA))["chat"]
        try:
            await app.bot.send_message(group, "after")
        except ChatMigrated as error:
            assert error.new_chat_id == new
        else:
            raise AssertionError("no ChatMigrated")
        await app.bot.send_message(new, "after")
        await until(lambda: len(moves) == 2)
        assert sorted(moves, key=str) == sorted([(new, None), (None, group)], key=str), moves


@check
async def is_refused_where_it_may_not_write(world):
    await world.post("users", {"id": 77, "first_name": "Bo"})
    await world.post("users", {"id": 78, "first_name": "Cy"})
    async with world.api() as bot:
        async with raises(Forbidden, "can't initiate conversation"):
            await bot.send_message(77, "hello")
        async with raises(BadRequest, "chat not found"):
            await bot.send_message(4040, "hello")
        await world.say("/start")
        await world.act("stand", chat=ADA, by=ADA, standing="kicked")
        async with raises(Forbidden, "blocked by the user"):
            await bot.send_message(ADA, "hello")
        await world.act("stand", chat=ADA, by=ADA, standing="member")
        await bot.send_message(ADA, "hello again")
        await world.act("post", chat=78, user=78, post={"text": "/start"})
        await world.act("deactivate", user=78)
        async with raises(Forbidden, "deactivated"):
            await bot.send_message(78, "hello")


@check
async def replies_to_a_lost_message_only_when_told_to(world):
    async with world.api() as bot:
        await world.say("/start")
        async with raises(BadRequest, "message to be replied not found"):
            await bot.send_message(ADA, "x", reply_parameters=ReplyParameters(999))
        lenient = ReplyParameters(999, allow_sending_without_reply=True)
        sent = await bot.send_message(ADA, "x", reply_parameters=lenient)
        assert sent.reply_to_message is None


@check
async def receives_by_webhook_and_refuses_a_wrong_secret(world):
    seen = []

    async def note(update, _):
        seen.append((update.update_id, update.message.text))

    app = world.builder().build()
    app.add_handler(TypeHandler(Update, note))
    port = free_port()
    address = f"http://127.0.0.1:{port}/tg"
    async with app:
        await app.start()
        await app.updater.start_webhook(
            listen="127.0.0.1", port=port, url_path="tg", webhook_url=address, secret_token="s3cret_TOKEN-1"
        )
        try:
            await world.say("one")
            await until(lambda: seen)
            assert seen[0][1] == "one"
            await app.bot.set_webhook(address, secret_token="another")
            await world.say("two")

            async def deliveries():
                mine = [d for d in await world.get("deliveries") if d["bot"] == world.bot_id]
                return [d for d in mine if d["status"] == 403]

            async def twice():
                return len(await deliveries()) >= 2

            await until(twice)
            refused = {d["update_id"] for d in await deliveries()}
            assert len(refused) == 1 and len(seen) == 1, (refused, seen)
            info = await app.bot.get_webhook_info()
            assert info.pending_update_count == 1 and "403" in info.last_error_message
            await app.bot.set_webhook(address, secret_token="s3cret_TOKEN-1")
            await until(lambda: len(seen) == 2)
            assert seen[1] == (refused.pop(), "two")
            await app.bot.delete_webhook()
        finally:
            await app.updater.stop()
            await app.stop()


@check
async def reconnects_after_a_dropped_connection(world):
    seen = []

    async def note(update, _):
        seen.append((update.update_id, update.message.text))

    errors = []
    async with world.polling(TypeHandler(Update, note), error_callback=errors.append):
        await world.say("one")
        await until(lambda: len(seen) == 1)
        await world.fault("getUpdates", "drop_before", count=2)
        await until(lambda: len(errors) >= 2)
        await world.say("two")
        await until(lambda: len(seen) == 2)
        # An answer that is lost on the way comes again, under the same update_id. The poll that waits now still
        # answers; the one after it is lost.
        await world.fault("getUpdates", "lose_answer")
        await world.say("three")
        await until(lambda: len(seen) == 3)
        await until(world.listening)
        await world.say("four")
        await until(lambda: len(seen) == 4)
    assert [text for _, text in seen] == ["one", "two", "three", "four"], seen
    assert len({update for update, _ in seen}) == 4
    (lost,) = [call for call in await world.calls("getUpdates") if call["outcome"] == "answer_lost"]
    assert len(lost["answer"]["result"]) == 1, lost


@check
async def notices_a_poll_that_hangs(world):
    async with world.api() as bot:
        await world.fault("getUpdates", "hang")
        async with raises(TimedOut):
            await bot.get_updates(timeout=0, read_timeout=0.5)


@check
async def cannot_tell_whether_a_lost_answer_was_sent(world):
    async with world.api() as bot:
        await world.say("/start")
        await world.fault("sendMessage", "lose_answer")
        async with raises(NetworkError):
            await bot.send_message(ADA, "once")
        assert [m["text"] for m in await world.history()].count("once") == 1
        await world.fault("sendMessage", "drop_before")
        async with raises(NetworkError):
            await bot.send_message(ADA, "never")
        assert "never" not in [m["text"] for m in await world.history()]


async def main():
    logging.disable(logging.CRITICAL)
    async with httpx.AsyncClient(base_url=EMULATOR, timeout=60) as control:
        answer = await control.post(
            "/_control/telegram/users", json={"id": ADA, "first_name": "Ada", "username": "ada_t"}
        )
        assert answer.status_code == 200
        for number, scenario in enumerate(CHECKS, 1):
            world = World(control, number)
            await world.post("bots", {"token": world.token, "username": world.username})
            try:
                async with asyncio.timeout(60):
                    await scenario(world)
            except Exception as error:  # a check may fail in any way, and the others still run
                print(f"FAIL telegram/ptb/{scenario.__name__}: {type(error).__name__}: {error}", flush=True)
                await control.delete("/_control/telegram/faults")
            else:
                print(f"ok telegram/ptb/{scenario.__name__}", flush=True)


asyncio.run(main())
