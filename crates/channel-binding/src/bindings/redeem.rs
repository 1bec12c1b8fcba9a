//! Redeeming: the far end of a connect code.

use std::time::Duration;

use channel_core::{BindingId, ErrorKind, Message, Result, timeout};
use channel_policy::AuditEvent;

use super::Bindings;
use crate::code::CodeHash;
use crate::flights::Whose;
use crate::notice::Notice;
use crate::platform::ConnectPlatform;
use crate::store::{Redeemed, Redemption};

/// How long an owner's notice may take.
const NOTICE: Duration = Duration::from_secs(5);
/// How much of a shown name is kept.
const NAME: usize = 256;

/// What became of a code that somebody sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connected,
    Invalid,
    Replayed,
}

impl Bindings {
    /// Binds the sender of a message to the owner of the code in it. The sender has been
    /// judged: nothing here looks at who it is.
    pub(crate) async fn redeem(
        &self,
        platform: &ConnectPlatform,
        hash: CodeHash,
        message: &Message,
        digest: String,
    ) -> Result<Outcome> {
        let mut account = message.sender.account.clone();
        if platform.is_personal() {
            account.workspace = None;
        }
        let redemption = Redemption {
            hash,
            account,
            proof: message.proof(),
            account_name: message.sender.name.as_deref().and_then(plain_name),
            message: digest,
            id: BindingId::from(self.id()),
            now: self.now(),
        };
        // Answers to a former owner's messages arrive before the account moves. Nobody waits for
        // a code that moves nothing, and one that does not hold now never will.
        let is_live = self.0.store.is_live(
            &redemption.hash,
            &redemption.account.platform,
            redemption.now,
        );
        let closed = match self.within(is_live).await? {
            true => {
                let sender = message.sender.account.clone();
                Some(self.land(Whose::Accounts(vec![sender])).await?)
            }
            false => None,
        };
        let redeemed = self.within(self.0.store.redeem(&redemption)).await?;
        drop(closed);
        Ok(match redeemed {
            Redeemed::Bound { binding, former } => {
                for former in former {
                    self.record("binding_moved_away", &former);
                    self.notify(Notice::MovedAway(former)).await;
                }
                self.record("binding_connected", &binding);
                self.notify(Notice::Connected(*binding)).await;
                Outcome::Connected
            }
            Redeemed::Invalid => Outcome::Invalid,
            Redeemed::Replayed => Outcome::Replayed,
        })
    }

    /// Spoils a code that was sent where others could read it, and tells its owner.
    pub(crate) async fn burn(&self, platform: &ConnectPlatform, hash: &CodeHash) -> Result<bool> {
        let now = self.now();
        let platform = platform.platform();
        let burnt = self.0.store.burn(hash, platform, now);
        let Some(owner) = self.within(burnt).await? else {
            return Ok(false);
        };
        if let Some(audit) = &self.0.audit {
            let line = AuditEvent::new(now, "code_exposed", false, "code_exposed");
            audit.record(line.owner(&owner));
        }
        let platform = platform.clone();
        self.notify(Notice::CodeExposed { owner, platform }).await;
        Ok(true)
    }

    async fn notify(&self, notice: Notice) {
        let Some(notices) = &self.0.notices else {
            return;
        };
        let told = timeout(self.0.clock.as_ref(), NOTICE, notices.notify(&notice));
        if told.await.is_err() {
            let kind = ErrorKind::Unavailable;
            tracing::warn!(notice = notice.as_str(), %kind, "an owner was not told in time");
        }
    }
}

/// A shown name as it is kept: cut, and without what is no text.
fn plain_name(name: &str) -> Option<String> {
    let plain: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect();
    (!plain.trim().is_empty()).then_some(plain)
}
