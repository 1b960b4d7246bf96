//! What is wrong with the text of a schedule, and what to type instead.

/// Says why a schedule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The text begins with no kind of schedule.
    #[error(
        "`{text}` is no schedule{}; type a crontab (`30 2 * * mon-fri Europe/Berlin`), `every 5m`, \
         `at 2027-01-01T10:00 Europe/Berlin` or `solar sunset 52.5,13.4`", did_you_mean(.hint)
    )]
    UnknownKind {
        /// The text.
        text: String,
        /// The nearest kind.
        hint: Option<String>,
    },
    /// A crontab has too few or too many fields.
    #[error(
        "crontab `{text}` has {found} fields; type five (minute, hour, day of month, month, day of week), or six \
         with the second before them"
    )]
    FieldCount {
        /// The fields as typed.
        text: String,
        /// How many there are.
        found: usize,
    },
    /// A part of a crontab's field is not understood.
    #[error("{field} `{token}` {wrong}{}", did_you_mean(.hint))]
    Field {
        /// The field's name.
        field: &'static str,
        /// The part between commas.
        token: String,
        /// What is wrong with it, and what is allowed.
        wrong: String,
        /// The nearest word.
        hint: Option<String>,
    },
    /// A crontab names only days that no year has.
    #[error("crontab `{text}` never fires: no month it names has such a day")]
    NeverFires {
        /// The crontab.
        text: String,
    },
    /// A name with `@` is none of those that cron knows.
    #[error(
        "`{name}` is no name for a crontab{}; there are @hourly, @daily, @weekly, @monthly and @yearly",
        did_you_mean(.hint)
    )]
    UnknownAlias {
        /// The name.
        name: String,
        /// The nearest name.
        hint: Option<String>,
    },
    /// The database of time zones has no such name.
    #[error("no time zone is called `{name}`{}", did_you_mean(.hint))]
    UnknownZone {
        /// The name.
        name: String,
        /// The nearest name.
        hint: Option<String>,
    },
    /// An interval's length is not understood.
    #[error("interval `{text}` {wrong}")]
    Interval {
        /// The length as typed.
        text: String,
        /// What is wrong with it, and what to type.
        wrong: String,
    },
    /// A date or time is not understood.
    #[error("`{text}` is no {what}; type it as `{example}`")]
    Moment {
        /// The text.
        text: String,
        /// What should stand there.
        what: &'static str,
        /// How it is typed.
        example: &'static str,
    },
    /// An event of the sun has no such name.
    #[error("the sun has no event `{name}`{}; there are {known}", did_you_mean(.hint))]
    UnknownEvent {
        /// The name.
        name: String,
        /// The nearest name.
        hint: Option<String>,
        /// All names.
        known: String,
    },
    /// A place is not on the globe, or not understood.
    #[error("`{text}` is no place; type latitude and longitude in degrees, as `52.5,13.4`: {wrong}")]
    Place {
        /// The text.
        text: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// Something stands behind a schedule that is whole without it.
    #[error("`{rest}` follows `{whole}`, which is whole without it")]
    Rest {
        /// What was understood.
        whole: String,
        /// What is too much.
        rest: String,
    },
    /// Something is missing behind a schedule's first words.
    #[error("`{text}` ends too early; type {wants}")]
    Short {
        /// The text.
        text: String,
        /// What is missing, with an example.
        wants: &'static str,
    },
    /// A quotation mark has no partner.
    #[error("`{text}` has a quotation mark without a partner")]
    Quotes {
        /// The text.
        text: String,
    },
    /// A part of a calendar is not understood.
    #[error("calendar `{token}` {wrong}")]
    Calendar {
        /// The part between commas.
        token: String,
        /// What is wrong with it, and what to type.
        wrong: String,
    },
}

/// Writes a suggestion behind an error, or nothing.
fn did_you_mean(hint: &Option<String>) -> String {
    hint.as_ref().map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}
