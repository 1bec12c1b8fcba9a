//! The credentials of platforms, set while the program runs.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{Error, ErrorKind, Platform, Result, Secret};
use futures_util::lock::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use crate::bindings::Bindings;

/// What stands for a secret that is there. Sent back it keeps the secret.
const MASK: &str = "********";
/// The longest value.
const LONGEST: usize = 4096;

/// The settings of a platform by name.
pub type RuntimeValues = BTreeMap<String, Secret>;

/// One setting that an operator fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialField {
    /// Its name, as the channel's configuration has it.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// Whether it is hidden.
    pub secret: bool,
    /// Whether the platform cannot do without it.
    pub required: bool,
}

impl CredentialField {
    /// A hidden setting that is needed.
    #[must_use]
    pub fn secret(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            secret: true,
            required: true,
        }
    }

    /// A plain setting that is needed.
    #[must_use]
    pub fn plain(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            secret: false,
            ..Self::secret(name, label)
        }
    }

    /// Can be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// Starts and stops the channels of platforms.
#[async_trait]
pub trait Runtime: fmt::Debug + Send + Sync {
    /// What an operator fills in; empty where nothing can be set.
    fn fields(&self, platform: &Platform) -> Vec<CredentialField>;

    /// Starts the channel with these settings, or starts it anew with them.
    async fn start(&self, platform: &Platform, values: &RuntimeValues) -> Result<()>;

    /// Stops the channel; stopping it again does nothing.
    async fn stop(&self, platform: &Platform) -> Result<()>;
}

/// A setting, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldView {
    /// Its name.
    pub(crate) name: String,
    /// Its name for people.
    pub(crate) label: String,
    /// Whether it is hidden.
    pub(crate) secret: bool,
    /// Whether the platform cannot do without it.
    pub(crate) required: bool,
    /// Its value; `********` for a secret that is there.
    pub(crate) value: Option<String>,
}

/// Settings that were made while the program ran. They win over those of its files.
///
/// Kept in one file that only its owner can read, replaced as a whole.
pub struct RuntimeSettings {
    path: PathBuf,
    runtime: Arc<dyn Runtime>,
    /// One change at a time.
    kept: Mutex<BTreeMap<String, RuntimeValues>>,
}

impl fmt::Debug for RuntimeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeSettings").finish_non_exhaustive()
    }
}

impl RuntimeSettings {
    /// Reads the file, where there is one.
    ///
    /// # Errors
    ///
    /// `Config` if the file cannot be read: settings that are there must not be lost.
    pub fn open(path: impl Into<PathBuf>, runtime: Arc<dyn Runtime>) -> Result<Self> {
        let path = path.into();
        let kept = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| Error::config("the file of runtime settings is broken"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(_) => return Err(Error::config("the file of runtime settings cannot be read")),
        };
        Ok(Self {
            path,
            runtime,
            kept: Mutex::new(kept),
        })
    }

    /// The settings of a platform: those made while running, and where there are none those
    /// of the file.
    pub async fn values(&self, platform: &Platform, file: RuntimeValues) -> RuntimeValues {
        let kept = self.kept.lock().await;
        kept.get(platform.as_str()).cloned().unwrap_or(file)
    }

    pub(crate) async fn view(&self, platform: &Platform) -> Vec<FieldView> {
        let kept = self.kept.lock().await;
        let values = kept.get(platform.as_str());
        let show = |field: CredentialField| FieldView {
            value: values
                .and_then(|values| values.get(&field.name))
                .map(|value| match field.secret {
                    true => MASK.to_owned(),
                    false => value.expose().to_owned(),
                }),
            name: field.name,
            label: field.label,
            secret: field.secret,
            required: field.required,
        };
        self.runtime
            .fields(platform)
            .into_iter()
            .map(show)
            .collect()
    }

    /// Takes new settings: the channel is started with them first, and what it does not
    /// start with is not kept.
    pub(crate) async fn set(
        &self,
        platform: &Platform,
        posted: BTreeMap<String, String>,
    ) -> Result<(), Unset> {
        let mut kept = self.kept.lock().await;
        let before = kept.get(platform.as_str()).cloned();
        let fields = self.runtime.fields(platform);
        let values = merge(&fields, before.as_ref(), posted)?;
        if self.runtime.start(platform, &values).await.is_err() {
            self.bring_back(platform, before.as_ref()).await;
            return Err(Unset::FailedStart);
        }
        let mut changed = kept.clone();
        changed.insert(platform.as_str().to_owned(), values);
        if write(&self.path, &changed).is_err() {
            self.bring_back(platform, before.as_ref()).await;
            return Err(Unset::Unwritten);
        }
        *kept = changed;
        Ok(())
    }

    /// What ran before runs again, or nothing does.
    async fn bring_back(&self, platform: &Platform, before: Option<&RuntimeValues>) {
        let back = match before {
            Some(values) => self.runtime.start(platform, values).await,
            None => self.runtime.stop(platform).await,
        };
        if let Err(error) = back {
            tracing::error!(%platform, %error, "a channel did not come back");
        }
    }

    /// Takes the settings away: stop, revoke the bindings of all owners, write, and only
    /// then forget. Whatever fails, doing it again goes on from there.
    pub(crate) async fn remove(&self, platform: &Platform, bindings: &Bindings) -> Result<()> {
        let mut kept = self.kept.lock().await;
        self.runtime.stop(platform).await?;
        bindings.revoke_platform(platform).await?;
        let mut changed = kept.clone();
        changed.remove(platform.as_str());
        write(&self.path, &changed)?;
        *kept = changed;
        Ok(())
    }
}

/// Why settings were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    UnknownField,
    MissingField,
    FailedStart,
    Unwritten,
}

fn merge(
    fields: &[CredentialField],
    before: Option<&RuntimeValues>,
    posted: BTreeMap<String, String>,
) -> Result<RuntimeValues, Unset> {
    let mut values = RuntimeValues::new();
    for (name, value) in posted {
        let field = fields.iter().find(|field| field.name == name);
        let field = field.ok_or(Unset::UnknownField)?;
        if value.len() > LONGEST {
            return Err(Unset::UnknownField);
        }
        let stored = before.and_then(|before| before.get(&name));
        match stored {
            Some(stored) if field.secret && value == MASK => {
                values.insert(name, stored.clone());
            }
            // The mask is no secret of anybody.
            _ if value.trim().is_empty() || value == MASK => {}
            _ => {
                values.insert(name, Secret::new(value));
            }
        }
    }
    let misses = |field: &CredentialField| field.required && !values.contains_key(&field.name);
    if fields.iter().any(misses) {
        return Err(Unset::MissingField);
    }
    Ok(values)
}

/// Replaces the file as a whole; nobody else can read it at any moment.
fn write(path: &Path, kept: &BTreeMap<String, RuntimeValues>) -> Result<()> {
    let plain: BTreeMap<&String, BTreeMap<&String, &str>> = kept
        .iter()
        .map(|(platform, values)| {
            let values = values.iter().map(|(name, value)| (name, value.expose()));
            (platform, values.collect())
        })
        .collect();
    let failed = || {
        Error::new(
            ErrorKind::Unavailable,
            "the file of runtime settings cannot be written",
        )
    };
    let bytes = serde_json::to_vec_pretty(&plain).map_err(|_| failed())?;
    let beside = path.with_extension("new");
    let replace = || {
        // A leftover of a crash may have other rights.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    replace().map_err(|_| failed())
}
