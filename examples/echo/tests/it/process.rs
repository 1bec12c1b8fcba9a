//! The bot as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

pub(crate) struct Echo {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub(crate) port: u16,
}

/// A port that nobody uses at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo"));
    command.env_clear().stdin(Stdio::null());
    command
}

impl Echo {
    /// Starts the bot with these variables.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut child = command()
            .env("CHANNEL_BIND", format!("127.0.0.1:{port}"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, port }
    }

    /// Waits until a platform is ready.
    pub(crate) fn ready(mut self, platform: &str) -> Self {
        let wanted = format!("ready {platform}");
        let found = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line == wanted);
        assert!(found, "{platform} did not become ready: {}", self.errors());
        self
    }

    fn errors(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        let _ = self.child.stderr.take().unwrap().read_to_string(&mut text);
        text
    }

    /// Asks the bot to stop, and tells its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }

    /// Kills the bot without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the bot to its end: exit code, standard output, standard error.
fn run(variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = command().envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_bad_configuration_ends_with_2_and_one_sentence() {
    let secret = "tok-canary-8d1f0c";
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("CHANNEL_TELEGRAM_API_BASE", "http://127.0.0.1:1")],
        &[("CHANNEL_TELEGRAM_BOT_TOKEN", secret)],
        &[("CHANNEL_STANDARD_ALLOW_ORIGINS", "https://a.example")],
        &[
            ("CHANNEL_STANDARD_TOKEN", secret),
            ("CHANNEL_BIND", "nowhere"),
        ],
        &[
            ("CHANNEL_STANDARD_TOKEN", secret),
            ("CHANNEL_STORE", "tape"),
        ],
    ];
    for case in cases {
        let (code, output, errors) = run(case);
        assert_eq!(code, Some(2), "{case:?}: {errors}");
        assert!(output.is_empty(), "{case:?}: {output}");
        assert_eq!(errors.lines().count(), 1, "{case:?}: {errors}");
        assert!(!errors.contains(secret), "{errors}");
    }
}
