//! Plain requests.

use channel_core::{HttpBody, HttpClient as _, HttpRequest};
use http::Request;

use crate::client;
use crate::server::{Server, ok};

fn get(url: &str) -> HttpRequest {
    HttpRequest::new(Request::get(url).body(HttpBody::empty()).unwrap())
}

#[tokio::test]
async fn reads_an_answer() {
    let server = Server::answering(ok("hello")).await;
    let response = client().execute(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(&response.body()[..], b"hello");
}
