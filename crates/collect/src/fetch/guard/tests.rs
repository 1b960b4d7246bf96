//! Sixty ways to spell an inner address, each met directly, behind a redirect and as a name's answer.

use super::*;

/// Spellings whose host is a literal address for the WHATWG parser.
const LITERALS: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.127.127.127/",
    "http://127.255.255.254:8080/",
    "http://0x7f.1/",
    "http://0x7f.0.0.0x1/",
    "http://0x7f000001/",
    "http://0X7F.0.0.1/",
    "http://0177.0.0.1/",
    "http://00000177.0.0.1/",
    "http://017700000001/",
    "http://2130706433/",
    "http://1.2.3.4@127.0.0.1/",
    "http://user:secret@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http:\\\\127.0.0.1\\",
    "http:127.0.0.1",
    "http:///127.0.0.1/",
    " http://127.0.0.1/ ",
    "http://127.0.0.\t1/",
    "ht\ntp://127.0.0.1/",
    "HTTP://127.0.0.1/",
    "https://127.0.0.1:443/",
    "http://%31%32%37.0.0.1/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0x0/",
    "http://10.0.0.1/",
    "http://012.0.0.1/",
    "http://167772161/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://169.254.43518/",
    "http://0251.0376.0251.0376/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:8000/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:1::1]/",
    "http://[2001:db8::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
];

/// Spellings that the parser itself refuses, so that nothing is left to ask.
const UNREADABLE: &[&str] = &[
    "http://256.256.256.256/",
    "http://127.0.0.1.1/",
    "http://4294967296/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:127.0.0.1",
    "http://127.0.0.1:99999/",
    "http://",
    "http://%00/",
];

const OPEN: &[&str] = &[
    "http://93.184.216.34/",
    "https://example.com/",
    "https://example.com.:443/",
    "http://example.com:8080/",
    "http://[2606:4700::1111]/",
    "http://[::ffff:93.184.216.34]/",
    "http://[64:ff9b::5db8:d822]/",
    "http://[2002:5db8:d822::1]/",
    "http://172.32.0.1/",
    "http://169.253.255.255/",
    "http://100.128.0.1/",
    "http://223.255.255.255/",
    "http://127.0.0.1.example.com/",
];

fn parsed(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| unreachable!("{text:?}: {error}"))
}

fn literal(url: &Url) -> IpAddr {
    match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        other => unreachable!("{url} has the host {other:?}"),
    }
}

fn is_refused_address(result: &Result<impl Sized, GuardError>) -> bool {
    matches!(result, Err(GuardError::Address { .. }))
}

#[test]
fn inner_addresses_are_refused_in_every_spelling() {
    let policy = GuardPolicy::default();
    for text in LITERALS {
        assert!(is_refused_address(&policy.check_url(&parsed(text))), "{text:?}");
    }
    for text in UNREADABLE {
        assert!(Url::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn inner_addresses_are_refused_as_the_target_of_a_redirect() {
    let policy = GuardPolicy::default();
    let base = parsed("https://example.com/a/b");
    for text in LITERALS.iter().filter(|text| !matches!(**text, "http:127.0.0.1")) {
        let target = base.join(text).unwrap();
        assert!(is_refused_address(&policy.check_url(&target)), "{text:?}");
    }
    for text in ["//127.0.0.1/", "//0x7f.1", "\\\\127.0.0.1\\x"] {
        assert!(is_refused_address(&policy.check_url(&base.join(text).unwrap())), "{text:?}");
    }
}

#[test]
fn inner_addresses_are_refused_as_the_answer_for_a_name() {
    let policy = GuardPolicy::default();
    let public: IpAddr = "93.184.216.34".parse().unwrap();
    for text in LITERALS {
        let inner = literal(&parsed(text));
        assert!(is_refused_address(&policy.check_answer("rebind.example", &[inner])), "{text:?}");
        assert!(is_refused_address(&policy.check_answer("rebind.example", &[public, inner])), "{text:?}");
    }
}

#[test]
fn the_open_web_is_let_through() {
    let policy = GuardPolicy::default();
    for text in OPEN {
        let url = parsed(text);
        assert_eq!(policy.check_url(&url), Ok(url), "{text}");
    }
    let answer: Vec<IpAddr> = ["1.1.1.1", "2606:4700::1111"].map(|ip| ip.parse().unwrap()).to_vec();
    assert_eq!(policy.check_answer("example.com", &answer), Ok(()));
}

#[test]
fn other_schemes_and_ports_are_refused() {
    let policy = GuardPolicy::default();
    for text in
        ["file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "data:,x", "about:blank"]
    {
        assert!(matches!(policy.check_url(&parsed(text)), Err(GuardError::Scheme { .. })), "{text}");
    }
    for port in [0, 1, 22, 25, 81, 444, 6379, 7999, 9000, 65535] {
        let url = parsed(&format!("http://example.com:{port}/"));
        assert!(matches!(policy.check_url(&url), Err(GuardError::Port { .. })), "{port}");
        let opened = GuardPolicy::default().allow_ports(port..=port);
        assert!(opened.check_url(&url).is_ok(), "{port}");
    }
}

#[test]
fn an_allowed_socket_opens_exactly_itself() {
    let policy = GuardPolicy::default().allow_socket("127.0.0.1:40123".parse().unwrap());
    assert!(policy.check_url(&parsed("http://127.0.0.1:40123/x")).is_ok());
    for text in
        ["http://127.0.0.1:40124/", "http://127.0.0.2:40123/", "http://127.0.0.1/", "http://[::1]:40123/"]
    {
        assert!(policy.check_url(&parsed(text)).is_err(), "{text}");
    }
    let named = policy.check_answer("rebind.example", &["127.0.0.1".parse().unwrap()]);
    assert!(is_refused_address(&named), "a name must not reach the socket");
}

#[test]
fn allowed_hosts_and_networks_open_what_they_name() {
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    let by_host = GuardPolicy::default().allow_host("Docs.Test.");
    assert_eq!(by_host.check_answer("docs.test", &[loopback]), Ok(()));
    assert!(is_refused_address(&by_host.check_answer("x.docs.test", &[loopback])));

    let by_network = GuardPolicy::default().allow_network("127.0.0.0/8".parse().unwrap());
    assert!(by_network.check_url(&parsed("http://127.0.0.9/")).is_ok());
    assert_eq!(by_network.check_answer("any.test", &[loopback]), Ok(()));
    assert!(is_refused_address(&by_network.check_url(&parsed("http://10.0.0.1/"))));
}

#[test]
fn a_denied_network_wins_over_an_allowed_one() {
    let policy = GuardPolicy::default()
        .allow_network("0.0.0.0/0".parse().unwrap())
        .deny_network("93.184.216.0/24".parse().unwrap());
    assert!(is_refused_address(&policy.check_url(&parsed("http://93.184.216.34/"))));
    assert!(is_refused_address(&policy.check_url(&parsed("http://[::ffff:93.184.216.34]/"))));
    assert!(policy.check_url(&parsed("http://10.0.0.1/")).is_ok());
}

#[test]
fn user_names_and_fragments_do_not_travel() {
    let url = parsed("https://user:secret@example.com/a?b#c");
    assert_eq!(GuardPolicy::default().check_url(&url).unwrap().as_str(), "https://example.com/a?b");
}

#[test]
fn a_refusal_names_what_was_refused_and_why() {
    let error = GuardPolicy::default().check_url(&parsed("http://0x7f.1/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"127.0.0.1\" is at 127.0.0.1, which is a loopback address; guard.allow_networks opens it"
    );
}

#[test]
fn a_host_name_is_read_as_urls_have_it_and_an_address_is_none() {
    for (text, name) in
        [("Wiki.Internal.", "wiki.internal"), ("bücher.example", "xn--bcher-kva.example"), (" a ", "a")]
    {
        assert_eq!(parse_host(text).as_deref(), Ok(name), "{text}");
    }
    for text in ["127.0.0.1", "[127.0.0.1]", "::1", "[::1]", "0x7f.1", "2130706433"] {
        let error = parse_host(text).unwrap_err();
        assert!(matches!(error, ParseHostError::Address { .. }), "{text}: {error}");
        assert!(error.to_string().contains("allow_networks"), "{error}");
    }
    for text in ["", ".", "bad/host", "127.0.0.1:8765", "wiki:80", "[\"a\"]", "http://wiki", "a b"] {
        assert!(matches!(parse_host(text), Err(ParseHostError::Nonsense { .. })), "{text}");
    }
}
