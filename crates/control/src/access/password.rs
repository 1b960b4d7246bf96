//! Passwords: what one may be, and argon2id, which takes its time and its memory on purpose.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::AccessError;

/// The shortest password, in characters.
const MIN_CHARS: usize = 12;

/// The longest, in bytes: more says nothing more, and would have to be carried about.
const MAX_BYTES: usize = 512;

/// How many passwords are hashed at once: each takes 19 MiB and a core for some hundredths of a second.
const AT_ONCE: usize = 2;

/// How many may wait for that; who comes then is sent away.
const WAITING: usize = 16;

/// Is responsible for hashing passwords, a few at once, on threads of their own.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE + WAITING));
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), room }
    }

    /// Hashes a password that is to be kept, as a PHC string.
    ///
    /// # Errors
    /// [`AccessError::Password`] where it can't be one, [`AccessError::Busy`].
    pub(super) async fn hash(&self, user: &str, password: SecretString) -> Result<String, AccessError> {
        check(user, password.expose_secret())?;
        self.run(move || hash(&password)).await?
    }

    /// Says whether a password is the one that was kept. Where there is none to compare with, it takes as long to say no.
    ///
    /// # Errors
    /// [`AccessError::Busy`]; [`AccessError::Hash`] where what was kept can't be read.
    pub(super) async fn verify(
        &self,
        password: SecretString,
        kept: Option<String>,
    ) -> Result<bool, AccessError> {
        self.run(move || match kept {
            Some(kept) => verify(&password, &kept),
            None => hash(&password).map(|_| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccessError> {
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|_| AccessError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| AccessError::Busy)?;
        // Both are held until the thread is done, also where nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, turn));
            result
        });
        done.await.map_err(|error| AccessError::Hash { reason: error.to_string() })
    }
}

/// Longer ones than can be kept fit nothing, and are cut so that they cost no more.
fn hash(password: &SecretString) -> Result<String, AccessError> {
    let bytes = password.expose_secret().as_bytes();
    let hashed = Argon2::default().hash_password(&bytes[..bytes.len().min(MAX_BYTES)]);
    hashed.map(|hash| hash.to_string()).map_err(|error| failed(&error))
}

fn verify(password: &SecretString, kept: &str) -> Result<bool, AccessError> {
    let kept = PasswordHash::new(kept).map_err(|error| AccessError::Hash { reason: error.to_string() })?;
    let bytes = password.expose_secret().as_bytes();
    let is_too_long = bytes.len() > MAX_BYTES;
    match Argon2::default().verify_password(&bytes[..bytes.len().min(MAX_BYTES)], &kept) {
        Ok(()) => Ok(!is_too_long),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &Error) -> AccessError {
    AccessError::Hash { reason: error.to_string() }
}

/// Refuses what is guessed first. Beyond length there are no rules: they make worse passwords.
fn check(user: &str, password: &str) -> Result<(), AccessError> {
    let reason = if password.chars().count() < MIN_CHARS {
        "it has at least 12 characters"
    } else if password.len() > MAX_BYTES {
        "it has at most 512 bytes"
    } else if password.to_lowercase().contains(&user.to_lowercase()) && user.chars().count() * 2 > MIN_CHARS {
        "it does not contain the user's name"
    } else if password.chars().all(|c| password.starts_with(c)) {
        "it is not one character many times"
    } else {
        return Ok(());
    };
    Err(AccessError::Password { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_neither_the_name_nor_one_character() {
        let check = |password: &str| check("ada.lovelace", password).is_ok();
        assert!(check("correct horse battery") && check("ein langes Paßwort"));
        assert!(!check("short") && !check("aaaaaaaaaaaaaaaa") && !check("Ada.Lovelace1"));
        assert!(!check(&"long ".repeat(200)));
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::new();
        let kept = passwords.hash("ada", "correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        for (password, kept, fits) in [
            ("correct horse battery", Some(kept.clone()), true),
            ("correct horse batterz", Some(kept), false),
            ("correct horse battery", None, false),
        ] {
            assert_eq!(passwords.verify(password.into(), kept).await.unwrap(), fits, "{password}");
        }
    }

    #[tokio::test]
    async fn a_password_that_begins_as_the_longest_one_does_not_fit() {
        let passwords = Passwords::new();
        let longest = format!("{}x", "long ".repeat(102)) + "y";
        let kept = passwords.hash("ada", longest.clone().into()).await.unwrap();
        assert!(passwords.verify(longest.clone().into(), Some(kept.clone())).await.unwrap());
        assert!(!passwords.verify(format!("{longest}z").into(), Some(kept)).await.unwrap());
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let passwords = Passwords::new();
        let turns = Arc::clone(&passwords.turns).acquire_many_owned(2).await.unwrap();
        let tries = futures_util::future::join_all(
            (0..AT_ONCE + WAITING + 1).map(|_| passwords.verify("whatever".into(), Some("$x".into()))),
        );
        // All have come before the first has its turn.
        let (tries, ()) = tokio::join!(biased; tries, async { drop(turns) });
        let sent_away = tries.iter().filter(|tried| matches!(tried, Err(AccessError::Busy))).count();
        assert_eq!(sent_away, 1);
    }
}
