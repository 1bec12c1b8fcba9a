//! Every fault of the deafness drill, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_discord::Discord;
use channel_testkit::drill::{Fault, Rig, Scale, Weather, drill};
use futures_core::stream::BoxStream;
use serde_json::json;

use crate::fake::{Fake, direct};

struct Bot {
    fake: Fake,
    weather: Weather,
    channel: Discord,
}

impl Bot {
    fn new() -> Self {
        let (fake, weather) = (Fake::new(), Weather::new());
        let transport = weather.over(fake.transport.transport(), "/gateway/bot");
        let channel = fake.builder().transport(transport).build().unwrap();
        Self {
            fake,
            weather,
            channel,
        }
    }
}

impl Rig for Bot {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
    fn weather(&self) -> &Weather {
        &self.weather
    }
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        self.channel.events()
    }
    fn tell(&self, number: usize) {
        let number = u64::try_from(number).unwrap();
        let message = direct(1000 + number, &number.to_string());
        self.fake.dispatch("MESSAGE_CREATE", message);
    }
    fn hang(&self) {
        for peer in self.fake.peers() {
            peer.hang();
        }
    }
    fn cut(&self) {
        for peer in self.fake.peers() {
            peer.cut();
        }
    }
    fn silence(&self, on: bool) {
        self.fake.silence(on);
    }
    fn drain(&self) {
        let ask = json!({"t": null, "s": null, "op": 7, "d": null});
        for peer in self.fake.peers() {
            peer.send_json(&ask);
        }
    }
    fn sleep(&self, span: Duration) {
        self.fake.transport.clock.jump_forward(span);
    }
}

/// A session that is resumed misses nothing, and one is all that Discord is asked for.
fn survives(fault: Fault) {
    let bot = Bot::new();
    let verdict = bot.fake.live(drill(&bot, fault, Scale::full()));
    verdict.check();
    assert_eq!(verdict.gaps, 0, "{verdict}");
    assert_eq!(bot.fake.with(|state| state.identifies.len()), 1);
}

channel_testkit::every_fault!(survives);
