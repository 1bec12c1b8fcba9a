//! What befalls the network, on real sockets against the emulator: the faults of the drill that the other tests on
//! sockets leave out. Both sides live four times as fast; what is asked of the channel stays as it is.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_emulator::feishu::{Feishu as Emulator, FeishuConfig, FeishuServer, NewApp};
use channel_feishu::Feishu;
use channel_http::SystemClock;
use channel_testkit::drill::{Fault, QuickClock, Rig, Scale, Weather, drill};
use futures_util::future::join_all;
use futures_util::stream::BoxStream;

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";

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
    server: FeishuServer,
    clock: QuickClock,
    weather: Weather,
    channel: Feishu,
    ada: String,
}

impl Real {
    async fn new() -> Self {
        let clock = QuickClock::new(Arc::new(SystemClock::new()), PACE);
        let mut transport = channel_http::transport();
        transport.clock = Arc::new(clock.clone());
        transport.crowd = channel_core::Crowd::new();
        let weather = Weather::new();
        let transport = weather.over(transport, "/callback/ws/endpoint");
        let again = [Duration::from_secs(15) / PACE; 100];
        let config = FeishuConfig::default().connection(30, 120, 1);
        let server = Emulator::start(config.redelivery(&again)).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        let ada = server.user("Ada");
        let builder = Feishu::builder().app(APP, SECRET).transport(transport);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        Self {
            server,
            clock,
            weather,
            channel,
            ada,
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
        self.server.say(APP, &self.ada, words.as_str()).unwrap();
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
        assert_eq!(verdict.gaps, 0, "{verdict}");
    });
    join_all(runs).await;
}
