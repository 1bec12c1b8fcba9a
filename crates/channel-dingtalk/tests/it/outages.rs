//! What befalls the network, on real sockets against the emulator: the faults of the drill that the other tests on
//! sockets leave out. Both sides live four times as fast; what is asked of the channel stays as it is.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_dingtalk::DingTalk;
use channel_emulator::dingtalk::{Dingtalk as Emulator, DingtalkConfig, DingtalkServer, NewApp};
use channel_testkit::drill::{Fault, Hurry, Rig, Scale, Weather, outlive};
use futures_util::stream::BoxStream;

use crate::emulator::{APP, SECRET};

const ADA: &str = "staff1";

const PACE: u32 = 4;

struct Real {
    server: DingtalkServer,
    hurry: Hurry,
    channel: DingTalk,
}

impl Real {
    async fn new() -> Self {
        let hurry = Hurry::new(channel_http::transport(), PACE, "/gateway/connections/open");
        let transport = hurry.transport.clone();
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
            hurry,
            channel,
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
    for (_, verdict) in outlive(Real::new, &Fault::NETWORK, Scale::brief()).await {
        assert!(verdict.gaps > 0, "{verdict}");
    }
}
