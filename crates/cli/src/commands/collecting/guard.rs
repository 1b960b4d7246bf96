//! What the guard refused, and the flags that open it.

use std::collections::BTreeSet;

/// Returns the flags that open what the guard refused for these reasons, or `None` where it refused nothing that
/// can be opened.
pub(super) fn opening<'a>(reasons: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut networks, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for reason in reasons {
        if reason.ends_with("guard.allow_networks opens it") {
            networks.extend(between(reason, "\" is at ", ", which is "));
        }
        if reason.ends_with("guard.allow_ports adds others") {
            ports.extend(between(reason, ": port ", " of \""));
        }
    }
    let flag = |key: &str, values: BTreeSet<&str>| match values.is_empty() {
        true => String::new(),
        false => {
            let values: Vec<&str> = values.into_iter().collect();
            format!(" --set collect.guard.{key}={}", values.join(","))
        }
    };
    let flags = flag("allow_networks", networks) + &flag("allow_ports", ports);
    (!flags.is_empty()).then_some(flags)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.rfind(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

#[cfg(test)]
mod tests {
    use celeriac_collect::fetch::{FetchError, GuardPolicy};

    use super::*;

    /// Says why an address is refused, as a row has it.
    fn reason(url: &str) -> String {
        let source = GuardPolicy::default().check_url(&url.parse().unwrap()).unwrap_err();
        FetchError::Refused { url: url.to_owned(), source }.to_string()
    }

    #[test]
    fn what_was_refused_is_opened_by_what_the_hint_says() {
        let reasons =
            ["http://127.0.0.1/", "http://[::1]/", "http://1.1.1.1:9000/", "ftp://a.example/"].map(reason);
        assert_eq!(
            opening(reasons.iter().map(String::as_str)).unwrap(),
            " --set collect.guard.allow_networks=127.0.0.1,::1 --set collect.guard.allow_ports=9000"
        );
        assert_eq!(opening(std::iter::once("the server answered 404")), None);
    }
}
