//! The steps that bring a parsed address to its one spelling.

use url::Url;

use super::{CanonicalUrl, URL_BYTES_MAX, UrlError, within};

/// Query parameters that say where a visitor came from and never what is shown.
const TRACKING: &[&str] = &[
    "_branch_match_id",
    "_bta_c",
    "_bta_tid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "_ke",
    "_openstat",
    "__hsfp",
    "__hssc",
    "__hstc",
    "__s",
    "dclid",
    "dm_i",
    "ef_id",
    "epik",
    "fbclid",
    "gad_campaignid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "gs_l",
    "guce_referrer",
    "guce_referrer_sig",
    "hsctatracking",
    "igsh",
    "igshid",
    "irclickid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "ml_subscriber",
    "ml_subscriber_hash",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "s_cid",
    "s_kwcid",
    "scclid",
    "srsltid",
    "sscid",
    "ttclid",
    "twclid",
    "vero_conv",
    "vero_id",
    "wbraid",
    "wickedid",
    "yclid",
    "ymclid",
    "zanpid",
];

/// Beginnings of names that are all of one tracking family.
const TRACKING_PREFIXES: &[&str] = &["utm_", "mtm_", "matomo_", "pk_", "piwik_", "hsa_", "trk_"];

/// Parameters of server frameworks that carry a visitor's session and nothing else.
const SESSION: &[&str] = &["cfid", "cftoken", "jsessionid", "oscsid", "phpsessid", "zenid"];

/// A session parameter whose name has a random end.
const SESSION_PREFIX: &str = "aspsessionid";

/// The session as a parameter of a path segment, as servlet containers write it.
const PATH_SESSION: &str = ";jsessionid=";

/// How often cleaning may expose something new to clean; each round makes the text shorter.
const ROUNDS_MAX: usize = 16;

/// The longest host name and label that the domain name system can carry.
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Brings `url` to its canonical form.
pub(super) fn canonical(url: &Url) -> Result<CanonicalUrl, UrlError> {
    let mut written = write(url)?;
    // Dropping a path session or a host's final dot can leave a dot segment or an IPv4 address behind,
    // so what was changed in that way is parsed again.
    for _ in 0..ROUNDS_MAX {
        let Some(cleaned) = without_path_session(&written) else { return Ok(written) };
        let url = Url::parse(&cleaned).map_err(|source| super::invalid(&cleaned, source))?;
        written = write(&url)?;
    }
    Err(UrlError::TooLong { bytes: written.text.len(), limit: URL_BYTES_MAX })
}

fn write(url: &Url) -> Result<CanonicalUrl, UrlError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    let host = url.host_str().unwrap_or_default();
    if host.ends_with('.') {
        return write(&without_final_dot(url, host)?);
    }
    check_host(host)?;

    let mut text = String::with_capacity(url.as_str().len());
    text.push_str(url.scheme());
    text.push_str("://");
    text.push_str(host);
    let host_end = text.len();
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(itoa(port, &mut [0; 5]));
    }
    let path_start = text.len();
    push_normal(&mut text, url.path(), is_path_char);
    let path_end = text.len();
    push_query(&mut text, url.query().unwrap_or_default());

    within(text.len(), URL_BYTES_MAX)?;
    let short = |at: usize| u16::try_from(at).expect("offsets lie within URL_BYTES_MAX");
    Ok(CanonicalUrl {
        host_end: short(host_end),
        path_start: short(path_start),
        path_end: short(path_end),
        text: text.into_boxed_str(),
    })
}

/// Writes a port without going through the formatting machinery.
fn itoa(port: u16, buffer: &mut [u8; 5]) -> &str {
    let mut left = port;
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(left % 10).expect("a digit fits a byte");
        left /= 10;
        if left == 0 {
            break;
        }
    }
    std::str::from_utf8(&buffer[at..]).expect("digits are ASCII")
}

/// Takes the dot off a fully qualified name; what remains may turn out to be an IPv4 address.
fn without_final_dot(url: &Url, host: &str) -> Result<Url, UrlError> {
    let mut url = url.clone();
    url.set_host(Some(host.trim_end_matches('.'))).map_err(|_| UrlError::Host(host.to_owned()))?;
    Ok(url)
}

fn check_host(host: &str) -> Result<(), UrlError> {
    let is_ipv6 = host.starts_with('[');
    let label_fits = |label: &str| !label.is_empty() && label.len() <= LABEL_BYTES_MAX;
    if is_ipv6 || (host.len() <= HOST_BYTES_MAX && host.split('.').all(label_fits)) {
        return Ok(());
    }
    Err(UrlError::Host(host.chars().take(HOST_BYTES_MAX).collect()))
}

/// Appends the query that is left after tracking and session parameters are dropped and the rest is sorted.
fn push_query(text: &mut String, query: &str) {
    if query.is_empty() {
        return;
    }
    let mut normal = String::with_capacity(query.len());
    push_normal(&mut normal, query, is_query_char);
    let mut pieces: Vec<&str> =
        normal.split('&').filter(|piece| !piece.is_empty() && !is_noise(name_of(piece))).collect();
    // A stable sort: the order of `a=1&a=2` may mean something, that of `b=1&a=1` never should.
    pieces.sort_by_key(|piece| name_of(piece));
    for (index, piece) in pieces.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(piece);
    }
}

fn name_of(piece: &str) -> &str {
    piece.split('=').next().unwrap_or_default()
}

/// Tells whether a parameter never changes what is shown.
fn is_noise(name: &str) -> bool {
    let starts_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
    };
    let is_in = |list: &[&str]| list.iter().any(|entry| entry.eq_ignore_ascii_case(name));
    TRACKING_PREFIXES.iter().any(|prefix| starts_with(prefix))
        || starts_with(SESSION_PREFIX)
        || is_in(TRACKING)
        || is_in(SESSION)
}

/// Cuts the first path session out, or returns nothing where there is none.
fn without_path_session(url: &CanonicalUrl) -> Option<String> {
    let path = url.path();
    let at = path.match_indices(';').map(|(at, _)| at).find(|&at| {
        path[at..].get(..PATH_SESSION.len()).is_some_and(|word| word.eq_ignore_ascii_case(PATH_SESSION))
    })?;
    let value = &path[at + PATH_SESSION.len()..];
    let rest = &value[value.find(['/', ';']).unwrap_or(value.len())..];
    let after = &url.as_str()[usize::from(url.path_end)..];
    Some([url.origin(), &path[..at], rest, after].concat())
}

/// Appends `input` with percent escapes only where they are needed, and then in upper case.
///
/// A percent sign that begins no escape becomes `%25`: left alone it could join what follows into an
/// escape, and the next round would read another address.
fn push_normal(text: &mut String, input: &str, is_allowed: fn(u8) -> bool) {
    if input.bytes().all(is_allowed) {
        text.push_str(input);
        return;
    }
    let bytes = input.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 3).and_then(from_hex).filter(|_| bytes[at] == b'%');
        match escaped {
            Some(byte) if is_unreserved(byte) => text.push(char::from(byte)),
            Some(byte) => push_escape(text, byte),
            None if is_allowed(bytes[at]) => text.push(char::from(bytes[at])),
            None => push_escape(text, bytes[at]),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
}

fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn from_hex(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(pair[0])? << 4 | digit(pair[1])?)
}

/// What RFC 3986 §2.3 calls unreserved: an escape of it means the same as the character.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What RFC 3986 §3.3 lets stand in a path.
const fn is_path_char(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        )
}

/// What RFC 3986 §3.4 lets stand in a query.
const fn is_query_char(byte: u8) -> bool {
    is_path_char(byte) || byte == b'?'
}
