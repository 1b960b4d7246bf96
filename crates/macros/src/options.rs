//! Reads what stands in `#[task(...)]`.

use std::time::Duration;

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitBool, LitInt, LitStr, Path, Token, Type, parenthesized};

use crate::schedule::Schedule;

/// The options of one task, checked.
pub(crate) struct Options {
    pub(crate) name: LitStr,
    pub(crate) krate: Path,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) queue: Option<LitStr>,
    pub(crate) priority: Option<u8>,
    pub(crate) serializer: Option<Ident>,
    pub(crate) compression: Option<Ident>,
    pub(crate) job_type: Option<LitStr>,
    pub(crate) max_retries: Option<Option<u32>>,
    pub(crate) default_retry_delay: Option<Duration>,
    pub(crate) retry_backoff: Option<Duration>,
    pub(crate) retry_backoff_max: Option<Duration>,
    pub(crate) retry_jitter: Option<bool>,
    pub(crate) retry_on: Vec<Type>,
    pub(crate) soft_time_limit: Option<Duration>,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) ignore_result: bool,
    pub(crate) acks_late: Option<bool>,
    pub(crate) record: Option<Ident>,
    pub(crate) states: Vec<Type>,
    pub(crate) schedules: Vec<Schedule>,
}

/// All options, for the message about an unknown one.
const KNOWN: &str = "name, aliases, queue, priority, serializer, compression, job_type, max_retries, default_retry_delay, retry_backoff, \
    retry_backoff_max, retry_jitter, retry_on, soft_time_limit, time_limit, ignore_result, acks_late, record, state, schedule, crate";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut name = None;
        let mut options = Self::empty(input)?;
        while !input.is_empty() {
            // `crate` is a keyword, so it is no plain identifier.
            let key = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
            if key == "name" {
                name = Some(value::<LitStr>(input)?);
            } else {
                options.read(&key, input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        options.name = name.ok_or_else(|| {
            input.error("a task needs its name on the wire: #[task(name = \"...\")]; it outlives renames of the function")
        })?;
        if options.name.value().is_empty() {
            return Err(syn::Error::new(options.name.span(), "a task's name can't be empty"));
        }
        refuse_same_names(&options.schedules)?;
        Ok(options)
    }
}

/// Entries of the schedule have names, and the first that says none has the task's.
fn refuse_same_names(schedules: &[Schedule]) -> syn::Result<()> {
    let mut seen = Vec::new();
    for schedule in schedules {
        let name = schedule.name.as_ref().map(LitStr::value);
        if seen.contains(&name) {
            let text = "each of several schedules wants a name of its own: schedule(\"...\", name = \"...\")";
            return Err(syn::Error::new(schedule.span(), text));
        }
        seen.push(name);
    }
    Ok(())
}

impl Options {
    fn empty(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            name: LitStr::new("", input.span()),
            krate: syn::parse_str("::celeriac")?,
            aliases: Vec::new(),
            queue: None,
            priority: None,
            serializer: None,
            compression: None,
            job_type: None,
            max_retries: None,
            default_retry_delay: None,
            retry_backoff: None,
            retry_backoff_max: None,
            retry_jitter: None,
            retry_on: Vec::new(),
            soft_time_limit: None,
            time_limit: None,
            ignore_result: false,
            acks_late: None,
            record: None,
            states: Vec::new(),
            schedules: Vec::new(),
        })
    }

    fn read(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match key.to_string().as_str() {
            "crate" => self.krate = value(input)?,
            "aliases" => self.aliases = list(input)?,
            "queue" => self.queue = Some(value(input)?),
            "priority" => self.priority = Some(priority(&value(input)?)?),
            "serializer" => self.serializer = Some(serializer(&value(input)?)?),
            "compression" => self.compression = Some(compression(&value(input)?)?),
            "job_type" => self.job_type = Some(value(input)?),
            "max_retries" => self.max_retries = Some(max_retries(input)?),
            "default_retry_delay" => self.default_retry_delay = Some(duration(&value(input)?)?),
            "retry_backoff" => self.retry_backoff = Some(duration(&value(input)?)?),
            "retry_backoff_max" => self.retry_backoff_max = Some(duration(&value(input)?)?),
            "retry_jitter" => self.retry_jitter = Some(value::<LitBool>(input)?.value),
            "retry_on" => self.retry_on = list(input)?,
            "soft_time_limit" => self.soft_time_limit = Some(duration(&value(input)?)?),
            "time_limit" => self.time_limit = Some(duration(&value(input)?)?),
            "ignore_result" => self.ignore_result = flag(input)?,
            "acks_late" => self.acks_late = Some(flag(input)?),
            "record" => self.record = Some(record(&value(input)?)?),
            "state" => self.states = list(input)?,
            "schedule" => self.schedules.push(Schedule::read(input)?),
            unknown => {
                return Err(syn::Error::new(
                    key.span(),
                    format!("unknown option `{unknown}`, there are: {KNOWN}"),
                ));
            }
        }
        Ok(())
    }
}

/// Reads what stands behind an equals sign.
pub(crate) fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn flag(input: ParseStream<'_>) -> syn::Result<bool> {
    if input.peek(Token![=]) { Ok(value::<LitBool>(input)?.value) } else { Ok(true) }
}

fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let inner;
    parenthesized!(inner in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inner)?.into_iter().collect())
}

fn priority(literal: &LitInt) -> syn::Result<u8> {
    match literal.base10_parse() {
        Ok(priority @ 0..=9) => Ok(priority),
        _ => Err(syn::Error::new(literal.span(), "a priority is a number from 0 to 9, higher runs first")),
    }
}

fn max_retries(input: ParseStream<'_>) -> syn::Result<Option<u32>> {
    input.parse::<Token![=]>()?;
    if input.peek(LitInt) {
        return input.parse::<LitInt>()?.base10_parse().map(Some);
    }
    let word: Ident = input.parse()?;
    if word == "None" {
        Ok(None)
    } else {
        Err(syn::Error::new(word.span(), "a number, or `None` to never give up"))
    }
}

fn record(literal: &LitStr) -> syn::Result<Ident> {
    let variant = match literal.value().as_str() {
        "all" => "All",
        "failures" => "Failures",
        "none" => "None",
        _ => return Err(syn::Error::new(literal.span(), "one of \"all\", \"failures\", \"none\"")),
    };
    Ok(Ident::new(variant, literal.span()))
}

fn serializer(literal: &LitStr) -> syn::Result<Ident> {
    let variant = match literal.value().as_str() {
        "json" => "Json",
        "msgpack" => "Msgpack",
        "yaml" => "Yaml",
        _ => return Err(syn::Error::new(literal.span(), "one of \"json\", \"msgpack\", \"yaml\"")),
    };
    Ok(Ident::new(variant, literal.span()))
}

fn compression(literal: &LitStr) -> syn::Result<Ident> {
    let variant = match literal.value().as_str() {
        "gzip" | "zlib" => "Zlib",
        "bzip2" => "Bzip2",
        "lzma" | "xz" => "Xz",
        "zstd" => "Zstd",
        _ => {
            return Err(syn::Error::new(literal.span(), "one of \"gzip\", \"bzip2\", \"lzma\", \"zstd\""));
        }
    };
    Ok(Ident::new(variant, literal.span()))
}

/// Reads `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`.
/// Reads a duration.
pub(crate) fn duration(literal: &LitStr) -> syn::Result<Duration> {
    let text = literal.value();
    let fault =
        || syn::Error::new(literal.span(), "a duration such as \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\"");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| fault())?;
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    millis.and_then(|unit: u64| number.checked_mul(unit)).map(Duration::from_millis).ok_or_else(fault)
}
