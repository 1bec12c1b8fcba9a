//! Every fault of the deafness drill, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_dingtalk::DingTalk;
use channel_testkit::drill::{Fault, Rig, Scale, Verdict, Weather, drill};
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
        self.fake.state.lock().unwrap().mood = mood;
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
async fn survives(fault: Fault) -> Verdict {
    let robot = Robot::new();
    robot.fake.serve();
    let clock = robot.fake.transport.clock.clone();
    let verdict = clock.drive(drill(&robot, fault, Scale::full())).await;
    verdict.check();
    let is_gap_due = verdict.red.is_some() || fault == Fault::Sleep;
    assert_eq!(verdict.gaps > 0, is_gap_due, "{verdict}");
    verdict
}

#[tokio::test]
async fn a_half_open_connection_is_replaced() {
    survives(Fault::HalfOpen).await;
}

#[tokio::test]
async fn a_platform_that_says_nothing_is_noticed() {
    survives(Fault::Silence).await;
}

#[tokio::test]
async fn a_draining_server_is_left() {
    let verdict = survives(Fault::Drain).await;
    assert_eq!(verdict.red, None, "the next connection is there before");
}

#[tokio::test]
async fn an_hour_of_sleep_is_survived() {
    survives(Fault::Sleep).await;
}

#[tokio::test]
async fn ten_minutes_without_names_are_outlived() {
    survives(Fault::NoNames).await;
}

#[tokio::test]
async fn ten_minutes_of_refused_handshakes_are_outlived() {
    survives(Fault::Refused).await;
}

#[tokio::test]
async fn ten_minutes_of_refused_tickets_are_outlived() {
    survives(Fault::NoTicket).await;
}

#[tokio::test]
async fn an_hour_of_flapping_is_outlived() {
    survives(Fault::Flapping).await;
}
