//! Credentials that an application keeps with a binding, and the keys that they are under.

use channel_core::{BindingId, Error, OwnerId, Result, Secret};

use super::{Bindings, not_found};
use crate::seal::Sealer;

/// How often the key may change while one credential is read.
const ROTATIONS: u32 = 8;
/// How many credentials are read at once in a sweep.
const PAGE: u32 = 100;

/// What a sweep over all credentials has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// How many are under the new key that were under an old one.
    pub resealed: u64,
    /// How many no key opens; they read as absent and were left alone.
    pub unreadable: u64,
}

impl Bindings {
    /// Keeps a credential with a binding, encrypted; says how often one was written.
    ///
    /// # Errors
    ///
    /// `Config` without a sealer, `NotFound` if the owner has no such binding or it does
    /// not hold, `Invalid` if it is too long, `Unavailable`.
    pub async fn put_credential(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        credential: &Secret,
    ) -> Result<i64> {
        let sealer = self.sealer()?;
        let binding = self.own(owner, id).await?;
        let random = self.0.random.as_ref();
        // Held until it is written: a rotation of keys waits for it.
        let sealed = sealer.seal_held(random, id, &binding.account, credential)?;
        self.within(self.0.store.put_credential(id, &sealed.text))
            .await?
            .ok_or_else(not_found)
    }

    /// The credential of a binding that holds. One that cannot be decrypted reads as absent.
    ///
    /// # Errors
    ///
    /// `NotFound` if the owner has no such binding or it does not hold, `Unavailable`.
    pub async fn credential(&self, owner: &OwnerId, id: &BindingId) -> Result<Option<Secret>> {
        let binding = self.own(owner, id).await?;
        for _ in 0..ROTATIONS {
            // Before it is read, so that an old key is among them as long as it is in use.
            let hold = self.0.sealer.as_ref().map(Sealer::hold);
            let kept = self.within(self.0.store.credential(id)).await?;
            let (Some(sealer), Some(hold), Some(kept)) = (&self.0.sealer, hold, kept) else {
                return Ok(None);
            };
            let opened = hold.open(id, &binding.account, &kept.sealed);
            if opened.is_some() || hold.is_of(sealer) {
                if opened.is_none() {
                    tracing::warn!(binding = %id, "a credential cannot be decrypted");
                    self.failed(id).await?;
                }
                return Ok(opened);
            }
            // Another key has come before it was read.
        }
        Ok(None)
    }

    /// Puts every credential under the first key of the [`Sealer`], while others read and
    /// write. For several processes that share a store: give all of them the new secret
    /// first and the old one by [`with_old`](Sealer::with_old), do this in one, and then take
    /// the old one away.
    ///
    /// # Errors
    ///
    /// `Config` without a sealer; `Unavailable`: some may be done, do it again.
    pub async fn reseal(&self) -> Result<Resealed> {
        let sealer = self.sealer()?;
        let mut done = Resealed::default();
        let mut after: Option<BindingId> = None;
        loop {
            let page = self.0.store.credentials(after.as_ref(), PAGE);
            let page = self.within(page).await?;
            let Some((last, _)) = page.last() else {
                return Ok(done);
            };
            after = Some(last.id.clone());
            for (binding, kept) in page {
                let (id, account) = (&binding.id, &binding.account);
                let hold = sealer.hold();
                if hold.is_current(id, account, &kept.sealed) {
                    continue;
                }
                let Some(plain) = hold.open(id, account, &kept.sealed) else {
                    done.unreadable += 1;
                    continue;
                };
                let random = self.0.random.as_ref();
                let sealed = sealer.seal_held(random, id, account, &plain)?;
                let replaced = self
                    .0
                    .store
                    .replace_credential(id, kept.version, &sealed.text);
                // Whoever wrote in between did so with the new key, or is waited for.
                done.resealed += u64::from(self.within(replaced).await?);
            }
        }
    }

    /// Changes the secret of the [`Sealer`] while everything goes on: writes with the new
    /// one from now on, puts all credentials under it, waits for those who still write with
    /// the old one, and only then forgets that. For one process; several do it by
    /// [`reseal`](Self::reseal).
    ///
    /// # Errors
    ///
    /// `Config` without a sealer, or if the secret is shorter than 32 bytes. `Unavailable`:
    /// the new secret is in use and the old one still decrypts; [`reseal`](Self::reseal)
    /// goes on.
    pub async fn rotate_key(&self, secret: &Secret) -> Result<Resealed> {
        let sealer = self.sealer()?;
        sealer.begin_rotation(secret)?;
        let mut all = self.reseal().await?;
        loop {
            // Looked at before the sweep: what was written until then is seen by it. Each
            // writer is done or has given up within the time that a call may take.
            let idle = sealer.old_keys_are_idle();
            let done = self.reseal().await?;
            all.resealed += done.resealed;
            if idle {
                sealer.end_rotation();
                return Ok(all);
            }
        }
    }

    fn sealer(&self) -> Result<&Sealer> {
        let sealer = self.0.sealer.as_ref();
        sealer.ok_or_else(|| Error::config("bindings keep credentials only with a sealer()"))
    }
}
