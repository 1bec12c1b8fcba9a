//! Every fault of the deafness drill, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_dingtalk::DingTalk;
use channel_testkit::drill::{Fault, Rig, Scale, Weather, drill};
use futures_core::stream::BoxStream;

use crate::fake::{Fake, Mood, direct};

struct Robot {
    fake: Fake,
    weather: Weather,
    channel: DingTalk,
}

impl Robot {
    fn new() -> Self {
        let (fake, weather) = (Fake::new(), Weather::new());
        let transport = weather.over(fake.transport.transport(), "/gateway/connections/open");
        let channel = fake.builder().transport(transport).build().unwrap();
        Self {
            fake,
            weather,
            channel,
        }
    }
}

impl Rig for Robot {
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
        let words = number.to_string();
        self.fake.say(&direct(&format!("msg{number}"), &words));
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
        let mood = if on { Mood::Deaf } else { Mood::Alive };
        self.fake.feels(mood);
    }
    fn drain(&self) {
        self.fake.drain();
    }
    fn sleep(&self, span: Duration) {
        self.fake.transport.clock.jump_forward(span);
    }
    fn redeliver(&self) {
        self.fake.redeliver();
    }
}

/// DingTalk does not say that it repeats what was sent while nobody was there, so that a gap is
/// told after each loss.
fn survives(fault: Fault) {
    let robot = Robot::new();
    let verdict = robot.fake.live(drill(&robot, fault, Scale::full()));
    verdict.check();
    let is_gap_due = verdict.red.is_some() || fault == Fault::Sleep;
    assert_eq!(verdict.gaps > 0, is_gap_due, "{verdict}");
    let is_left_in_time = fault != Fault::Drain || verdict.red.is_none();
    assert!(is_left_in_time, "the next connection is there before");
}

channel_testkit::every_fault!(survives);
