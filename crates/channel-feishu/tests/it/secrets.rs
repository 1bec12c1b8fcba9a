//! Nothing that is shown or logged holds a token or a secret.

use channel_core::{Channel as _, Events as _, OutboundMessage, Target, Upload, Webhook as _};
use channel_feishu::{Feishu, FeishuBuilder, FeishuConfig, FeishuMessage, Mode};
use channel_testkit::{Reply, assert_absent, canary, capture_tracing, fake_transport};
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::json;

use crate::fake::Wire;

#[test]
fn no_token_and_no_secret_is_ever_shown() {
    let secrets: Vec<_> = (0..6).map(|_| canary()).collect();
    let [app_secret, token, key, tenant, ticket, words] = secrets.as_slice() else {
        panic!("six of them");
    };
    let fake = fake_transport();
    let mut config = FeishuConfig::default();
    config.app_id = "cli_0000000000000001".to_owned();
    config.app_secret = app_secret.as_str().into();
    config.verification_token = Some(token.as_str().into());
    config.encrypt_key = Some(key.as_str().into());
    let mut shown = format!("{config:?}");
    let builder = FeishuBuilder::from(config.clone()).transport(fake.transport());
    shown += &format!("{builder:?}");
    let linked = builder.build().unwrap();
    let hooked = FeishuBuilder::from(config)
        .mode(Mode::Webhook)
        .transport(fake.transport());
    let hooked = hooked.build().unwrap();
    shown += &format!("{linked:?} {:?}", linked.info());
    let grant = json!({"code": 0, "tenant_access_token": tenant, "expire": 7200});
    let ((), logs) = fake.clock.block_on(capture_tracing(async {
        fake.http
            .post("/open-apis/auth", move |_| Reply::ok(&grant));
        let message = OutboundMessage::new(Target::chat("oc_1"), words.as_str())
            .attach(Upload::file("a", words.clone()));
        // Servers that echo what they were asked.
        for body in [
            format!(r#"{{"code":424242,"msg":"{tenant} {words}"}}"#),
            format!("<html>{tenant} {app_secret}</html>"),
            format!(r#"{{"code":0,"data":"{tenant}"}}"#),
            format!(r#"{{"code":"{app_secret}"}}"#),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::BAD_REQUEST,
                StatusCode::BAD_GATEWAY,
            ] {
                for _ in 0..3 {
                    fake.http
                        .once("/open-apis/im", Reply::bytes(status, body.clone()));
                }
                let error = hooked.send(&message).await.unwrap_err();
                shown += &format!("{error} {error:?}");
                fake.http
                    .once("/open-apis/bot", Reply::bytes(status, body.clone()));
                let error = hooked.probe().await.unwrap_err();
                shown += &format!("{error} {error:?}");
            }
        }
        let bot = json!({"code": 0, "bot": {"open_id": "ou_bot", "app_name": "x"}});
        fake.http.get("/open-apis/bot", move |_| Reply::ok(&bot));
        let address = format!("wss://msg.feishu.cn/?service_id=7&ticket={ticket}");
        let endpoint = json!({"code": 0, "data": {"URL": address}});
        fake.http
            .post("/callback/ws/endpoint", move |_| Reply::ok(&endpoint));
        fake.sockets.refuse(channel_core::ErrorKind::Forbidden);
        let mut stream = linked.events();
        shown += &format!("{:?}", stream.next().await.unwrap());
        let accepted = async {
            let peer = fake.sockets.accept().await;
            peer.send(Wire::new(0, &[("type", "pong")], words.as_bytes()).frame());
            peer
        };
        let (peer, ready) = tokio::join!(accepted, stream.next());
        shown += &format!("{:?}", ready.unwrap());
        peer.send_binary(words.clone().into_bytes());
        peer.cut();
        shown += &format!("{:?}", stream.next().await.unwrap());
        let request = Request::post("/feishu/events")
            .header("x-lark-signature", words)
            .body(words.clone().into())
            .unwrap();
        let rejection = hooked.receive(&request, std::time::UNIX_EPOCH).unwrap_err();
        shown += &format!("{rejection} {rejection:?} {:?}", rejection.response());
    }));
    for secret in &secrets {
        assert_absent(secret, &shown);
        assert_absent(secret, &logs);
    }
}

#[test]
fn everything_can_be_shared_between_threads() {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Feishu>();
    is_shared::<FeishuMessage>();
    is_shared::<FeishuBuilder>();
}
