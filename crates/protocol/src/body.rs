//! Bodies of messages: what may have written them, how they become JSON text, and how that is written again.
//!
//! Inside the platform a body is JSON text, whatever travelled: numbers keep their digits, and what JSON
//! has no word for is written as Celery's own JSON writes it (`{"__type__": …, "__value__": …}`).

use std::borrow::Cow;

use crate::{Content, DecodeError};

mod compression;
mod json;
mod msgpack;
mod text;
mod typed;
mod walk;
mod yaml;

pub use compression::Compression;
pub(crate) use json::tolerate;

/// The largest body that is read, in bytes: expanded, and as JSON text. A larger one is a dead letter.
pub const MAX_BODY_BYTES: usize = 64 << 20;

/// How deep lists and objects may lie in each other; serde's JSON reader ends there as well.
pub(crate) const MAX_DEPTH: usize = 128;

/// What wrote a body: the serializers of kombu that are read and written here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    /// JSON, Celery's default.
    #[default]
    Json,
    /// `MessagePack`, with texts and bytes told apart.
    Msgpack,
    /// YAML 1.1, as `PyYAML`'s safe loader reads it.
    Yaml,
}

/// Pickle runs code as it is read; no setting accepts it.
const PICKLE: (&str, &str) = ("pickle", "application/x-python-serialize");

impl Serializer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Msgpack, Self::Yaml];

    /// Returns kombu's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Msgpack => "msgpack",
            Self::Yaml => "yaml",
        }
    }

    /// Returns the media type that kombu writes.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Msgpack => "application/x-msgpack",
            Self::Yaml => "application/x-yaml",
        }
    }

    /// Returns the content encoding that kombu writes.
    pub const fn content_encoding(self) -> &'static str {
        match self {
            Self::Json | Self::Yaml => "utf-8",
            Self::Msgpack => "binary",
        }
    }

    /// Finds one by kombu's name or by its media type.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| name == one.name() || name == one.content_type())
    }
}

/// Which serializers a worker reads: Celery's `accept_content`.
///
/// The default is every one of them, since reading data runs no code; Celery's is JSON alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptContent([bool; 3]);

/// A list that can't be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// It is never read.
    #[error("pickle is never accepted: reading it runs code that the sender chose")]
    Pickle,
    /// Nobody knows it.
    #[error("serializer \"{0}\" is not known: it is json, msgpack or yaml")]
    Unknown(String),
    /// Nothing would be left.
    #[error("at least one serializer has to be accepted")]
    Empty,
}

impl Default for AcceptContent {
    fn default() -> Self {
        Self([true; 3])
    }
}

impl AcceptContent {
    /// Reads a list of kombu's names or media types.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub fn of<S: AsRef<str>>(names: &[S]) -> Result<Self, AcceptError> {
        let mut accepted = [false; 3];
        for name in names.iter().map(|name| name.as_ref().trim()) {
            if name == PICKLE.0 || name == PICKLE.1 {
                return Err(AcceptError::Pickle);
            }
            let serializer = Serializer::find(name).ok_or_else(|| AcceptError::Unknown(name.to_owned()))?;
            accepted[serializer as usize] = true;
        }
        if accepted == [false; 3] { Err(AcceptError::Empty) } else { Ok(Self(accepted)) }
    }

    /// Returns the serializer of a media type.
    fn admit(self, content_type: &str) -> Result<Serializer, DecodeError> {
        Serializer::ALL
            .into_iter()
            .find(|one| one.content_type() == content_type && self.0[*one as usize])
            .ok_or_else(|| DecodeError::Refused(described(content_type)))
    }
}

/// Names a media type as kombu does when it refuses one.
fn described(content_type: &str) -> String {
    let known = Serializer::ALL.iter().map(|one| (one.name(), one.content_type()));
    let name = known.chain([PICKLE]).find(|(_, known)| *known == content_type);
    format!("{} ({content_type})", name.map_or(content_type, |(name, _)| name))
}

/// How a message travels, or how a result lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyForm {
    /// What writes its body.
    pub serializer: Serializer,
    /// What makes that smaller.
    pub compression: Option<Compression>,
}

/// Reads a body as JSON text, which is not yet known to be JSON where JSON was sent.
pub(crate) fn read<'c>(
    content: &'c Content,
    compression: Option<&str>,
    accept: AcceptContent,
) -> Result<(BodyForm, Cow<'c, [u8]>), DecodeError> {
    let serializer = accept.admit(&content.content_type)?;
    let compression = compression
        .map(|name| Compression::find(name).ok_or_else(|| DecodeError::Compression(name.to_owned())))
        .transpose()?;
    let bytes = match compression {
        Some(compression) => Cow::Owned(compression.expand(&content.body)?),
        None => Cow::Borrowed(content.body.as_slice()),
    };
    let json = match serializer {
        Serializer::Json => Ok(bytes),
        Serializer::Msgpack => msgpack::to_json(&bytes).map(Cow::Owned),
        Serializer::Yaml => yaml::to_json(&bytes).map(Cow::Owned),
    };
    let json = json.map_err(|reason| DecodeError::Serialized { serializer: serializer.name(), reason })?;
    Ok((BodyForm { serializer, compression }, json))
}

/// A value can't be written in the form that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write as {serializer}: {reason}")]
pub struct EncodeError {
    /// Kombu's name of the serializer.
    pub serializer: &'static str,
    /// What it has no word for.
    pub reason: String,
}

/// Writes JSON text in another form.
pub(crate) fn write(form: BodyForm, json: String) -> Result<Vec<u8>, EncodeError> {
    let written = match form.serializer {
        Serializer::Json => Ok(json.into_bytes()),
        Serializer::Msgpack => msgpack::from_json(&json),
        Serializer::Yaml => yaml::from_json(&json),
    };
    let written = written.map_err(|reason| EncodeError { serializer: form.serializer.name(), reason })?;
    Ok(match form.compression {
        Some(compression) => compression.squeeze(&written),
        None => written,
    })
}

/// Returns as JSON text what a serializer has written; what looks like JSON all the same is taken for that.
pub(crate) fn read_as(serializer: Serializer, bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let read = match serializer {
        Serializer::Json => Err("it is no JSON".to_owned()),
        Serializer::Msgpack => msgpack::to_json(bytes).map(Cow::Owned),
        Serializer::Yaml => yaml::to_json(bytes).map(Cow::Owned),
    };
    let is_json = |json: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok();
    read.or_else(|reason| match tolerate(bytes) {
        _ if is_json(bytes) => Ok(Cow::Borrowed(bytes)),
        Some(json) if is_json(&json) => Ok(Cow::Owned(json)),
        _ if bytes.first() == Some(&0x80) => Err("it is a pickle, which is never read".to_owned()),
        _ => Err(reason),
    })
}

/// Returns text that was written without saying how as JSON text: JSON, msgpack and YAML are told apart by how they
/// begin. It is an object whatever wrote it.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match bytes.trim_ascii_start().first() {
        Some(b'{') => Ok(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => Cow::Borrowed(bytes),
            // YAML's maps may begin so, too.
            Err(_) => match tolerate(bytes) {
                Some(json) => Cow::Owned(json),
                None => yaml::to_json(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned),
            },
        }),
        // An empty map says nothing, and pickle begins like one.
        Some(0x80) => Err("it is a pickle, which is never read".to_owned()),
        Some(0x81..=0x8f | 0xde | 0xdf) => msgpack::to_json(bytes).map(Cow::Owned),
        _ => yaml::to_json(bytes).map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests;
