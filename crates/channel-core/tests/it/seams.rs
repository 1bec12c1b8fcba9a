use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{Backoff, Clock, Multipart, Random, random_unit, timeout};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending, ready};

/// The same byte for ever.
#[derive(Debug)]
struct Byte(u8);

impl Random for Byte {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

/// Time that passes at once.
#[derive(Debug)]
struct Hasty;

impl Clock for Hasty {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

#[test]
fn a_deadline_ends_what_is_not_done_and_nothing_else() {
    let limit = Duration::from_secs(1);
    let done = timeout(&Hasty, limit, ready(5)).now_or_never().unwrap();
    assert_eq!(done.unwrap(), 5);
    let late = timeout(&Hasty, limit, pending::<()>())
        .now_or_never()
        .unwrap();
    assert!(late.is_err());
}

#[test]
fn a_random_number_stays_below_one() {
    assert_eq!(random_unit(&Byte(0)).to_bits(), 0.0_f64.to_bits());
    let most = random_unit(&Byte(0xff));
    assert!(most < 1.0 && most > 0.999_999);
}

#[test]
fn the_wait_doubles_up_to_its_cap_and_starts_anew_only_after_a_stable_time() {
    let second = Duration::from_secs(1);
    let mut backoff = Backoff::new(second, 60 * second);
    let mut ceilings = Vec::new();
    for _ in 0..8 {
        ceilings.push(backoff.ceiling().as_secs());
        backoff.failed(59 * second);
    }
    assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
    backoff.failed(60 * second);
    assert_eq!(backoff.ceiling(), 2 * second);
    for _ in 0..100 {
        backoff.failed(Duration::ZERO);
    }
    assert_eq!(backoff.ceiling(), 60 * second);
    assert_eq!(backoff.wait(&Byte(0)), 30 * second);
    assert!(backoff.wait(&Byte(0xff)) <= 60 * second);
}

#[test]
fn a_form_holds_its_files_uncopied_and_no_name_breaks_out() {
    let file = Bytes::from_static(b"\x00binary\r\n--form");
    let (kind, body) = Multipart::new(&Byte(7))
        .text("chat_id", "42")
        .file(
            "document",
            "a\"b\r\nX: y\0.txt",
            "text/plain\r\nX: y",
            file.clone(),
        )
        .finish();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let length = body.len();
    let pieces = body.into_pieces();
    let shared = pieces.iter().any(|piece| piece.as_ptr() == file.as_ptr());
    assert!(shared, "the file was copied");
    let whole = pieces.concat();
    assert_eq!(whole.len() as u64, length);
    let text = String::from_utf8_lossy(&whole);
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n42\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a%22b%0D%0AX: y.txt\"\r\n\
         Content-Type: text/plainX:y\r\n\r\n\0binary\r\n--form\r\n--{boundary}--\r\n"
    );
    assert_eq!(text, expected);
}
