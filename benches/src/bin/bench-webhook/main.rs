//! The webhooks of the adapters under load, with a handler that does nothing.
//!
//! `bench-webhook slack|line [adapter|full]` listens on 127.0.0.1:`PORT`; `bench-webhook wecom
//! FIXTURE SECONDS [adapter|cipher]` goes through recorded callbacks in a loop.

mod http;
mod people;
mod wecom;

use channel_core::{Error, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["slack"] | ["slack", "adapter"] => http::adapter(http::slack()?).await,
        ["slack", "full"] => http::full(http::slack()?, people::slack()).await,
        ["line"] | ["line", "adapter"] => http::adapter(http::line()?).await,
        ["line", "full"] => http::full(http::line()?, people::line()).await,
        ["wecom", fixture, seconds] | ["wecom", fixture, seconds, "adapter"] => {
            wecom::run(fixture, seconds, wecom::Depth::Adapter)
        }
        ["wecom", fixture, seconds, "cipher"] => wecom::run(fixture, seconds, wecom::Depth::Cipher),
        _ => Err(Error::config(
            "say slack or line and adapter or full, or wecom, a fixture and seconds",
        )),
    }
}
