"""discord.py against the emulated Discord: discord_py.py <emulator address>."""

import asyncio
import base64
import contextlib
import io
import logging
import sys
import time

import aiohttp
import discord
import yarl
from discord import app_commands

EMULATOR = sys.argv[1]
# The library has no option for its addresses; these are the public attributes that hold them.
discord.http.Route.BASE = f"{EMULATOR}/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(EMULATOR.replace("http", "ws", 1) + "/gateway")

SEND = "POST /channels/{channel}/messages"
CHECKS = []


def check(scenario):
    CHECKS.append(scenario)
    return scenario


class World:
    """One bot of its own, a person, and a guild around both."""

    def __init__(self, control, number):
        self.control = control
        self.token = f"TOKEN.{number}.discord-py"
        self.name = f"py_{number}"

    async def build(self):
        self.bot = (await self.post("bots", {"token": self.token, "name": self.name}))["bot"]
        self.ada = (await self.post("users", {"name": "Ada"}))["user"]
        guild = {"name": "Team", "bots": [self.bot], "members": [self.ada]}
        made = await self.post("guilds", guild)
        self.guild, self.channel = made["guild"], made["channel"]

    async def post(self, path, body):
        async with self.control.post(f"{EMULATOR}/_control/discord/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def get(self, path, **query):
        async with self.control.get(f"{EMULATOR}/_control/discord/{path}", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def act(self, action, **fields):
        return await self.post("actions", {"action": action, **fields})

    async def say(self, text, channel=None, **post):
        fields = {"channel": channel or self.channel, "user": self.ada, "post": {"text": text, **post}}
        return int((await self.act("post", **fields))["message"])

    async def ask(self, ask, channel=None, **fields):
        place = {"bot": self.bot, "channel": channel or self.channel, "user": self.ada}
        return (await self.act("ask", ask=ask, **place, **fields))["interaction"]

    async def fault(self, method, fault, count=1, **details):
        await self.post("faults", {"method": method, "count": count, "fault": {"fault": fault, **details}})

    async def history(self, channel=None):
        return await self.get(f"channels/{channel or self.channel}/history")

    async def connections(self):
        return await self.get("connections", bot=self.bot)

    async def calls(self, method):
        return await self.get("calls", bot=self.bot, method=method)

    @contextlib.asynccontextmanager
    async def client(self, kind=discord.Client, content=True, **options):
        intents = discord.Intents.default()
        intents.message_content = content
        client = kind(intents=intents, guild_ready_timeout=0.2, **options)
        running = asyncio.create_task(client.start(self.token))
        try:
            ready = asyncio.ensure_future(until(client.is_ready))
            await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                ready.cancel()
                await running
            await ready
            yield client
        finally:
            await client.close()
            with contextlib.suppress(BaseException):
                await asyncio.wait_for(running, 10)


async def until(probe, patience=30):
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
async def raises(kind, code=None):
    try:
        yield
    except kind as error:
        assert code is None or error.code == code, f"{error!r} has not the code {code}"
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


def collect(client, event):
    """Everything an event says from now on."""
    seen = []

    async def note(*arguments):
        seen.append(arguments[0] if len(arguments) == 1 else arguments)

    setattr(client, f"on_{event}", note)
    return seen


@check
async def login(world):
    async with world.client() as client:
        assert str(client.user.id) == world.bot and client.user.bot and client.user.name == world.name
        assert str(client.application_id) == world.bot
        (guild,) = client.guilds
        assert (str(guild.id), guild.name, [c.name for c in guild.text_channels]) == (world.guild, "Team", ["general"])
        (connection,) = await world.connections()
        assert connection["compress"] in ("zlib-stream", "zstd-stream") and connection["heartbeats"] >= 1
    world.token = "NOT.A.TOKEN"
    async with raises(discord.LoginFailure):
        async with world.client():
            pass


@check
async def receives_text_and_downloads_its_attachment(world):
    async with world.client() as client:
        seen = collect(client, "message")
        content = base64.b64encode(b"hello file").decode()
        said = await world.say("look", files=[{"name": "a.txt", "base64": content}])
        (message,) = await until(lambda: seen)
        assert (message.id, message.content, str(message.author.id)) == (said, "look", world.ada)
        assert str(message.guild.id) == world.guild and message.author.display_name == "Ada"
        (file,) = message.attachments
        assert (file.filename, file.size, file.content_type) == ("a.txt", 10, "text/plain; charset=utf-8")
        assert await file.read() == b"hello file"
        async with raises(discord.NotFound):
            await client.http.get_from_cdn(file.url.replace("hm=", "hm=0"))


@check
async def replies_edits_reacts_and_deletes(world):
    async with world.client() as client:
        seen = collect(client, "message")
        said = await world.say("hi")
        (message,) = await until(lambda: seen)
        answer = await message.reply("echo: hi", mention_author=True)
        assert answer.type is discord.MessageType.reply and answer.reference.message_id == said
        assert [str(user.id) for user in answer.mentions] == [world.ada]
        answer = await answer.edit(content="echo: hi!")
        assert answer.edited_at is not None
        await message.add_reaction("\N{FIRE}")
        found = {m["text"]: m for m in await world.history()}
        assert found["echo: hi!"]["reply_to"] == str(said) and found["echo: hi!"]["edited"]
        assert found["hi"]["reactions"] == [{"emoji": "\N{FIRE}", "by": [world.bot]}]
        await message.remove_reaction("\N{FIRE}", client.user)
        await answer.delete()
        (left,) = await world.history()
        assert left["reactions"] == [] and left["text"] == "hi"
        async with raises(discord.NotFound, 10008):
            await answer.delete()


@check
async def hears_of_edits_deletions_reactions_and_typing(world):
    async with world.client() as client:
        edits, gone = collect(client, "raw_message_edit"), collect(client, "raw_message_delete")
        reactions, typing = collect(client, "raw_reaction_add"), collect(client, "raw_typing")
        said = await world.say("helo")
        place = {"channel": world.channel, "message": str(said)}
        await world.act("edit", text="hello", **place)
        await world.act("react", user=world.ada, emoji="\N{FIRE}", **place)
        await world.act("typing", channel=world.channel, user=world.ada)
        await world.act("delete", **place)
        await until(lambda: edits and gone and reactions and typing)
        assert edits[0].message.content == "hello" and edits[0].message.edited_at is not None
        assert gone[0].message_id == said
        assert (reactions[0].emoji.name, str(reactions[0].user_id)) == ("\N{FIRE}", world.ada)
        assert str(typing[0].user_id) == world.ada


@check
async def shows_typing_until_it_writes(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))

        async def shown():
            return [t for t in await world.get("typing") if t["user"] == world.bot]

        async with channel.typing():
            await until(shown)
            await channel.send("done")
        assert await shown() == []


@check
async def uploads_files_and_changes_them(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        files = [discord.File(io.BytesIO(b"one"), "one.txt", description="first"), discord.File(io.BytesIO(b"2"), "2.bin")]
        message = await channel.send("two files", files=files)
        assert [(f.filename, f.size) for f in message.attachments] == [("one.txt", 3), ("2.bin", 1)]
        assert message.attachments[0].description == "first"
        assert await message.attachments[0].read() == b"one"
        message = await message.edit(attachments=[message.attachments[1], discord.File(io.BytesIO(b"333"), "3.txt")])
        assert [(f.filename, f.size) for f in message.attachments] == [("2.bin", 1), ("3.txt", 3)]
        async with raises(discord.HTTPException, 40005):
            await channel.send(file=discord.File(io.BytesIO(bytes(11 * 1024 * 1024)), "large.bin"))


@check
async def talks_in_direct_messages(world):
    async with world.client() as client:
        seen = collect(client, "message")
        direct = (await world.act("direct", bot=world.bot, user=world.ada))["channel"]
        await world.say("psst", channel=direct)
        (message,) = await until(lambda: seen)
        assert message.guild is None and isinstance(message.channel, discord.DMChannel)
        user = await client.fetch_user(int(world.ada))
        sent = await user.send("hey")
        assert str(sent.channel.id) == direct
        await world.act("close_directs", user=world.ada)
        async with raises(discord.Forbidden, 50007):
            await user.send("hello?")


@check
async def opens_and_uses_threads(world):
    async with world.client() as client:
        seen, made = collect(client, "message"), collect(client, "thread_create")
        said = await world.say("start here")
        (message,) = await until(lambda: seen)
        thread = await message.create_thread(name="details", auto_archive_duration=60)
        assert thread.id == said and str(thread.parent_id) == world.channel
        await until(lambda: made)
        await thread.send("inside")
        await world.say("me too", channel=str(thread.id))
        found = await until(lambda: [m for m in seen if m.content == "me too"])
        assert isinstance(found[0].channel, discord.Thread)
        await world.act("archive", thread=str(thread.id))
        async with raises(discord.HTTPException, 50083):
            await thread.send("too late")
        await thread.edit(archived=False)
        await thread.send("again")
        async with raises(discord.HTTPException, 160004):
            await message.create_thread(name="second")


@check
async def registers_a_command_and_answers_it(world):
    async with world.client() as client:
        tree = app_commands.CommandTree(client)

        @tree.command(description="Repeats")
        async def echo(interaction, text: str, times: int = 1):
            answer = await interaction.response.send_message(text * times)
            assert answer.message_id is not None
            await interaction.edit_original_response(content=text * times + "!")
            await interaction.followup.send("more", ephemeral=True)

        (synced,) = await tree.sync()
        assert (synced.name, [o.name for o in synced.options]) == ("echo", ["text", "times"])
        assert [c.id for c in await tree.fetch_commands()] == [synced.id]
        await world.ask("command", name="echo", options={"text": "ab", "times": 2})
        history = await until(lambda: ended(world, 2))
        assert [(m["text"], m["kind"], m["only_for"]) for m in history] == [("abab!", 20, None), ("more", 20, world.ada)]


async def ended(world, count):
    history = await world.history()
    return history if len(history) == count else None


@check
async def defers_and_completes(world):
    async with world.client() as client:
        tree = app_commands.CommandTree(client)

        @tree.command(description="Thinks")
        async def think(interaction):
            await interaction.response.defer(thinking=True)
            first = await interaction.original_response()
            assert first.flags.loading
            await interaction.edit_original_response(content="thought")
            async with raises(discord.InteractionResponded):
                await interaction.response.send_message("again")

        @tree.command(description="Completes")
        async def color(interaction, name: str):
            await interaction.response.send_message(name)

        @color.autocomplete("name")
        async def names(interaction, current):
            return [app_commands.Choice(name=c, value=c) for c in ("red", "rust", "blue") if c.startswith(current)]

        await tree.sync()
        await world.ask("command", name="think")
        await until(lambda: texts(world, ["thought"]))
        asked = await world.ask("complete", name="color", option="name", text="r")

        async def completed():
            return (await world.get(f"interactions/{asked}"))["shown"]

        shown = await until(completed)
        assert [choice["value"] for choice in shown["choices"]] == ["red", "rust"]


async def texts(world, wanted):
    return [m["text"] for m in await world.history()] == wanted


@check
async def answers_buttons_menus_and_modals(world):
    class Name(discord.ui.Modal, title="Who?"):
        name = discord.ui.TextInput(label="Name", custom_id="name")

        async def on_submit(self, interaction):
            await interaction.response.send_message(f"hello {self.name.value}")

    class Choices(discord.ui.View):
        @discord.ui.button(label="A", custom_id="a")
        async def a(self, interaction, button):
            await interaction.response.edit_message(content="pressed A")

        @discord.ui.select(custom_id="menu", options=[discord.SelectOption(label=l) for l in ("x", "y")])
        async def menu(self, interaction, select):
            await interaction.response.send_message(f"chose {select.values[0]}", ephemeral=True)

        @discord.ui.button(label="Ask", custom_id="ask")
        async def ask(self, interaction, button):
            await interaction.response.send_modal(Name())

    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        message = await channel.send("choose", view=Choices())
        place = {"message": str(message.id)}
        await world.ask("component", custom_id="a", **place)
        await until(lambda: texts(world, ["pressed A"]))
        await world.ask("component", custom_id="menu", values=["y"], **place)
        await until(lambda: texts(world, ["pressed A", "chose y"]))
        assert (await world.history())[-1]["only_for"] == world.ada
        asked = await world.ask("component", custom_id="ask", **place)

        async def opened():
            return (await world.get(f"interactions/{asked}"))["answered"] == 9

        await until(opened)
        await world.ask("modal", interaction=asked, values={"name": "Ada"})
        await until(lambda: texts(world, ["pressed A", "chose y", "hello Ada"]))


@check
async def pings_only_whom_it_may(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        text = f"<@{world.ada}> and @everyone"
        silent = await channel.send(text, allowed_mentions=discord.AllowedMentions.none())
        loud = await channel.send(text, allowed_mentions=discord.AllowedMentions(users=True, everyone=True))
        assert (silent.mentions, silent.mention_everyone) == ([], False)
        assert ([str(u.id) for u in loud.mentions], loud.mention_everyone) == ([world.ada], True)


@check
async def refuses_what_breaks_a_limit(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        await channel.send("\N{GRINNING FACE}" * 2000)
        for content, code in [("x" * 2001, 50035), ("   ", 50006)]:
            async with raises(discord.HTTPException, code):
                await channel.send(content)
        async with raises(discord.HTTPException, 50035):
            await channel.send(embed=discord.Embed(title="x" * 257))
        async with raises(discord.HTTPException, 10014):
            await (await channel.send("m")).add_reaction("nonsense")
        await world.act("deny", bot=world.bot, channel=world.channel, permissions=1 << 11)
        async with raises(discord.Forbidden, 50013):
            await channel.send("no")
        await world.act("deny", bot=world.bot, channel=world.channel, permissions=1 << 10)
        async with raises(discord.Forbidden, 50001):
            await channel.send("no")
        async with raises(discord.NotFound, 10003):
            await client.fetch_channel(1)


@check
async def a_nonce_is_written_once(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        first = await channel.send("once", nonce="n-1")
        again = await channel.send("once", nonce="n-1")
        other = await channel.send("twice", nonce="n-2")
        assert first.id == again.id != other.id
        assert await texts(world, ["once", "twice"])


@check
async def waits_out_a_rate_limit(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        for details in ({}, {"global": True}, {"shared": True}):
            await world.fault(SEND, "too_many_requests", retry_after_ms=700, **details)
            begun = time.monotonic()
            await channel.send(f"late {details}")
            waited = time.monotonic() - begun
            assert waited >= 0.7, waited
        await asyncio.gather(*(channel.send(str(number)) for number in range(8)))
        statuses = [call["status"] for call in await world.calls(SEND)]
        # Three that were told to wait; the rest kept to the headers.
        assert statuses.count(429) == 3, statuses
        assert len(await world.history()) == 11
        await world.fault(SEND, "banned", retry_after=1)
        async with raises(discord.HTTPException):
            await channel.send("blocked before the platform")


@check
async def tries_again_after_a_server_error(world):
    async with world.client() as client:
        channel = client.get_channel(int(world.channel))
        await world.fault(SEND, "server_error", status=502)
        await channel.send("through")
        assert [call["status"] for call in await world.calls(SEND)] == [502, 200]


async def resumed(world):
    return [c for c in await world.connections() if c["how"] == "resume" and c["session"]]


@check
async def resumes_after_a_cut_without_loss(world):
    async with world.client() as client:
        seen = collect(client, "message")
        await world.say("0")
        await until(lambda: len(seen) == 1)
        await world.fault("gateway.connect", "delay", ms=500)
        await world.act("cut", bot=world.bot)
        for number in range(1, 51):
            await world.say(str(number))
        await until(lambda: len(seen) == 51)
        assert [m.content for m in seen] == [str(number) for number in range(51)]
        (again,) = await resumed(world)
        assert again["path"] == "/gateway/resume" and again["resumed_from"] >= 2
        assert len(await world.connections()) == 2


@check
async def resumes_when_told_to_reconnect(world):
    async with world.client() as client:
        seen = collect(client, "message")
        await world.act("reconnect", bot=world.bot)
        await world.say("meanwhile")
        await until(lambda: seen)
        (again,) = await resumed(world)
        first = (await world.connections())[0]
        assert first["closed"]["by"] == "client" and first["closed"]["code"] == 4000
        assert again["session"] == first["session"]
        await world.act("close", bot=world.bot, code=4008)
        await world.say("after 4008")
        await until(lambda: len(seen) == 2)
        assert len(await resumed(world)) >= 1


@check
async def identifies_anew_after_an_invalid_session(world):
    async with world.client() as client:
        seen = collect(client, "message")
        await world.act("invalidate", bot=world.bot, resumable=False)

        async def anew():
            found = [c for c in await world.connections() if c["how"] == "identify"]
            return found if len(found) == 2 else None

        first, second = await until(anew)
        assert first["closed"]["code"] == 1000 and second["path"] == "/gateway"
        await world.say("new session")
        await until(lambda: seen)


@check
async def a_session_that_cannot_be_resumed_is_replaced(world):
    async with world.client() as client:
        seen = collect(client, "message")
        await world.act("close", bot=world.bot, code=4009)
        await world.say("kept")
        await until(lambda: seen)
        assert len(await resumed(world)) == 1


@check
async def a_disallowed_intent_is_fatal(world):
    await world.act("privileged", bot=world.bot, intents=0)
    async with raises(discord.PrivilegedIntentsRequired):
        async with world.client():
            pass
    (connection,) = await world.connections() or [{"closed": None}]
    assert connection["closed"] is None or connection["closed"]["code"] == 4014


@check
async def a_revoked_token_is_fatal(world):
    async with world.client() as client:
        await world.act("revoke", bot=world.bot)
        await until(client.is_closed)
        (connection,) = await world.connections()
        assert connection["closed"] | {"at_ms": 0} == {"by": "server", "code": 4004, "at_ms": 0}


@check
async def without_the_content_intent_only_mentions_are_readable(world):
    async with world.client(content=False) as client:
        seen = collect(client, "message")
        await world.say("secret")
        await world.say(f"<@{world.bot}> open")
        await until(lambda: len(seen) == 2)
        assert [m.content for m in seen] == ["", f"<@{world.bot}> open"]


@check
async def answers_a_heartbeat_request(world):
    async with world.client():
        before = (await world.connections())[0]["heartbeats"]
        await world.act("heartbeat", bot=world.bot)

        async def more():
            return (await world.connections())[0]["heartbeats"] > before

        await until(more)


@check
async def shards_hear_of_their_own_guilds(world):
    ids = [(5 << 22), (6 << 22)]
    channels = []
    for number, guild in enumerate(ids):
        body = {"id": str(guild + int(world.bot) % 1000), "name": f"S{number}", "bots": [world.bot], "members": [world.ada]}
        channels.append((await world.post("guilds", body))["channel"])
    async with world.client(kind=discord.AutoShardedClient, shard_count=2) as client:
        seen = collect(client, "message")
        for channel in channels:
            await world.say("hello", channel=channel)
        await until(lambda: len(seen) == 2)
        assert sorted(m.guild.shard_id for m in seen) == [0, 1]
        assert sorted(c["shard"] for c in await world.connections()) == [[0, 2], [1, 2]]


async def main():
    logging.disable(logging.CRITICAL)
    only = sys.argv[2:]
    async with aiohttp.ClientSession() as control:
        for number, scenario in enumerate(CHECKS, 1):
            if only and scenario.__name__ not in only:
                continue
            world = World(control, number)
            try:
                await world.build()
                async with asyncio.timeout(60):
                    await scenario(world)
            except Exception as error:  # a check may fail in any way, and the others still run
                print(f"FAIL discord/py/{scenario.__name__}: {type(error).__name__}: {error}", flush=True)
                await control.delete(f"{EMULATOR}/_control/discord/faults")
            else:
                print(f"ok discord/py/{scenario.__name__}", flush=True)


asyncio.run(main())
