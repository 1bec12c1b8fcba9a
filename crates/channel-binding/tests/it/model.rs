//! Two thousand random steps of fifty owners, compared with a model.

use std::collections::HashMap;

use channel_binding::{BindingStatus, Details};
use channel_core::{BindingId, Bound, ErrorKind, OwnerId};
use channel_testkit::SeededRandom;

use crate::fixture::{Kit, account, on_every_store};

on_every_store! {
    async fn no_owner_ever_reads_or_moves_what_is_another_s(kit) {
        let random = SeededRandom::new(20_260_101);
        let mut model = Model::default();
        for _ in 0..2000 {
            model.step(&kit, &random).await;
            kit.clock.advance(crate::fixture::SECOND);
        }
        assert!(model.moved > 50, "the steps are worth it: {}", model.moved);
        assert!(model.sent > 20 && model.kept_back > 20, "{model:?}");
    }
}

#[derive(Debug, Default)]
struct Model {
    /// Who holds which account.
    holds: HashMap<String, String>,
    /// Whose binding is whose.
    ids: HashMap<BindingId, (String, String)>,
    credentials: HashMap<BindingId, String>,
    /// Answers that are being written: what was known when the question came.
    pending: Vec<Bound>,
    /// Whose thread is whose.
    threads: HashMap<String, (BindingId, String)>,
    moved: u32,
    sent: u32,
    kept_back: u32,
}

impl Model {
    async fn step(&mut self, kit: &Kit, random: &SeededRandom) {
        let pick = |most: u64| random.next_u64() % most;
        let owner = format!("o{}", pick(50));
        let sender = format!("s{}", pick(20));
        match pick(8) {
            0 | 1 => self.connect(kit, &owner, &sender).await,
            2 => self.disconnect(kit, &owner, pick(u64::MAX)).await,
            3 => self.credential(kit, &owner, pick(u64::MAX)).await,
            4 => self.ask(kit, &sender).await,
            5 => self.answer(kit, pick(u64::MAX)).await,
            6 => self.note(kit, &owner, pick(u64::MAX)).await,
            _ => self.look(kit, &owner, &sender).await,
        }
    }

    async fn connect(&mut self, kit: &Kit, owner: &str, sender: &str) {
        kit.connect(owner, sender).await;
        let found = kit
            .bindings
            .resolve(&account(sender))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.owner.as_str(), owner);
        let now = (owner.to_owned(), sender.to_owned());
        let known = self.ids.insert(found.id.clone(), now.clone());
        assert!(
            known.is_none_or(|known| known == now),
            "an id changed hands"
        );
        let before = self.holds.insert(now.1.clone(), now.0);
        if before.is_some_and(|before| before != owner) {
            self.moved += 1;
            let ids = &self.ids;
            self.credentials
                .retain(|id, _| ids[id].1 != sender || ids[id].0 == owner);
        }
    }

    /// Any binding that there ever was, whoever asks.
    fn any(&self, choice: u64) -> Option<BindingId> {
        let mut all: Vec<_> = self.ids.keys().collect();
        all.sort();
        let index = usize::try_from(choice).unwrap().checked_rem(all.len())?;
        Some(all[index].clone())
    }

    async fn disconnect(&mut self, kit: &Kit, owner: &str, choice: u64) {
        let Some(id) = self.any(choice) else { return };
        let (whose, sender) = self.ids[&id].clone();
        // Half of the time the owner asks, half of the time somebody else.
        let asks = if choice.is_multiple_of(2) {
            whose.as_str()
        } else {
            owner
        };
        let gone = kit.bindings.disconnect(&OwnerId::new(asks), &id).await;
        if asks != whose {
            assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        }
        gone.unwrap();
        if self.holds.get(&sender) == Some(&whose) {
            self.holds.remove(&sender);
        }
        self.credentials.remove(&id);
    }

    async fn credential(&mut self, kit: &Kit, owner: &str, choice: u64) {
        let Some(id) = self.any(choice) else { return };
        let (whose, sender) = self.ids[&id].clone();
        let asks = if choice.is_multiple_of(2) {
            whose.as_str()
        } else {
            owner
        };
        let holds = asks == whose && self.holds.get(&sender) == Some(&whose);
        let asks = OwnerId::new(asks);
        let read = kit.bindings.credential(&asks, &id).await;
        let read = read.map(|secret| secret.map(|secret| secret.expose().to_owned()));
        match read {
            Ok(read) => {
                assert!(holds);
                assert_eq!(read.as_ref(), self.credentials.get(&id));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert!(!holds);
            }
        }
        let secret = format!("secret {choice}");
        let written = channel_core::Secret::new(secret.as_str());
        let put = kit.bindings.put_credential(&asks, &id, &written);
        if put.await.is_ok() {
            assert!(holds);
            self.credentials.insert(id, secret);
        }
    }

    /// A message comes in; its answer is written while others go on.
    async fn ask(&mut self, kit: &Kit, sender: &str) {
        let account = account(sender);
        let Some(binding) = kit.bindings.resolve(&account).await.unwrap() else {
            assert!(!self.holds.contains_key(sender));
            return;
        };
        let bound = binding.bound(&account);
        assert_eq!(self.holds[sender], bound.owner.as_str());
        let chat = format!("chat of {sender}");
        let thread = kit.bindings.thread(&bound, &chat, None).await.unwrap();
        let whose = (bound.binding.clone(), chat);
        let known = self.threads.insert(thread, whose.clone());
        assert!(
            known.is_none_or(|known| known == whose),
            "a thread changed hands"
        );
        self.pending.push(bound);
    }

    /// An answer is sent, unless the account is not its owner's any more.
    async fn answer(&mut self, kit: &Kit, choice: u64) {
        let index = usize::try_from(choice)
            .unwrap()
            .checked_rem(self.pending.len());
        let Some(index) = index else { return };
        let bound = self.pending.swap_remove(index);
        let sender = bound.account.sender.as_str();
        let is_theirs = self
            .holds
            .get(sender)
            .is_some_and(|it| it == bound.owner.as_str());
        let hold = kit.bindings.hold(&bound).await.unwrap();
        assert_eq!(hold.is_some(), is_theirs, "to {sender}");
        match is_theirs {
            true => self.sent += 1,
            false => self.kept_back += 1,
        }
    }

    /// What an owner keeps with a binding, and what they are told has happened.
    async fn note(&mut self, kit: &Kit, owner: &str, choice: u64) {
        let asks = OwnerId::new(owner);
        if let Some(id) = self.any(choice) {
            let mut details = Details::default();
            details.workspace_name = Some(owner.to_owned());
            let noted = kit.bindings.describe(&asks, &id, &details).await;
            assert_eq!(noted.is_ok(), self.ids[&id].0 == owner);
        }
        for line in kit.bindings.trail(&asks, 500).await.unwrap() {
            let id = line.binding.unwrap();
            assert_eq!(self.ids[&id].0, owner, "a line about somebody else's");
        }
    }

    async fn look(&self, kit: &Kit, owner: &str, sender: &str) {
        let holder = kit.owner(sender).await;
        assert_eq!(holder.as_ref(), self.holds.get(sender));
        for binding in kit.bindings.list(&OwnerId::new(owner)).await.unwrap() {
            let (whose, sender) = &self.ids[&binding.id];
            assert_eq!(whose, owner);
            let noted = binding.workspace_name.as_deref();
            assert!(noted.is_none_or(|noted| noted == owner));
            let holds = binding.status == BindingStatus::Connected;
            assert_eq!(holds, self.holds.get(sender).is_some_and(|it| it == owner));
        }
    }
}
