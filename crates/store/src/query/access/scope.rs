//! The words of who may do what.

use std::fmt;
use std::str::FromStr;

/// What somebody may do. Each scope contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// To look at everything but who may do what.
    Read,
    /// To ask for jobs as well.
    Enqueue,
    /// To change what is there as well: jobs, queues, schedules, workflows.
    Operate,
    /// To say who may do what as well.
    Admin,
}

impl Scope {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Enqueue, Self::Operate, Self::Admin];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Enqueue => "enqueue",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// Says whether who has this scope may do what needs the other.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or(UnknownWord {
            what: "scope",
            word: word.to_owned(),
            known: "read, enqueue, operate, admin",
        })
    }
}

/// By which way somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// With a token, on each call.
    Token,
    /// Logged in, with a cookie.
    Session,
    /// On the command line, with the database itself in hand.
    Cli,
    /// From this machine, where that alone was said to be enough.
    Loopback,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Token, Self::Session, Self::Cli, Self::Loopback];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Cli => "cli",
            Self::Loopback => "loopback",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Via {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|via| via.as_str() == word).ok_or(UnknownWord {
            what: "way in",
            word: word.to_owned(),
            known: "token, session, cli, loopback",
        })
    }
}

/// A word that is none of those there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} is called \"{word}\"; there is: {known}")]
pub struct UnknownWord {
    what: &'static str,
    word: String,
    known: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_contains_those_before_it() {
        for (i, scope) in Scope::ALL.into_iter().enumerate() {
            for (k, needed) in Scope::ALL.into_iter().enumerate() {
                assert_eq!(scope.allows(needed), i >= k, "{scope} for {needed}");
            }
        }
    }

    #[test]
    fn words_read_back_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        for via in Via::ALL {
            assert_eq!(via.as_str().parse(), Ok(via));
        }
        assert!("Admin".parse::<Scope>().is_err() && "".parse::<Via>().is_err());
    }
}
