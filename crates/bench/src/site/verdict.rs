//! What the log and the database say together.

use std::collections::{HashMap, HashSet};
use std::fmt;

use celeriac_collect::inventory::{Inventory, InventoryRow};
use celeriac_collect::url::CanonicalUrl;
use celeriac_control::workflow::ItemStatus;

use super::{Log, Target};

/// How it stood right after a kill.
pub(super) struct Kill {
    percent: usize,
    /// How many requests stood in the log.
    requests: usize,
    /// The pages that somebody had claimed and not recorded.
    in_flight: HashSet<Target>,
    /// How many of those the process that was killed had asked for.
    asked: usize,
}

impl Kill {
    /// Reads what was in flight from what is left: the claims stand in the database, the requests in the log.
    ///
    /// Rows may be in flight that an earlier kill left behind, when this one came before their claims ran out.
    pub(super) fn new(
        percent: usize,
        log: &Log,
        inventory: &Inventory,
        earlier: &[Self],
    ) -> anyhow::Result<Self> {
        let claimed = |row: &&InventoryRow| row.status == Some(ItemStatus::Processing);
        // A domain that is claimed reads its home page, which may have no row yet.
        let rows = inventory.pages.iter().chain(&inventory.domains).filter(claimed);
        let in_flight: HashSet<Target> =
            rows.map(|row| Target::of_url(&row.url)).collect::<Result<_, _>>()?;
        let before = earlier.last().map_or(0, |kill| kill.requests);
        let own = log.requests.iter().skip(before);
        let asked = own.filter(|target| in_flight.contains(target)).collect::<HashSet<_>>().len();
        Ok(Self { percent, requests: log.requests.len(), in_flight, asked })
    }
}

/// What became of every page.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    kills: Vec<String>,
    pages: usize,
    rows: usize,
    done: usize,
    error: usize,
    /// Rows of pages, sitemaps and domains that still ask for work.
    not_final: Vec<String>,
    /// Pages of the folder that have no row.
    lost: Vec<String>,
    /// Rows whose address another row has in another spelling.
    stored_twice: Vec<String>,
    /// Pages of the folder that are done although the site was never asked for them.
    made_up: Vec<String>,
    /// Pages that were asked for more than once.
    fetched_again: usize,
    /// Requests beyond each page's first, whose page was in flight when the process that made the one before was
    /// killed.
    excused: usize,
    /// The others.
    unexcused: Vec<String>,
}

impl Verdict {
    pub(super) fn new(
        wanted: &HashSet<Target>,
        log: &Log,
        inventory: &Inventory,
        kills: &[Kill],
    ) -> anyhow::Result<Self> {
        let of = |status| inventory.pages.iter().filter(move |row| row.status == Some(status)).count();
        let mut verdict = Self {
            kills: kills.iter().map(Kill::to_string).collect(),
            pages: wanted.len(),
            rows: inventory.pages.len(),
            done: of(ItemStatus::Done),
            error: of(ItemStatus::Error),
            ..Self::default()
        };
        verdict.look_at_rows(wanted, log, inventory)?;
        verdict.look_at_requests(log, inventory, kills)?;
        Ok(verdict)
    }

    fn look_at_rows(
        &mut self,
        wanted: &HashSet<Target>,
        log: &Log,
        inventory: &Inventory,
    ) -> anyhow::Result<()> {
        let is_final = |row: &&InventoryRow| matches!(row.status, Some(ItemStatus::Done | ItemStatus::Error));
        let all = inventory.domains.iter().chain(&inventory.sitemaps).chain(&inventory.pages);
        self.not_final = all.filter(|row| !is_final(row)).map(|row| row.url.clone()).collect();
        let (mut keys, mut rows) = (HashSet::new(), HashMap::new());
        for row in &inventory.pages {
            // The key is made anew, so that a row with a wrong one shows.
            if !keys.insert(CanonicalUrl::parse(&row.url)?.key()) {
                self.stored_twice.push(row.url.clone());
            }
            rows.insert(Target::of_url(&row.url)?, row.status);
        }
        let asked: HashSet<&Target> = log.requests.iter().collect();
        for page in wanted {
            match rows.get(page) {
                None => self.lost.push(page.to_string()),
                Some(Some(ItemStatus::Done)) if !asked.contains(page) => self.made_up.push(page.to_string()),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Looks at each pair of requests for the same page that follow each other. The second is excused if the first was
    /// made by a process that was killed with the page in flight, and by nothing else.
    fn look_at_requests(&mut self, log: &Log, inventory: &Inventory, kills: &[Kill]) -> anyhow::Result<()> {
        let mut no_pages: HashSet<Target> =
            inventory.sitemaps.iter().map(|row| Target::of_url(&row.url)).collect::<Result<_, _>>()?;
        no_pages.insert(Target::of_request("/robots.txt")?);
        let (mut before, mut again) = (HashMap::new(), HashSet::new());
        for (nth, target) in log.requests.iter().enumerate() {
            if no_pages.contains(target) {
                continue;
            }
            let start = kills.iter().take_while(|kill| kill.requests <= nth).count();
            let Some(earlier) = before.insert(target, start) else { continue };
            again.insert(target);
            let killed = kills.get(earlier).filter(|_| earlier < start);
            match killed.is_some_and(|kill| kill.in_flight.contains(target)) {
                true => self.excused += 1,
                false => self.unexcused.push(target.to_string()),
            }
        }
        self.fetched_again = again.len();
        Ok(())
    }

    /// Fails with one line that names every bound that is broken, and one example of each.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let bounds = [
            ("rows are not final", &self.not_final),
            ("pages of the folder have no row", &self.lost),
            ("rows are stored twice", &self.stored_twice),
            ("pages are done without a request", &self.made_up),
            ("requests were made twice without a kill to excuse them", &self.unexcused),
        ];
        let broken = bounds.iter().filter_map(|(what, which)| {
            which.first().map(|first| format!("{} {what} (such as {first})", which.len()))
        });
        let broken: Vec<String> = broken.collect();
        anyhow::ensure!(broken.is_empty(), "{}", broken.join(", "));
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kill in &self.kills {
            writeln!(f, "{kill}")?;
        }
        for (what, count) in [
            ("pages in the folder:", self.pages),
            ("pages in the database:", self.rows),
            ("  in a final status:", self.done + self.error),
            ("    done:", self.done),
            ("    error:", self.error),
            ("rows that are not final:", self.not_final.len()),
            ("pages of the folder without a row:", self.lost.len()),
            ("rows stored twice:", self.stored_twice.len()),
            ("pages done without a request:", self.made_up.len()),
            ("pages fetched more than once:", self.fetched_again),
            ("  in flight at a kill:", self.excused),
        ] {
            writeln!(f, "{what:<37} {count}")?;
        }
        write!(f, "{:<37} {}", "  without that excuse:", self.unexcused.len())
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { percent, requests, in_flight, asked } = self;
        write!(
            f,
            "killed with SIGKILL at {percent:>3} %:         {requests} requests, {} pages claimed, {asked} of them just asked for",
            in_flight.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "http://127.0.0.1:8080";

    fn target(path: &str) -> Target {
        Target::of_request(path).unwrap()
    }

    fn row(path: &str, status: ItemStatus) -> InventoryRow {
        InventoryRow { url: format!("{SITE}{path}"), status: Some(status), attempts: 1 }
    }

    /// A site of two pages, killed once after `before`, and asked for `after` by the second start.
    fn check(rows: &[(&str, ItemStatus)], before: &[&str], in_flight: &str, after: &[&str], expected: &str) {
        let log = |paths: &[&str]| Log { requests: paths.iter().map(|path| target(path)).collect() };
        let pages = rows.iter().map(|(path, status)| row(path, *status)).collect();
        let sitemaps = vec![row("/sitemap.xml", ItemStatus::Done)];
        let claimed = vec![row(in_flight, ItemStatus::Processing)];
        let kill =
            Kill::new(50, &log(before), &Inventory { pages: claimed, ..Inventory::default() }, &[]).unwrap();
        let inventory = Inventory { domains: Vec::new(), sitemaps, pages };
        let wanted = HashSet::from([target("/a"), target("/b")]);
        let requests = log(&[before, after].concat());
        let verdict = Verdict::new(&wanted, &requests, &inventory, &[kill]).unwrap();
        let said = verdict.check().map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(said, expected, "{verdict}");
    }

    #[test]
    fn only_what_was_in_flight_may_be_fetched_again() {
        use ItemStatus::Done;
        let rows = [("/a", Done), ("/b", Done)];
        check(&rows, &["/robots.txt", "/a", "/sitemap.xml"], "/a", &["/robots.txt", "/a", "/b"], "");
        check(&rows, &["/a", "/b"], "/b", &["/sitemap.xml", "/b"], "");
        let found = "1 requests were made twice without a kill to excuse them (such as /a)";
        check(&rows, &["/a"], "/b", &["/a", "/b"], found);
        check(&rows, &["/a"], "/a", &["/a", "/b", "/a"], found);
        check(&rows, &["/a", "/a"], "/a", &["/b"], found);
    }

    #[test]
    fn pages_that_are_lost_doubled_open_or_made_up_are_named() {
        use ItemStatus::{Done, Error, Waiting};
        check(&[("/a", Done)], &["/a"], "/a", &[], "1 pages of the folder have no row (such as /b)");
        check(
            &[("/a", Done), ("/b", Waiting)],
            &["/a"],
            "/b",
            &["/b"],
            "1 rows are not final (such as http://127.0.0.1:8080/b)",
        );
        check(
            &[("/a", Done), ("/b", Done)],
            &["/a"],
            "/b",
            &[],
            "1 pages are done without a request (such as /b)",
        );
        check(
            &[("/a", Done), ("/b", Error), ("/b", Error)],
            &["/a"],
            "/b",
            &[],
            "1 rows are stored twice (such as http://127.0.0.1:8080/b)",
        );
    }
}
