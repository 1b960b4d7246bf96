//! The site that is collected, in a process of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use celeriac_engine::SystemClock;
use celeriac_server::demo_site::DemoSite;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process::{input_closed, usage};

/// Serves a site until its input is closed, then says what it has used.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A folder of HTML.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Or a sitemap of so many addresses.
    #[arg(long, default_value_t = 0)]
    addresses: usize,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let closed = input_closed();
    match options.dir {
        Some(dir) => {
            let folder = tempfile::tempdir()?;
            let site = DemoSite::from_dir(&dir)?;
            let open = site.open(listener, &folder.path().join("site.log"), Arc::new(SystemClock))?;
            open.serve(closed.cancelled_owned()).await?;
        }
        None => {
            let sitemap = sitemap(&listener, options.addresses)?;
            tokio::select! {
                served = serve(listener, sitemap) => served?,
                () = closed.cancelled() => {}
            }
        }
    }
    println!("{}", serde_json::to_string(&usage()?)?);
    Ok(())
}

/// Writes a sitemap with every field that the protocol knows.
fn sitemap(listener: &TcpListener, addresses: usize) -> anyhow::Result<Arc<str>> {
    let origin = format!("http://{}", listener.local_addr()?);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str("<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n");
    for number in 0..addresses {
        let (shelf, page) = (number / 100, number % 100);
        writeln!(
            text,
            "<url><loc>{origin}/library/shelf-{shelf}/an-article-about-number-{page}</loc>\
             <lastmod>2026-{:02}-{:02}T10:30:00Z</lastmod><changefreq>weekly</changefreq><priority>0.{}</priority></url>",
            number % 12 + 1,
            number % 28 + 1,
            number % 10
        )?;
    }
    text.push_str("</urlset>\n");
    Ok(text.into())
}

/// Answers by hand: three addresses are not worth a server.
async fn serve(listener: TcpListener, sitemap: Arc<str>) -> anyhow::Result<()> {
    let mut talks = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        let sitemap = Arc::clone(&sitemap);
        talks.spawn(async move { talk(socket, &sitemap).await });
    }
}

async fn talk(mut socket: TcpStream, sitemap: &str) -> anyhow::Result<()> {
    let mut request = vec![0; 8 * 1024];
    loop {
        let length = socket.read(&mut request).await?;
        if length == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&request[..length]);
        let path = line.split(' ').nth(1).context("read the request")?;
        let (status, kind, body) = match path {
            "/" => ("200 OK", "text/html", "<title>Library</title>"),
            "/sitemap.xml" => ("200 OK", "application/xml", sitemap),
            _ => ("404 Not Found", "text/plain", ""),
        };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(body.as_bytes()).await?;
    }
}
