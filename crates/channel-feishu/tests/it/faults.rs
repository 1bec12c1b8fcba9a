//! Every fault of the deafness drill, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_feishu::Feishu;
use channel_testkit::drill::{Fault, Rig, Scale, Weather, drill};
use futures_core::stream::BoxStream;

use crate::fake::{Fake, Mood, direct, envelope};

struct App {
    fake: Fake,
    weather: Weather,
    channel: Feishu,
}

impl App {
    fn new() -> Self {
        let (fake, weather) = (Fake::new(), Weather::new());
        let transport = weather.over(fake.transport.transport(), "/callback/ws/endpoint");
        let channel = fake.builder().transport(transport).build().unwrap();
        Self {
            fake,
            weather,
            channel,
        }
    }
}

impl Rig for App {
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
        let event = direct(&format!("om_{number}"), &number.to_string());
        let number = u64::try_from(number).unwrap();
        let envelope = envelope(number, "im.message.receive_v1", event);
        self.fake.push("event", &envelope);
    }
    fn hang(&self) {
        for peer in &self.fake.state.lock().unwrap().peers {
            peer.hang();
        }
    }
    fn cut(&self) {
        for peer in &self.fake.state.lock().unwrap().peers {
            peer.cut();
        }
    }
    fn silence(&self, on: bool) {
        let mood = if on { Mood::Silent } else { Mood::Alive };
        self.fake.state.lock().unwrap().mood = mood;
    }
    fn drain(&self) {
        for peer in &self.fake.state.lock().unwrap().peers {
            peer.close(1001, "going away");
        }
    }
    fn sleep(&self, span: Duration) {
        self.fake.transport.clock.jump_forward(span);
    }
    fn redeliver(&self) {
        self.fake.redeliver();
    }
}

/// Feishu repeats for hours what nobody has answered: nothing is missing.
fn survives(fault: Fault) {
    let app = App::new();
    let verdict = app.fake.live(drill(&app, fault, Scale::full()));
    verdict.check();
    assert_eq!(verdict.gaps, 0, "{verdict}");
}

channel_testkit::every_fault!(survives);
