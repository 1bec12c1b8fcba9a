//! What befalls the network, on real sockets against the emulator: the faults of the drill that the other tests on
//! sockets leave out. Both sides live four times as fast; what is asked of the channel stays as it is.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_dingtalk::DingTalk;
use channel_emulator::dingtalk::{Dingtalk as Emulator, DingtalkConfig, DingtalkServer, NewApp};
use channel_http::SystemClock;
use channel_testkit::drill::{Fault, QuickClock, Rig, Scale, Weather, drill};
use futures_util::future::join_all;
use futures_util::stream::BoxStream;

use crate::emulator::{APP, SECRET};

const ADA: &str = "staff1";

const PACE: u32 = 4;
/// How long outages last, by the clock of the channel.
const OUTAGE: Duration = Duration::from_secs(40);
/// How many events come during each: the faults run beside each other, and how fast a busy machine reads is not what is
/// asked. Ten thousand are told in the other tests.
const EVENTS: usize = 200;
const FAULTS: [Fault; 5] = [
    Fault::Sleep,
    Fault::NoNames,
    Fault::Refused,
    Fault::NoTicket,
    Fault::Flapping,
];

struct Real {
    server: DingtalkServer,
    clock: QuickClock,
    weather: Weather,
    channel: DingTalk,
}

impl Real {
    async fn new() -> Self {
        let clock = QuickClock::new(Arc::new(SystemClock::new()), PACE);
        let mut transport = channel_http::transport();
        transport.clock = Arc::new(clock.clone());
        transport.crowd = channel_core::Crowd::new();
        let weather = Weather::new();
        let transport = weather.over(transport, "/gateway/connections/open");
        let seconds = |seconds: u64| Duration::from_secs(seconds) / PACE;
        let config = DingtalkConfig::default()
            .redelivery(seconds(32), 1000)
            .heartbeat(seconds(20), seconds(30), seconds(90))
            .drain_grace(seconds(10));
        let server = Emulator::start(config).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        server.user(ADA, "Ada");
        let builder = DingTalk::builder().app(APP, SECRET).transport(transport);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        Self {
            server,
            clock,
            weather,
            channel,
        }
    }
}

impl Rig for Real {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
    fn weather(&self) -> &Weather {
        &self.weather
    }
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        self.channel.events()
    }
    fn sleep(&self, span: Duration) {
        self.clock.jump_forward(span);
    }
    fn tell(&self, number: usize) {
        let words = number.to_string();
        self.server.say(APP, ADA, words.as_str()).unwrap();
    }
    fn hang(&self) {
        self.server.stall(APP);
    }
    fn cut(&self) {
        self.server.cut(APP);
    }
    fn silence(&self, on: bool) {
        self.server.faults().silent(on);
    }
    fn drain(&self) {
        self.server.drain(APP);
    }
}

#[tokio::test]
async fn whatever_befalls_the_network_is_outlived() {
    let runs = FAULTS.map(|fault| async move {
        let real = Real::new().await;
        let scale = Scale::full().telling(EVENTS, EVENTS);
        let verdict = drill(&real, fault, scale.lasting(OUTAGE, OUTAGE)).await;
        verdict.check();
        assert!(verdict.gaps > 0, "{verdict}");
    });
    join_all(runs).await;
}
