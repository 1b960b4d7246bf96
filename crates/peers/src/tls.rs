//! What a server with TLS is given.

use std::path::Path;

/// The files in PEM that a server with TLS needs.
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'p> {
    /// The authority of those who are let in.
    pub authority: &'p Path,
    /// The server's certificate.
    pub certificate: &'p Path,
    /// Its key.
    pub key: &'p Path,
}
