//! Folders for tests, and disks that fail under them: full, not to be written for a while.
//!
//! What needs Linux, a tool or a right that is not there says so and is skipped; with
//! `CHANNEL_SKIP_NOTHING` in the environment it fails instead.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set in a process that [`in_own_mounts`] has started.
const OWN_MOUNTS: &str = "CHANNEL_OWN_MOUNTS";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder of its own, removed when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one below the system's temporary folder.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("channel-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left by a process that had the same number and was killed.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file or folder in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever is left over is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Says that a check cannot be made here, past what captures the output of tests that pass.
///
/// # Panics
///
/// With `CHANNEL_SKIP_NOTHING` in the environment.
pub fn skipped(why: &str) {
    let everything = std::env::var_os("CHANNEL_SKIP_NOTHING").is_some();
    assert!(!everything, "cannot be checked: {why}");
    // Without anybody to tell, nobody misses it.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs a test of the calling program, by its whole name, in a process with a mount namespace of
/// its own, in which [`mount`] may be called. `false` in that process; `true` when the test has
/// been run there, or cannot be.
///
/// # Panics
///
/// If the test fails there.
#[must_use]
pub fn in_own_mounts(test: &str) -> bool {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return false;
    }
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user"]).arg(this);
    command.args(["--exact", test, "--nocapture"]);
    let Ok(output) = command.env(OWN_MOUNTS, "1").output() else {
        skipped("there is no `unshare`");
        return true;
    };
    let (told, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let has_passed = told.contains("1 passed");
    if !has_passed && errors.contains("unshare") {
        skipped("no mount namespaces here");
        return true;
    }
    assert!(has_passed, "{told}{errors}");
    true
}

/// Runs `mount` with these arguments on a folder; only [`in_own_mounts`].
///
/// # Panics
///
/// If it fails.
pub fn mount(arguments: &[&str], folder: &Path) {
    let status = Command::new("mount").args(arguments).arg(folder).status();
    assert!(status.expect("there is `mount`").success(), "{arguments:?}");
}

/// Lets nobody write files any more, not even who has them open, or lets everybody write them
/// again; `false` if that cannot be had here, which has been said.
#[must_use]
pub fn set_immutable(files: &[&Path], is_immutable: bool) -> bool {
    let change = if is_immutable { "+i" } else { "-i" };
    let done = Command::new("chattr").arg(change).args(files).output();
    let is_done = done.is_ok_and(|output| output.status.success());
    if !is_done {
        skipped("files cannot be made immutable here");
    }
    is_done
}

/// A path with something behind its name: `bot.db` and `-wal` are `bot.db-wal`.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_gone_with_what_is_in_it() {
        let folder = Folder::new();
        let other = Folder::new();
        std::fs::write(folder.join("file"), "text").unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        assert!(other.path().is_dir(), "each has its own");
    }

    #[test]
    fn what_lies_beside_a_file_is_called_after_it() {
        assert_eq!(
            beside(Path::new("a/bot.db"), "-wal"),
            Path::new("a/bot.db-wal")
        );
    }
}
