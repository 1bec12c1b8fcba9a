//! What befalls the network, on real sockets against the emulator: the faults of the drill that the other tests on
//! sockets leave out. Both sides live four times as fast; what is asked of the channel stays as it is.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_discord::Discord;
use channel_emulator::discord::{
    Discord as Emulator, DiscordConfig, DiscordServer, Mute, NewBot, NewGuild,
};
use channel_testkit::drill::{Fault, Hurry, Rig, Scale, Weather, outlive};
use futures_util::stream::BoxStream;

const TOKEN: &str = "synthetic.discord.token";

const PACE: u32 = 4;

struct Real {
    server: DiscordServer,
    hurry: Hurry,
    channel: Discord,
    bot: u64,
    ada: u64,
    direct: u64,
}

impl Real {
    async fn new() -> Self {
        let hurry = Hurry::new(channel_http::transport(), PACE, "/gateway/bot");
        let transport = hurry.transport.clone();
        let config = DiscordConfig::default().heartbeat(Duration::from_secs(20));
        let server = Emulator::start(config).await.unwrap();
        let bot = server.add_bot(&NewBot::new(TOKEN, "kitbot")).unwrap();
        let ada = server.user("Ada");
        server.guild(&NewGuild::new("Kit", &[bot], &[ada])).unwrap();
        let direct = server.direct(bot, ada).unwrap();
        let builder = Discord::builder().bot_token(TOKEN).transport(transport);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        Self {
            server,
            hurry,
            channel,
            bot,
            ada,
            direct,
        }
    }
}

impl Rig for Real {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.hurry.clock.clone())
    }
    fn weather(&self) -> &Weather {
        &self.hurry.weather
    }
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        self.channel.events()
    }
    fn sleep(&self, span: Duration) {
        self.hurry.clock.jump_forward(span);
    }
    fn tell(&self, number: usize) {
        let words = number.to_string();
        let posted = self.server.post(self.direct, self.ada, words.as_str());
        posted.unwrap();
    }
    fn hang(&self) {
        self.server.mute(self.bot, Mute::HalfOpen);
    }
    fn cut(&self) {
        self.server.cut(self.bot);
    }
    /// Heartbeats are answered all the same.
    fn silence(&self, on: bool) {
        let mute = if on { Mute::Silent } else { Mute::Off };
        self.server.mute(self.bot, mute);
        self.server.faults().mute_new(mute);
    }
    fn drain(&self) {
        self.server.drain();
    }
}

#[tokio::test]
async fn whatever_befalls_the_network_is_outlived() {
    let faults = [&Fault::NETWORK[..], &[Fault::Silence]].concat();
    for (real, verdict) in outlive(Real::new, &faults, Scale::brief()).await {
        assert_eq!(verdict.gaps, 0, "{verdict}");
        let connections = real.server.connections();
        let identifies = connections.iter().filter(|it| it.how == Some("identify"));
        assert_eq!(identifies.count(), 1, "{verdict}");
    }
}
