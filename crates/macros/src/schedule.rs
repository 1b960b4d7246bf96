//! Reads `schedule = "..."` and `schedule("...", ...)`: when a task's jobs are enqueued by themselves.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Ident, LitBool, LitInt, LitStr, Path, Token, parenthesized};

use crate::options::{duration, value};

/// What may stand behind the expression, for the message about an unknown word.
const KNOWN: &str = "name, zone, except, args, kwargs, overlap, max_instances, catch_up, catch_up_window, coalesce, jitter, \
    misfire_grace, expires, enabled";

/// One entry of the schedule, checked as far as its form goes: times and zones are read when the app is built.
pub(crate) struct Schedule {
    when: LitStr,
    pub(crate) name: Option<LitStr>,
    /// Fields and their values, as they are written into the entry.
    fields: Vec<(Ident, Field)>,
}

/// A value of a field.
enum Field {
    Text(LitStr),
    OptionalText(LitStr),
    Number(u32),
    OptionalNumber(u32),
    Truth(bool),
    Span(Duration),
    OptionalSpan(Duration),
}

impl Schedule {
    /// Reads what stands behind the word `schedule`.
    pub(crate) fn read(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![=]) {
            return Self::due(value(input)?);
        }
        let inner;
        parenthesized!(inner in input);
        let mut schedule = Self::due(inner.parse()?)?;
        while !inner.is_empty() {
            inner.parse::<Token![,]>()?;
            if inner.is_empty() {
                break;
            }
            let key: Ident = inner.parse()?;
            schedule.option(&key, &inner)?;
        }
        Ok(schedule)
    }

    fn due(when: LitStr) -> syn::Result<Self> {
        if when.value().trim().is_empty() {
            let text = "when it is due: a crontab such as \"30 2 * * mon-fri\", or \"every 5m\"";
            return Err(syn::Error::new(when.span(), text));
        }
        Ok(Self { when, name: None, fields: Vec::new() })
    }

    fn option(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        if self.fields.iter().any(|(known, _)| known == key) {
            return Err(syn::Error::new(key.span(), format!("`{key}` is said twice")));
        }
        let field = match key.to_string().as_str() {
            "name" => {
                self.name = Some(value(input)?);
                return Ok(());
            }
            "zone" | "except" => Field::OptionalText(value(input)?),
            "args" => Field::Text(json(value(input)?, '[', "a JSON array, such as r#\"[1, \"a\"]\"#")?),
            "kwargs" => Field::Text(json(value(input)?, '{', "a JSON object, such as r#\"{\"days\": 7}\"#")?),
            "overlap" => {
                Field::OptionalText(one_of(value(input)?, &["allow", "skip", "queue_one", "cancel_older"])?)
            }
            "catch_up" => return self.catch_up(key, input),
            "max_instances" => Field::Number(value::<LitInt>(input)?.base10_parse()?),
            "coalesce" | "enabled" => Field::Truth(value::<LitBool>(input)?.value),
            "jitter" => Field::Span(duration(&value(input)?)?),
            "catch_up_window" | "misfire_grace" | "expires" => Field::OptionalSpan(duration(&value(input)?)?),
            _ => {
                let text = format!("unknown word `{key}` of a schedule, there are: {KNOWN}");
                return Err(syn::Error::new(key.span(), text));
            }
        };
        self.fields.push((key.clone(), field));
        Ok(())
    }

    /// Reads a word, or how many of the latest are made up for.
    fn catch_up(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        input.parse::<Token![=]>()?;
        if input.peek(LitInt) {
            let limit = input.parse::<LitInt>()?.base10_parse()?;
            self.fields.push((Ident::new("catch_up_limit", key.span()), Field::OptionalNumber(limit)));
            let all = LitStr::new("all", key.span());
            self.fields.push((key.clone(), Field::OptionalText(all)));
            return Ok(());
        }
        let word = one_of(input.parse()?, &["none", "last", "all"])?;
        self.fields.push((key.clone(), Field::OptionalText(word)));
        Ok(())
    }

    /// Returns where it stands, for what is wrong with several.
    pub(crate) fn span(&self) -> proc_macro2::Span {
        self.when.span()
    }

    /// Writes the entry.
    pub(crate) fn expand(&self, krate: &Path) -> TokenStream {
        let when = &self.when;
        let name = self.name.iter().map(|name| quote!(schedule.name = ::core::option::Option::Some(#name);));
        let fields = self.fields.iter().map(|(field, value)| {
            let value = value.expand();
            quote!(schedule.#field = #value;)
        });
        let fields: Vec<TokenStream> = name.chain(fields).collect();
        let made = quote!(#krate::TaskSchedule::new(#when));
        if fields.is_empty() {
            return made;
        }
        quote!({ let mut schedule = #made; #(#fields)* schedule })
    }
}

impl Field {
    fn expand(&self) -> TokenStream {
        let some = |value: TokenStream| quote!(::core::option::Option::Some(#value));
        match self {
            Self::Text(text) => quote!(#text),
            Self::OptionalText(text) => some(quote!(#text)),
            Self::Number(number) => quote!(#number),
            Self::OptionalNumber(number) => some(quote!(#number)),
            Self::Truth(truth) => quote!(#truth),
            Self::Span(span) => crate::expand::millis(*span),
            Self::OptionalSpan(span) => some(crate::expand::millis(*span)),
        }
    }
}

fn json(literal: LitStr, begins: char, what: &str) -> syn::Result<LitStr> {
    let text = literal.value();
    if text.trim_start().starts_with(begins) {
        Ok(literal)
    } else {
        Err(syn::Error::new(literal.span(), what))
    }
}

fn one_of(literal: LitStr, words: &[&str]) -> syn::Result<LitStr> {
    if words.contains(&literal.value().as_str()) {
        return Ok(literal);
    }
    Err(syn::Error::new(literal.span(), format!("one of \"{}\"", words.join("\", \""))))
}

#[cfg(test)]
mod tests {
    use crate::options::Options;

    /// Returns what is wrong with some options, or nothing.
    fn told(options: &str) -> String {
        let options = format!("name = \"a\", {options}");
        syn::parse_str::<Options>(&options).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_task_may_have_several_schedules_with_names() {
        for options in [
            "schedule = \"@daily\"",
            "schedule(\"@daily\",)",
            "schedule(\"@daily\", zone = \"Europe/Berlin\", catch_up = 5, jitter = \"5m\", coalesce = true)",
            "schedule = \"@daily\", schedule(\"@hourly\", name = \"b\")",
        ] {
            assert_eq!(told(options), "", "{options}");
        }
    }

    #[test]
    fn what_can_be_told_from_its_form_is_an_error_of_the_compiler() {
        for (options, part) in [
            ("schedule = \" \"", "when it is due"),
            ("schedule(\"@daily\", zne = \"UTC\")", "unknown word `zne`"),
            ("schedule(\"@daily\", zone = \"UTC\", zone = \"UTC\")", "said twice"),
            ("schedule(\"@daily\", args = \"{}\")", "a JSON array"),
            ("schedule(\"@daily\", kwargs = \"[]\")", "a JSON object"),
            ("schedule(\"@daily\", overlap = \"skp\")", "one of \"allow\", \"skip\""),
            ("schedule(\"@daily\", catch_up = \"some\")", "one of \"none\", \"last\", \"all\""),
            ("schedule(\"@daily\", jitter = \"soon\")", "a duration"),
            ("schedule = \"@daily\", schedule = \"@hourly\"", "a name of its own"),
        ] {
            assert!(told(options).contains(part), "{options}: {}", told(options));
        }
    }
}
