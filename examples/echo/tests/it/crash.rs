use std::collections::HashSet;
use std::time::Duration;

use crate::telegram::Site;

/// Kills the bot without a word at many different moments of its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_01_no_update_is_skipped_when_the_bot_is_killed_fifty_times() {
    let site = Site::open().await;
    let mut said = Vec::new();
    for round in 0..50 {
        let echo = site.start();
        for n in 0..5 {
            let text = format!("round {round} message {n}");
            site.says(&text);
            said.push(format!("echo: {text}"));
        }
        // From "before the first poll has brought anything" to "in the middle of it".
        tokio::time::sleep(Duration::from_micros(331 * round)).await;
        echo.kill();
    }
    let echo = site.start();
    let last = site.telegram.wait_for(Duration::from_secs(60), |view| {
        let heard: HashSet<String> = view
            .sent(site.bot)
            .into_iter()
            .filter_map(|sent| sent.text)
            .collect();
        said.iter().all(|text| heard.contains(text)).then_some(())
    });
    let complete = last.await;
    let heard: HashSet<String> = site
        .telegram
        .sent(site.bot)
        .into_iter()
        .filter_map(|sent| sent.text)
        .collect();
    let missing: Vec<&String> = said.iter().filter(|text| !heard.contains(*text)).collect();
    assert!(complete.is_ok(), "{} skipped: {missing:?}", missing.len());
    assert_eq!(echo.terminate(), Some(0));
    assert!(site.telegram.updates_pending(site.bot).is_empty());
}
