//! How messages are sent where neither the caller nor the task says so: their form, and their queue by rules.

use std::str::FromStr;

use celeriac_protocol::{BodyForm, DEFAULT_QUEUE};
use regex::{Regex, RegexBuilder};

/// How messages are sent where neither the caller nor the task says so.
#[derive(Clone, Debug)]
pub struct Sending {
    /// In which serializer, and compressed how: Celery's `task_serializer` and `task_compression`.
    pub form: BodyForm,
    /// Rules that name a queue by the name of the task, the first that fits: Celery's `task_routes`.
    pub routes: Vec<Route>,
    /// The queue of what no rule fits: Celery's `task_default_queue`.
    pub default_queue: String,
    /// The queue in which this process hears what becomes of its jobs, where results are sent to whoever waits.
    pub reply_to: Option<String>,
}

impl Default for Sending {
    fn default() -> Self {
        let default_queue = DEFAULT_QUEUE.to_owned();
        Self { form: BodyForm::default(), routes: Vec::new(), default_queue, reply_to: None }
    }
}

impl Sending {
    /// Returns the queue of a task that names none itself. As in Celery, a rule with the task's very name comes before
    /// those with patterns, and these count in their order.
    pub fn queue_of(&self, task: &str) -> &str {
        let exact = self.routes.iter().find(|route| route.is_exactly(task));
        let found = exact.or_else(|| self.routes.iter().find(|route| route.fits(task)));
        found.map_or(&self.default_queue, |route| &route.queue)
    }
}

/// A rule that names a queue by the name of a task.
///
/// ```
/// use celeriac_engine::Route;
/// let route: Route = "video.* = media".parse()?;
/// assert!(route.fits("video.encode") && !route.fits("audio.encode"));
/// assert!("/^(video|audio)[.]/ = media".parse::<Route>()?.fits("audio.encode"));
/// # Ok::<(), celeriac_engine::RouteError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    pattern: Pattern,
    /// The queue.
    pub queue: String,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// This name.
    Exact(String),
    /// What begins with something that the expression fits.
    Expression(Regex),
}

/// A rule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It has another form.
    #[error("write a rule as \"PATTERN = QUEUE\"")]
    Form,
    /// Its expression is none.
    #[error("read the expression {expression}: {reason}")]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The most memory that an expression may take, in bytes.
const MAX_EXPRESSION: usize = 1 << 20;

impl FromStr for Route {
    type Err = RouteError;

    /// Reads `PATTERN = QUEUE`. A pattern is a name, a name in which each `*` stands for at least one character, or
    /// between slashes a regular expression. As Celery's, the latter two have to fit how a name begins, and not its end.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        // An expression may hold the sign, a queue's name does not.
        let (pattern, queue) = text.rsplit_once('=').ok_or(RouteError::Form)?;
        let (pattern, queue) = (pattern.trim(), queue.trim());
        if pattern.is_empty() || queue.is_empty() {
            return Err(RouteError::Form);
        }
        let expression = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let pattern = match expression {
            Some(expression) => Pattern::Expression(begin(expression)?),
            None if pattern.contains('*') => {
                let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
                Pattern::Expression(begin(&parts.join(".+?"))?)
            }
            None => Pattern::Exact(pattern.to_owned()),
        };
        Ok(Self { pattern, queue: queue.to_owned() })
    }
}

fn begin(expression: &str) -> Result<Regex, RouteError> {
    let built = RegexBuilder::new(&format!("^(?:{expression})")).size_limit(MAX_EXPRESSION).build();
    built.map_err(|error| RouteError::Expression {
        expression: expression.to_owned(),
        reason: error.to_string(),
    })
}

impl Route {
    /// Says whether it is a rule for a task of this name.
    pub fn fits(&self, task: &str) -> bool {
        match &self.pattern {
            Pattern::Exact(name) => name == task,
            Pattern::Expression(expression) => expression.is_match(task),
        }
    }

    fn is_exactly(&self, task: &str) -> bool {
        matches!(&self.pattern, Pattern::Exact(name) if name == task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &[&str], task: &str, queue: &str) {
        let routes = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let sending = Sending { routes, default_queue: "rest".to_owned(), ..Sending::default() };
        assert_eq!(sending.queue_of(task), queue, "{rules:?} {task}");
    }

    #[test]
    fn queues_are_named_as_celery_names_them() {
        let rules = ["feed.* = feeds", "/(video|audio)[.]/=media", "feed.tasks.late = late", "*.slow = slow"];
        for (task, queue) in [
            ("feed.tasks.read", "feeds"),
            ("feed.tasks.late", "late"),
            ("feed.", "rest"),
            ("feedXtasks", "rest"),
            ("audio.encode", "media"),
            ("my.audio.encode", "rest"),
            ("any.slow", "slow"),
            // Celery's patterns say nothing of the end.
            ("any.slower", "slow"),
            ("none", "rest"),
        ] {
            check(&rules, task, queue);
        }
        check(&[], "feed.x", "rest");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (text, reason) in
            [("feed.*", "write a rule"), ("= feeds", "write a rule"), ("/(/ = q", "read the expression")]
        {
            let error = text.parse::<Route>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
