//! The site's own record of what it was asked, written before each reply leaves.
//!
//! One line a request: microseconds since the Unix epoch, method, path with its query, status, separated by blanks. A line
//! is one `write` to a file opened for appending, so lines of several connections never mix, and none is lost when the
//! process is killed: what was written is the system's, not ours.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use celeriac_protocol::Timestamp;

use super::SiteError;

/// Appends requests to a file, and knows what an earlier run of the site had in it.
#[derive(Debug)]
pub(super) struct RequestLog {
    file: File,
    earlier: Earlier,
}

/// How often each path was answered with each status.
pub(super) type Earlier = HashMap<(String, u16), u32>;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When the reply was about to leave.
    pub at: Timestamp,
    /// The method, in capitals.
    pub method: String,
    /// The path with its query, as it was asked for.
    pub target: String,
    /// The reply's status.
    pub status: u16,
}

/// Reads a request log, oldest line first; a line that is cut short is left out.
///
/// # Errors
///
/// [`SiteError::Log`] when the file cannot be read.
pub fn read_request_log(path: &Path) -> Result<Vec<LoggedRequest>, SiteError> {
    let read = || -> io::Result<Vec<LoggedRequest>> {
        let lines = BufReader::new(File::open(path)?).lines();
        lines.filter_map(|line| line.map(|line| LoggedRequest::parse(&line)).transpose()).collect()
    };
    read().map_err(|source| SiteError::Log { path: path.to_owned(), source })
}

impl LoggedRequest {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut next = || words.next().filter(|word| !word.is_empty());
        let at = Timestamp::from_micros(next()?.parse().ok()?);
        let (method, target) = (next()?.to_owned(), next()?.to_owned());
        let status = next()?.parse().ok()?;
        Some(Self { at, method, target, status })
    }
}

impl RequestLog {
    /// Opens the log for appending; it is created if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, SiteError> {
        let fail = |source| SiteError::Log { path: path.to_owned(), source };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(fail)?;
        let mut earlier = HashMap::new();
        for request in read_request_log(path)?.into_iter().filter(|request| request.method == "GET") {
            let path = request.target.split('?').next().unwrap_or_default().to_owned();
            *earlier.entry((path, request.status)).or_default() += 1;
        }
        end_last_line(path, &file).map_err(fail)?;
        Ok(Self { file, earlier })
    }

    /// Returns how often GET of each path was answered with each status before this run.
    pub(super) fn earlier(&self) -> &Earlier {
        &self.earlier
    }

    /// Writes one request.
    pub(super) fn record(&self, at: Timestamp, method: &str, target: &str, status: u16) -> io::Result<()> {
        let line = format!("{} {method} {target} {status}\n", at.as_micros());
        (&self.file).write_all(line.as_bytes())
    }
}

/// Makes sure that a line which a full disk cut short does not swallow the next one.
fn end_last_line(path: &Path, mut file: &File) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut reader = File::open(path)?;
    reader.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    reader.read_exact(&mut last)?;
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_can_be_read_while_the_log_is_open() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("requests.log");
        let log = RequestLog::open(&path).expect("the folder can be written");
        log.record(Timestamp::from_micros(7), "GET", "/a?b=c", 200).expect("the disk has room");
        let expected = LoggedRequest {
            at: Timestamp::from_micros(7),
            method: "GET".into(),
            target: "/a?b=c".into(),
            status: 200,
        };
        assert_eq!(read_request_log(&path).expect("the log is there"), [expected]);
    }

    #[test]
    fn a_later_run_goes_on_after_a_line_that_was_cut_short() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("requests.log");
        std::fs::write(&path, "1 GET /flaky 503\n2 GET /flaky 503\n3 GET /fl")
            .expect("the folder can be written");
        let log = RequestLog::open(&path).expect("the log can be read");
        assert_eq!(log.earlier().get(&("/flaky".to_owned(), 503)), Some(&2));
        log.record(Timestamp::from_micros(4), "GET", "/flaky", 200).expect("the disk has room");
        let read = read_request_log(&path).expect("the log is there");
        assert_eq!(read.iter().map(|request| request.at.as_micros()).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        let error =
            RequestLog::open(Path::new("/nowhere/requests.log")).expect_err("there is no such folder");
        assert_eq!(error.to_string(), "use request log /nowhere/requests.log");
    }
}
