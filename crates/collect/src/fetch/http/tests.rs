//! The client against real servers on loopback, well-behaved and not.

mod bodies;
mod failures;
mod redirects;
mod robots;
mod server;
mod tls;

#[test]
fn fetches_can_run_on_any_thread() {
    fn check<T: Send>(_: T) {}
    let fetcher = server::fetcher(server::loopback());
    let request = super::FetchRequest::parse("http://example.com/").unwrap();
    check(fetcher.fetch(request.clone()));
    check(async { fetcher.fetch_stream(request).await.unwrap().next_chunk().await });
    check(fetcher.fetch_robots(&"http://example.com/".parse().unwrap()));
}
