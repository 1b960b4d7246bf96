//! Reading what scripts answer.

use celeriac_protocol::Timestamp;
use redis::{RedisError, Value};

use super::PRODUCT;
use super::link::failed;
use crate::BrokerError;

/// A script's answer had another shape than the script gives: somebody else writes to our keys.
#[derive(Debug, thiserror::Error)]
#[error("read the answer of a script: {0} was expected, and something else came")]
struct Shape(&'static str);

fn shape(expected: &'static str) -> BrokerError {
    BrokerError::Refused { product: PRODUCT, source: Box::new(Shape(expected)) }
}

/// Reads a list.
pub(super) fn list(value: Value) -> Result<Vec<Value>, BrokerError> {
    match value {
        Value::Array(values) => Ok(values),
        Value::ServerError(error) => Err(failed(RedisError::from(error))),
        _ => Err(shape("a list")),
    }
}

/// Goes through one answer's fields, in their order.
#[derive(Debug)]
pub(super) struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    /// Takes a list apart.
    pub(super) fn of(value: Value) -> Result<Self, BrokerError> {
        Ok(Self(list(value)?.into_iter()))
    }

    /// Returns the next field. Lua ends a list at its last value that is not nil.
    pub(super) fn next(&mut self) -> Value {
        self.0.next().unwrap_or(Value::Nil)
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, BrokerError> {
        match self.next() {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into_bytes()),
            _ => Err(shape("bytes")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, BrokerError> {
        String::from_utf8(self.bytes()?).map_err(|_| shape("a text"))
    }

    pub(super) fn text_or_nil(&mut self) -> Result<Option<String>, BrokerError> {
        match self.next() {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| shape("a text")),
            _ => Err(shape("a text or nil")),
        }
    }

    pub(super) fn number_or_nil(&mut self) -> Result<Option<i64>, BrokerError> {
        match self.next() {
            Value::Nil => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            _ => Err(shape("a number or nil")),
        }
    }

    pub(super) fn number(&mut self) -> Result<i64, BrokerError> {
        self.number_or_nil()?.ok_or_else(|| shape("a number"))
    }

    pub(super) fn count(&mut self) -> Result<u32, BrokerError> {
        Ok(u32::try_from(self.number()?.max(0)).unwrap_or(u32::MAX))
    }

    pub(super) fn instant_or_nil(&mut self) -> Result<Option<Timestamp>, BrokerError> {
        Ok(self.number_or_nil()?.map(Timestamp::from_micros))
    }
}
