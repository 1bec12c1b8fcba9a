//! What the compiler refuses to do with a secret.
//!
//! A secret shows a placeholder wherever it is printed, and cannot be written as JSON,
//! whatever it is part of.
//!
//! ```compile_fail,E0277
//! let secret = channel_core::Secret::new("s3cret");
//! serde_json::to_string(&secret);
//! ```
//!
//! ```compile_fail,E0277
//! fn leak(offer: &channel_binding::ConnectOffer) -> String {
//!     serde_json::to_string(offer).unwrap_or_default()
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn leak(sealed: &channel_binding::SealedCredential) -> String {
//!     serde_json::to_string(sealed).unwrap_or_default()
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn leak(sealer: &channel_binding::Sealer) -> String {
//!     serde_json::to_string(sealer).unwrap_or_default()
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn leak(hash: &channel_policy::SaltedHash) -> String {
//!     format!("{hash}")
//! }
//! ```
//!
//! The same with what may be shown compiles, so that nothing above fails for another reason:
//!
//! ```
//! fn show(binding: &channel_binding::BindingRecord) -> String {
//!     serde_json::to_string(binding).unwrap_or_default()
//! }
//! fn placeholder(offer: &channel_binding::ConnectOffer) -> String {
//!     format!("{} {:?}", offer.code, offer.code)
//! }
//! let secret = channel_core::Secret::new("s3cret");
//! assert!(!format!("{secret} {secret:?}").contains("s3cret"));
//! ```
