//! Whatever stands in the `encrypt` field of a request is opened or not; what was sealed
//! with the key is opened to the letter, and with another key or a bit changed it is not.

#![no_main]

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use channel_feishu::fuzz::open;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = open("a key", text);
    }
    let _ = open("a key", &STANDARD.encode(data));
    let Some((iv, plain)) = data.split_first_chunk::<16>() else {
        return;
    };
    let key: [u8; 32] = Sha256::digest(b"a key").into();
    let cipher = cbc::Encryptor::<Aes256>::new(&key.into(), iv.into());
    let mut blob = iv.to_vec();
    blob.extend(cipher.encrypt_padded_vec::<Pkcs7>(plain));
    assert_eq!(open("a key", &STANDARD.encode(&blob)).as_deref(), Some(plain));
    if let Some(byte) = blob.get_mut(16) {
        *byte ^= 1;
    }
    assert_ne!(open("a key", &STANDARD.encode(&blob)).as_deref(), Some(plain));
});
