//! The settings of the HTTP client.

use std::time::Duration;

use reqwest::header::HeaderValue;
use thiserror::Error;
use url::Url;

use crate::fetch::guard::GuardPolicy;

/// The name by which robots.txt addresses this crawler.
pub const PRODUCT_TOKEN: &str = "Celeriac";

/// The longest URL that is requested, in bytes; servers refuse longer ones, and traps write them.
pub(super) const URL_BYTES_MAX: usize = 8 * 1024;

/// No single limit of time may be longer than a day, so that nothing waits for ever.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Says how requests are made and what they may cost. The defaults suit web pages.
#[derive(Debug, Clone)]
pub struct FetchConfig {
    /// Where the owner of a site finds out who is asking: a URL or a `mailto:` address. It is sent with
    /// every request, in the User-Agent.
    pub contact: Option<String>,
    /// How long resolving the name, connecting and agreeing on encryption may take together. 10 s.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take, with connecting. 30 s.
    pub first_byte_timeout: Duration,
    /// How long a fetch may take, with redirects and the body. 120 s.
    pub total_timeout: Duration,
    /// The largest body that is accepted, in bytes after decompression. 10 MiB.
    pub body_bytes_max: u64,
    /// By how much a body may grow when it is unpacked, once it has passed a megabyte. 200 times.
    pub unpack_ratio_max: u64,
    /// The largest sum of header names and values that is accepted, in bytes. 64 KiB.
    pub header_bytes_max: usize,
    /// How many redirects are followed. 10.
    pub redirects_max: usize,
    /// Root certificates (DER) that are trusted beside the system's, for sites of a house's own authority.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// What may be reached.
    pub guard: GuardPolicy,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            contact: None,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(120),
            body_bytes_max: 10 * 1024 * 1024,
            unpack_ratio_max: 200,
            header_bytes_max: 64 * 1024,
            redirects_max: 10,
            extra_root_certificates: Vec::new(),
            guard: GuardPolicy::default(),
        }
    }
}

impl FetchConfig {
    /// Returns the User-Agent: product, version and where to complain (RFC 9110, 10.1.5).
    pub fn user_agent(&self) -> String {
        let product = concat!("Celeriac/", env!("CARGO_PKG_VERSION"));
        self.contact.as_ref().map_or_else(|| product.to_owned(), |contact| format!("{product} (+{contact})"))
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// [`FetchConfigError`], which names the setting.
    pub fn validate(&self) -> Result<(), FetchConfigError> {
        for (name, value) in [
            ("connect_timeout", self.connect_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("total_timeout", self.total_timeout),
        ] {
            if value.is_zero() || value > TIMEOUT_MAX {
                return Err(FetchConfigError::out_of_range(name, format!("{value:?}"), "up to a day"));
            }
        }
        for (name, value) in [
            ("body_bytes_max", self.body_bytes_max),
            ("unpack_ratio_max", self.unpack_ratio_max),
            ("header_bytes_max", self.header_bytes_max as u64),
        ] {
            if value == 0 {
                return Err(FetchConfigError::out_of_range(name, "0".to_owned(), "above zero"));
            }
        }
        self.validate_contact()
    }

    fn validate_contact(&self) -> Result<(), FetchConfigError> {
        let Some(contact) = &self.contact else { return Ok(()) };
        let is_address =
            Url::parse(contact).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "mailto"));
        // It stands in a comment of the header, which parentheses would end.
        let fits =
            HeaderValue::from_str(contact).is_ok() && contact.is_ascii() && !contact.contains(['(', ')']);
        if is_address && fits {
            return Ok(());
        }
        Err(FetchConfigError::Contact { contact: contact.clone() })
    }
}

/// Says which setting of the HTTP client makes no sense.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchConfigError {
    /// A number lies outside of what is possible.
    #[error("use {value} for \"{name}\": expected a value {expected}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The contact is no address.
    #[error("use \"{contact}\" as contact: expected a URL, or mailto: and an address")]
    Contact {
        /// The value.
        contact: String,
    },
    /// A root certificate can't be read.
    #[error("use root certificate number {number}: it is no certificate in DER form")]
    RootCertificate {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// The client could not be built.
    #[error("build the HTTP client")]
    Client {
        /// What the client says.
        #[source]
        source: crate::fetch::error::Cause,
    },
}

impl FetchConfigError {
    fn out_of_range(name: &'static str, value: String, expected: &'static str) -> Self {
        Self::OutOfRange { name, value, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_name_the_product() {
        let config = FetchConfig::default();
        config.validate().unwrap();
        assert!(config.user_agent().starts_with(PRODUCT_TOKEN));
    }

    #[test]
    fn the_contact_is_an_address_that_fits_into_the_header() {
        for (contact, valid) in [
            ("https://example.com/bot", true),
            ("mailto:bot@example.com", true),
            ("bot@example.com", false),
            ("", false),
            ("ftp://example.com/", false),
            ("https://example.com/(bot)", false),
            ("https://example.com/\r\nX: y", false),
        ] {
            let config = FetchConfig { contact: Some(contact.to_owned()), ..FetchConfig::default() };
            assert_eq!(config.validate().is_ok(), valid, "{contact:?}");
        }
        let config =
            FetchConfig { contact: Some("https://example.com/bot".into()), ..FetchConfig::default() };
        assert!(config.user_agent().ends_with(" (+https://example.com/bot)"), "{}", config.user_agent());
    }

    #[test]
    fn limits_of_nothing_are_refused() {
        let without_time = FetchConfig { total_timeout: Duration::ZERO, ..FetchConfig::default() };
        let error = without_time.validate().unwrap_err();
        assert_eq!(error.to_string(), "use 0ns for \"total_timeout\": expected a value up to a day");
        assert!(FetchConfig { body_bytes_max: 0, ..FetchConfig::default() }.validate().is_err());
    }
}
