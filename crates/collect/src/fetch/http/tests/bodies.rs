//! Bodies: packed, lying about it, too large, and in pieces.

use std::io::Write as _;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response as Reply};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures_util::stream;
use tokio::sync::oneshot;

use super::super::*;
use super::server::*;

const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog, ";

fn text() -> Vec<u8> {
    TEXT.repeat(5_000)
}

pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

async fn serving(reply: impl Fn() -> Reply + Clone + Send + Sync + 'static) -> TestServer {
    TestServer::start(Router::new().fallback(move || {
        let reply = reply();
        async move { reply }
    }))
    .await
}

async fn serving_encoded(encoding: &'static str, body: impl Into<Bytes>) -> TestServer {
    let body = body.into();
    serving(move || ([(header::CONTENT_ENCODING, encoding)], body.clone()).into_response()).await
}

/// A body without announced length whose pieces are made as they are asked for.
fn endless(piece: &'static [u8]) -> Body {
    Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(Bytes::from_static(piece))))
}

#[tokio::test]
async fn the_head_is_kept_as_sent() {
    let server = serving(|| {
        let headers = [
            ("content-type", "Text/HTML; charset=ISO-8859-1"),
            ("link", "</a>; rel=canonical"),
            ("x-robots-tag", "noindex"),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("etag", "W/\"x\""),
            ("retry-after", "7"),
        ];
        let mut reply = (headers, "body").into_response();
        reply.headers_mut().append("link", "</b>; rel=next".parse().unwrap());
        reply.headers_mut().append("x-robots-tag", "celeriac: nofollow".parse().unwrap());
        reply
    })
    .await;
    let fetched = get(server.url("/")).await.unwrap();
    let head = fetched.head;
    assert_eq!(head.status, 200);
    assert_eq!(head.content_type.as_deref(), Some("Text/HTML; charset=ISO-8859-1"));
    assert_eq!(head.media_type().as_deref(), Some("text/html"));
    assert_eq!(head.link, ["</a>; rel=canonical", "</b>; rel=next"]);
    assert_eq!(head.x_robots_tag, ["noindex", "celeriac: nofollow"]);
    assert_eq!(head.last_modified.unwrap().as_millis(), 784_111_777_000);
    assert_eq!(head.etag.as_deref(), Some("W/\"x\""));
    assert_eq!(head.retry_after, Some(Duration::from_secs(7)));
    assert_eq!((&fetched.body[..], fetched.wire_bytes), (&b"body"[..], 4));
    assert!(head.chain.is_empty());
}

#[tokio::test]
async fn packed_bodies_are_unpacked() {
    let members = [gzip(&text()[..1_000]), gzip(&text()[1_000..])].concat();
    for (encoding, packed) in [
        ("gzip", gzip(&text())),
        ("x-gzip", gzip(&text())),
        ("GZIP", members),
        ("gzip", [gzip(&text()), vec![0; 512]].concat()),
        ("deflate", zlib(&text())),
        ("deflate", deflate(&text())),
        ("gzip, gzip", gzip(&gzip(&text()))),
        ("deflate, gzip", gzip(&deflate(&text()))),
        ("identity", text()),
        ("gzip", text()),
        ("", text()),
    ] {
        let server = serving_encoded(encoding, packed.clone()).await;
        let fetched = get(server.url("/")).await.unwrap();
        assert!(fetched.body == text(), "{encoding}");
        assert_eq!(fetched.wire_bytes, packed.len() as u64, "{encoding}");
    }
}

#[tokio::test]
async fn brotli_is_unpacked() {
    let packed =
        b"\x1b\x17\x01\xf8\x1d\x09\x36\x4e\x74\x6f\x24\x86\xd7\x62\x65\x68\x72\x1a\x84\x85\x8d\x4e\xb2\xa5\
        \xbd\xc5\x82\xf1\x00\xc4\xcc\xf0\x4b\x00";
    let server = serving_encoded("br", &packed[..]).await;
    assert_eq!(get(server.url("/")).await.unwrap().body, "hello brotli, ".repeat(20));
}

#[tokio::test]
async fn brotli_windows_of_a_gigabyte_are_refused() {
    // Nothing at all, with a window of 2^30 bytes.
    let server = serving_encoded("br", &b"\x11\xde"[..]).await;
    let error = get(server.url("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn an_empty_body_is_empty_whatever_it_claims() {
    for encoding in ["gzip", "deflate", "br"] {
        let server = serving_encoded(encoding, "").await;
        assert!(get(server.url("/")).await.unwrap().body.is_empty(), "{encoding}");
    }
}

#[tokio::test]
async fn a_packed_file_stays_packed_when_only_the_file_is() {
    let packed = gzip(&text());
    let file = packed.clone();
    let server =
        serving(move || ([(header::CONTENT_TYPE, "application/gzip")], file.clone()).into_response()).await;
    assert!(get(server.url("/sitemap.xml.gz")).await.unwrap().body == packed);
}

#[tokio::test]
async fn decompression_bombs_are_given_up_early() {
    // 64 MiB of zeros in 106 bytes of brotli.
    let brotli = b"\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\xc4\x61\x11\x80\
        \xee\xfd\x1f\xff\xff\xff\xe0\x9f\x00\x88\xc3\x02\x00\xdd\xfb\x3f\xfe\xff\xff\xc1\x3f\x01\x10\x87\x05\x00\xba\
        \xf7\x7f\xfc\xff\xff\x83\x7f\x02\x20\x0e\x0b\x00\x74\xef\xff\xf8\xff\xff\x07\xff\x04\x40\x1c\x16\x00\xe8\xde\
        \xff\xf1\xff\xff\x0f\xfe\x09\x80\x38\x2c\x00\xd0\xbd\xff\xe3\xff\xff\x1f\xfc\x13\x00\x71\x58\x00\xa0\x7b\xff\
        \x37";
    let zeros = gzip(&vec![0; 20 << 20]);
    for (encoding, packed) in [
        ("br", brotli.to_vec()),
        ("gzip", zeros.clone()),
        ("gzip, gzip", gzip(&zeros)),
        ("deflate", zlib(&vec![0; 20 << 20])),
    ] {
        let server = serving_encoded(encoding, packed).await;
        let fetcher = fetcher(FetchConfig { body_bytes_max: 1 << 30, ..loopback() });
        let mut stream = fetcher.fetch_stream(FetchRequest::new(server.url("/"))).await.unwrap();
        let mut unpacked = 0;
        let error = loop {
            match stream.next_chunk().await {
                Ok(piece) => unpacked += piece.expect("a bomb does not end in peace").len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, FetchError::Bomb { ratio: 200, .. }), "{encoding}: {error}");
        assert!(unpacked < 6 << 20, "{encoding}: {unpacked} bytes were unpacked first");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_as_early_as_possible() {
    let limited = || fetcher(FetchConfig { body_bytes_max: 100_000, ..loopback() });
    let refused = |error: &FetchError| matches!(error, FetchError::TooLarge { limit: 100_000, .. });

    let announced = serving(|| "x".repeat(100_001).into_response()).await;
    let error = limited().fetch_stream(FetchRequest::new(announced.url("/"))).await.unwrap_err();
    assert!(refused(&error), "{error}");

    let endless_server = serving(|| endless(&[b'x'; 10_000]).into_response()).await;
    let error = limited().fetch(FetchRequest::new(endless_server.url("/"))).await.unwrap_err();
    assert!(refused(&error), "{error}");

    let packed = serving_encoded("gzip", gzip(&text())).await;
    let error = limited().fetch(FetchRequest::new(packed.url("/"))).await.unwrap_err();
    assert!(refused(&error), "{error}");
    assert!(!error.is_retryable());

    let fits = serving(|| "x".repeat(100_000).into_response()).await;
    assert_eq!(limited().fetch(FetchRequest::new(fits.url("/"))).await.unwrap().body.len(), 100_000);
    let request = FetchRequest::new(announced.url("/")).body_bytes_max(100_001);
    assert_eq!(limited().fetch(request).await.unwrap().body.len(), 100_001);
}

#[tokio::test]
async fn a_large_body_comes_in_small_pieces() {
    const SIZE: usize = 50 << 20;
    let packed: Bytes = gzip(&TEXT.repeat(SIZE / TEXT.len())).into();
    let server =
        serving(move || ([(header::CONTENT_ENCODING, "gzip")], packed.clone()).into_response()).await;
    let fetcher = fetcher(FetchConfig { body_bytes_max: SIZE as u64, unpack_ratio_max: 2_000, ..loopback() });
    let mut stream = fetcher.fetch_stream(FetchRequest::new(server.url("/"))).await.unwrap();
    let (mut total, mut largest) = (0, 0);
    while let Some(piece) = stream.next_chunk().await.unwrap() {
        total += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(total, SIZE / TEXT.len() * TEXT.len());
    assert!(largest <= 64 * 1024, "a piece has {largest} bytes");
}

#[tokio::test]
async fn dropping_a_stream_ends_the_transfer() {
    struct TellsWhenDropped(Option<oneshot::Sender<()>>);
    impl Drop for TellsWhenDropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (tell, told) = oneshot::channel();
    let guard = Arc::new(std::sync::Mutex::new(Some(TellsWhenDropped(Some(tell)))));
    let server = serving(move || {
        let guard = guard.lock().unwrap().take();
        Body::from_stream(stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 10_000]))
        }))
        .into_response()
    })
    .await;
    let mut stream = fetcher(loopback()).fetch_stream(FetchRequest::new(server.url("/"))).await.unwrap();
    assert!(stream.next_chunk().await.unwrap().is_some());
    drop(stream);
    told.await.unwrap();
}

#[tokio::test]
async fn only_welcome_media_types_are_read() {
    const PAGES: &[&str] = &["text/html", "application/xhtml+xml"];
    for (content_type, welcome) in [
        (Some("text/html"), true),
        (Some("TEXT/HTML;charset=utf-8"), true),
        (Some("application/xhtml+xml"), true),
        (None, true),
        (Some(""), true),
        (Some("video/mp4"), false),
        (Some("text/html2"), false),
    ] {
        let server = serving(move || {
            let mut reply = endless(&[0; 1_000]).into_response();
            if let Some(content_type) = content_type {
                reply.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            }
            reply
        })
        .await;
        let request = FetchRequest::new(server.url("/")).only_media_types(PAGES);
        let result = fetcher(loopback()).fetch_stream(request).await;
        assert_eq!(result.is_ok(), welcome, "{content_type:?}");
        if let Err(error) = result {
            assert!(matches!(error, FetchError::UnsupportedContent { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn encodings_that_were_not_offered_are_refused() {
    for encoding in ["zstd", "compress", "gzip, gzip, gzip"] {
        let server = serving_encoded(encoding, "whatever").await;
        let error = get(server.url("/")).await.unwrap_err();
        assert!(matches!(error, FetchError::UnsupportedEncoding { .. }), "{encoding}: {error}");
        assert!(!error.is_retryable());
    }
}
