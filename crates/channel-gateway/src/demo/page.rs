//! What the page is made of, inside the program; the page itself is in `accounts.rs`.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

macro_rules! assets {
    ($($path:literal: $kind:literal = $file:literal;)*) => {
        /// Everything that the page loads.
        pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
            Router::new()$(.route($path, get(|| async {
                ([(CONTENT_TYPE, $kind)], include_str!(concat!("../../assets/", $file)))
            })))*
        }
    };
}

assets! {
    "/app.css": "text/css; charset=utf-8" = "app.css";
    "/app.js": "text/javascript; charset=utf-8" = "app.js";
    "/chat.js": "text/javascript; charset=utf-8" = "chat.js";
    "/emulated.js": "text/javascript; charset=utf-8" = "emulated.js";
    "/inspector.js": "text/javascript; charset=utf-8" = "inspector.js";
    "/richtext.js": "text/javascript; charset=utf-8" = "richtext.js";
    "/standard.js": "text/javascript; charset=utf-8" = "standard.js";
    "/telegram.js": "text/javascript; charset=utf-8" = "telegram.js";
    "/icon.svg": "image/svg+xml" = "icon.svg";
}
