//! What befalls the network, on real sockets against the emulator: the faults of the drill that the other tests on
//! sockets leave out. Both sides live four times as fast; what is asked of the channel stays as it is.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Events as _, Received, Result};
use channel_emulator::feishu::{Feishu as Emulator, FeishuConfig, FeishuServer, NewApp};
use channel_feishu::Feishu;
use channel_testkit::drill::{Fault, Hurry, Rig, Scale, Weather, outlive};
use futures_util::stream::BoxStream;

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";

const PACE: u32 = 4;

struct Real {
    server: FeishuServer,
    hurry: Hurry,
    channel: Feishu,
    ada: String,
}

impl Real {
    async fn new() -> Self {
        let hurry = Hurry::new(channel_http::transport(), PACE, "/callback/ws/endpoint");
        let transport = hurry.transport.clone();
        let again = [Duration::from_secs(15) / PACE; 100];
        let config = FeishuConfig::default().connection(30, 120, 1);
        let server = Emulator::start(config.redelivery(&again)).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        let ada = server.user("Ada");
        let builder = Feishu::builder().app(APP, SECRET).transport(transport);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        Self {
            server,
            hurry,
            channel,
            ada,
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
    for (_, verdict) in outlive(Real::new, &Fault::NETWORK, Scale::brief()).await {
        assert_eq!(verdict.gaps, 0, "{verdict}");
    }
}
