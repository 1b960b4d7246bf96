//! What can go wrong with who may do what, in the words of all errors.

use celeriac_control::access::{AccessError, Refusal};
use celeriac_control::words::brief;

use crate::code::Code;
use crate::failure::Failure;

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let plain = |code| Self::plain(code, error.to_string());
        match error {
            AccessError::Refused(Refusal::WrongPassword) => plain(Code::LoginFailed),
            AccessError::Refused(refusal) => {
                Self::plain(Code::Unauthenticated, "the token or the login is not accepted").because(refusal)
            }
            AccessError::Throttled { retry_after } => plain(Code::TooManyRequests)
                .because(format_args!("the next one is looked at in {}", brief(retry_after))),
            AccessError::Busy => plain(Code::TooManyRequests),
            AccessError::Name { .. }
            | AccessError::Password { .. }
            | AccessError::EndsInThePast { .. }
            | AccessError::Setting { .. } => plain(Code::InvalidValue),
            AccessError::TokenExists { .. } | AccessError::UserExists { .. } => plain(Code::NameTaken),
            AccessError::UnknownToken { ref name } => plain(Code::UnknownToken).about("token", name),
            AccessError::UnknownUser { ref name } => plain(Code::UnknownUser).about("user", name),
            AccessError::UnknownSession { id } => plain(Code::UnknownSession).about("session", id),
            AccessError::Store(source) => source.into(),
            other => Self::plain(Code::Internal, other.to_string()),
        }
    }
}
