use std::process::Stdio;

use channel_kit::core::{HttpBody, HttpRequest, SocketRequest};
use channel_testkit::{assert_absent, canary};

use crate::process::command;

/// G1: whatever goes right or wrong, at trace level, no secret is written anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_written() {
    use channel_emulator::telegram::{Fault, Telegram, TelegramConfig};
    let (part, webhook, standard) = (canary(), canary(), canary());
    let token = format!("123456:{part}");
    for polling in [true, false] {
        let telegram = Telegram::start(TelegramConfig::default()).await.unwrap();
        let bot = telegram.add_bot(&token, "kit_bot").unwrap();
        let ada = telegram.user(42, "Ada");
        let port = crate::process::free_port();
        let mut run = command();
        run.env("CHANNEL_BIND", format!("127.0.0.1:{port}"))
            .env("RUST_LOG", "trace")
            .env("CHANNEL_TELEGRAM_BOT_TOKEN", &token)
            .env("CHANNEL_TELEGRAM_API_BASE", telegram.api_base())
            .env("CHANNEL_STANDARD_TOKEN", &standard)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !polling {
            run.env("CHANNEL_TELEGRAM_WEBHOOK_SECRET", &webhook);
        }
        let child = run.spawn().unwrap();
        let id = child.id().to_string();
        let output = std::thread::spawn(move || child.wait_with_output().unwrap());
        let url = format!("http://127.0.0.1:{port}/telegram/webhook");
        let http = channel_kit::http::transport().http;
        let post = |url: String, secret: &str, body: &'static str| {
            let request = http::Request::post(url)
                .header("content-type", "application/json")
                .header("x-telegram-bot-api-secret-token", secret)
                .body(HttpBody::from(body.as_bytes().to_vec()))
                .unwrap();
            http.execute(HttpRequest::new(request))
        };
        // Until it listens.
        let mut answers = Vec::new();
        while answers.is_empty() {
            if let Ok(answer) = post(url.clone(), &webhook, "{").await {
                answers.push(answer);
            }
        }
        for secret in [webhook.as_str(), "wrong", ""] {
            for body in [
                "{",
                r#"{"update_id":1}"#,
                r#"{"update_id":"x","message":[]}"#,
            ] {
                answers.push(post(url.clone(), secret, body).await.unwrap());
            }
        }
        if polling {
            for fault in [
                Fault::TooManyRequests { retry_after: 1 },
                Fault::ServerError { status: 502 },
                Fault::DropBefore,
                Fault::LoseAnswer,
            ] {
                telegram.faults().next("sendMessage", 1, fault);
                telegram.private_text(bot, ada, "hello").unwrap();
            }
            telegram.private_text(bot, ada, "/file").unwrap();
            let found = telegram.wait_for(std::time::Duration::from_secs(20), |view| {
                view.sent(bot)
                    .into_iter()
                    .any(|sent| !sent.content["document"].is_null())
                    .then_some(())
            });
            found.await.unwrap();
        }
        for authorization in [format!("Bearer {standard}"), format!("Bearer x{standard}")] {
            let request = http::Request::get(format!("ws://127.0.0.1:{port}/standard"))
                .header("authorization", authorization);
            let request = SocketRequest::new(request.body(()).unwrap());
            let sockets = channel_kit::http::transport().sockets;
            drop(sockets.connect(request).await);
        }
        // A revoked token ends polling with an error that is written, too.
        telegram.revoke_token(bot);
        telegram.stop();
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap();
        let output = output.join().unwrap();
        let mut written = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(written.contains("TRACE"), "nothing was traced");
        written.push_str(&String::from_utf8_lossy(&output.stdout));
        for answer in answers {
            written.push_str(&format!("{answer:?}"));
        }
        for secret in [&part, &webhook, &standard] {
            assert_absent(secret, &written);
        }
    }
}
