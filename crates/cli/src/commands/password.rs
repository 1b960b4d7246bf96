//! Asks for a password: on a terminal without showing it, otherwise as a line of standard input. It is never an argument,
//! since everybody on the machine can read those.

use std::io::{self, BufRead, IsTerminal, Read};

use celeriac_control::access::{ExposeSecret as _, SecretString};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::{Code, Failure, Result};
use crate::output::Output;

/// The longest line that is read, in bytes.
const MOST: usize = 4_096;

/// What a terminal sends for Ctrl-C.
const INTERRUPT: u8 = 3;

/// For Ctrl-D.
const END: u8 = 4;

/// For taking back a character.
const ERASE: [u8; 2] = [127, 8];

/// For taking back the line, Ctrl-U.
const KILL: u8 = 21;

/// Asks for the password of a user, twice where a person types it.
///
/// # Errors
/// The two differ, nothing is given, or it is interrupted.
pub(super) fn ask(output: &Output, user: &str) -> Result<SecretString> {
    if !io::stdin().is_terminal() {
        return line();
    }
    output.complain(&format!("Password of {user} (it is not shown):"));
    let first = typed()?;
    output.complain("Once more:");
    let second = typed()?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::plain(Code::Usage, "the two passwords differ"))
    }
}

/// Reads a line that a program has written.
fn line() -> Result<SecretString> {
    let mut text = String::new();
    let mut input = io::stdin().lock().take(MOST as u64);
    input.read_line(&mut text).map_err(|error| unreadable(&error))?;
    given(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn given(text: String) -> Result<SecretString> {
    if text.is_empty() {
        let error = Failure::plain(Code::Usage, "no password was given");
        return Err(error.hint("type it when asked, or write it to standard input: `… < file`"));
    }
    Ok(text.into())
}

/// Reads what a person types. Signals are off, so that the terminal shows what is typed again also after Ctrl-C.
fn typed() -> Result<SecretString> {
    let _silence = Silence::begin()?;
    let mut typed = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte.map_err(|error| unreadable(&error))? {
            INTERRUPT => return Err(Failure::plain(Code::Interrupted, "interrupted")),
            END | b'\n' | b'\r' => break,
            KILL => typed.clear(),
            byte if ERASE.contains(&byte) => take_back(&mut typed),
            byte if typed.len() < MOST => typed.push(byte),
            _ => {}
        }
    }
    given(String::from_utf8(typed).map_err(|_| Failure::plain(Code::Usage, "the password is no UTF-8"))?)
}

/// Takes back a whole character, which may be several bytes.
fn take_back(typed: &mut Vec<u8>) {
    while typed.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> Result<Self> {
        let before = tcgetattr(io::stdin()).map_err(|error| unreadable(&error.into()))?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(|error| unreadable(&error.into()))?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Where the terminal is gone, nobody types any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed_to(Code::Unavailable, "read the password").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_taken_back_whole() {
        let mut typed = "aß€".as_bytes().to_vec();
        take_back(&mut typed);
        assert_eq!(typed, "aß".as_bytes());
        take_back(&mut typed);
        take_back(&mut typed);
        take_back(&mut typed);
        assert!(typed.is_empty());
    }
}
