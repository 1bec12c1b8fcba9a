//! Counts the instructions of the hot paths and of their floors, and fails if a path costs
//! more than it may: `cargo run -p benches --bin ratios`. Arguments go to `cargo bench`: a wider
//! selection of crates, where that has been built already.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use serde::Deserialize;

/// How many times the instructions of its floor each path may take. For decoding this is
/// the promise of the project: to decode and to hand over adds half at most, and so it is for
/// an event of Discord's that nobody wants. The others stand a little above what was
/// measured, to notice when that changes.
const LIMITS: &[(&str, f64)] = &[
    ("telegram_decode/private", 1.5),
    ("telegram_decode/group", 1.5),
    ("telegram_reply/batch", 1.6),
    ("bot_echo/ten_batches", 2.1),
    // 2.99 to 3.22, by processor: the C library copies in other ways there.
    ("markdown/answer", 3.4),
    ("split/english", 1.9),
    ("split/mixed", 1.7),
    ("standard_frame/message", 2.3),
    ("standard_frame/with_file", 2.3),
    ("dingtalk_frame/direct", 1.85),
    ("dingtalk_frame/group", 1.8),
    ("slack_webhook/messages", 1.1),
    ("line_webhook/messages", 1.07),
    ("wecom_callback/messages", 0.9),
    ("feishu_webhook/messages", 1.4),
    ("feishu_frame/messages", 1.47),
    ("discord_dispatch/messages", 1.35),
    ("discord_unhandled/presences", 1.5),
];

/// One line of gungraun's output.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    id: String,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Metric,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: f64,
}

fn main() -> ExitCode {
    match measure().and_then(|counts| judge(&counts)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ratios: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the benches; instructions by path.
fn measure() -> Result<BTreeMap<String, f64>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "bench",
            "--quiet",
            "-p",
            "benches",
            "--bench",
            "instructions",
        ])
        .args(std::env::args_os().skip(1))
        .args(["--", "--output-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err("the benches do not run; are valgrind and gungraun-runner there?".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let summary: Summary = serde_json::from_str(line)
            .map_err(|error| format!("the output of gungraun is not as expected: {error}"))?;
        let count = summary
            .profiles
            .first()
            .map(|profile| profile.data.total.metrics.instructions.values.new)
            .ok_or("the output of gungraun holds no profile")?;
        counts.insert(format!("{}/{}", summary.function_name, summary.id), count);
    }
    Ok(counts)
}

/// Prints a line for each path; whether all are within their limits.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn judge(counts: &BTreeMap<String, f64>) -> Result<bool, String> {
    let of = |name: &str| {
        let count = counts.get(name).copied();
        count.ok_or_else(|| format!("{name} was not measured"))
    };
    let mut all_within = true;
    for (name, limit) in LIMITS {
        let (path, id) = name.split_once('/').unwrap_or((name, ""));
        let ratio = of(name)? / of(&format!("{path}_floor/{id}"))?;
        let within = ratio <= *limit;
        let verdict = if within { "" } else { " OVER" };
        println!("bench {name} ratio {ratio:.3} (limit {limit}){verdict}");
        all_within &= within;
    }
    Ok(all_within)
}
