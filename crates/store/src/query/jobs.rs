//! Jobs: found, listed, counted, and removed when their time is over.

mod arguments;
mod counts;
mod filter;
mod find;
mod letters;
mod list;
mod remove;
mod search;
mod stalled;

pub use arguments::{ArgumentFilter, ArgumentPath, ArgumentPathError};
pub use counts::{JobCounts, counts, counts_by_task};
pub use filter::{JobFilter, StatusFilter};
pub use find::{find, generations, progress};
pub use letters::letters_dropped;
pub use list::{Counted, JobPage, MAX_PAGE, count, list};
pub use remove::{Cutoffs, Expired, Removal, drop_empty_counts, expired, remove, remove_finished};
pub use search::{JobSearch, SEARCH_WINDOW, search};
pub use stalled::{Silent, silent};
