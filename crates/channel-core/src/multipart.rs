//! `multipart/form-data` bodies (RFC 7578) that do not copy files.

use bytes::Bytes;

use crate::clock::Random;
use crate::http_client::HttpBody;

/// Builds a `multipart/form-data` body.
#[derive(Debug)]
pub struct Multipart {
    boundary: String,
    pieces: Vec<Bytes>,
    pending: String,
}

impl Multipart {
    /// Starts a form with a random boundary.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self {
            boundary: format!("form-{:032x}", u128::from_le_bytes(bytes)),
            pieces: Vec::new(),
            pending: String::new(),
        }
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.open(name);
        self.pending.push_str("\r\n\r\n");
        self.pending.push_str(value);
        self.pending.push_str("\r\n");
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, file_name: &str, mime: &str, bytes: Bytes) -> Self {
        self.open(name);
        self.pending.push_str("; filename=\"");
        push_quoted(&mut self.pending, file_name);
        self.pending.push_str("\"\r\nContent-Type: ");
        self.pending
            .extend(mime.chars().filter(|c| c.is_ascii_graphic()));
        self.pending.push_str("\r\n\r\n");
        self.flush();
        self.pieces.push(bytes);
        self.pending.push_str("\r\n");
        self
    }

    /// Ends the form: the `Content-Type` header and the body.
    #[must_use]
    pub fn finish(mut self) -> (String, HttpBody) {
        self.pending.push_str("--");
        self.pending.push_str(&self.boundary);
        self.pending.push_str("--\r\n");
        self.flush();
        (
            format!("multipart/form-data; boundary={}", self.boundary),
            HttpBody::from_pieces(self.pieces),
        )
    }

    fn open(&mut self, name: &str) {
        self.pending.push_str("--");
        self.pending.push_str(&self.boundary);
        self.pending
            .push_str("\r\nContent-Disposition: form-data; name=\"");
        push_quoted(&mut self.pending, name);
        self.pending.push('"');
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.pieces
                .push(Bytes::from(std::mem::take(&mut self.pending)));
        }
    }
}

/// Quotes as browsers do (WHATWG HTML, multipart form data): only `"` and line ends are
/// special.
fn push_quoted(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            '\0' => {}
            c => out.push(c),
        }
    }
}
