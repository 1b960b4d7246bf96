//! Fits the arguments of a message, positional and named, to a task's parameters.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;

use celeriac_protocol::{Arguments, ErrorKind, JobError, RawValue};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::Param;

/// Reads `args` as the struct that a task takes.
///
/// The rules and the words are Python's, since it is mostly Python callers who read them:
/// positional arguments fill parameters in order, a parameter given twice or not known is refused,
/// and so is a call that leaves out one without a default.
///
/// Celery's typed values (a date, a `Decimal`, bytes) stay as they came where all parameters take them
/// so (`serde_json::Value`); else all are read by the rule of [`Arguments::untyped`].
pub(crate) fn bind<T: DeserializeOwned>(
    task: &str,
    params: &[Param],
    args: &Arguments,
) -> Result<T, JobError> {
    match (bind_as_sent(task, params, args), args.untyped()) {
        (Err(_), Cow::Owned(untyped)) => bind_as_sent(task, params, &untyped),
        (bound, _) => bound,
    }
}

fn bind_as_sent<T: DeserializeOwned>(task: &str, params: &[Param], args: &Arguments) -> Result<T, JobError> {
    let mismatch = |reason: String| JobError::new(ErrorKind::InvalidArguments, reason).with_type("TypeError");
    let positional: Vec<&RawValue> =
        serde_json::from_str(args.positional.get()).map_err(|e| mismatch(e.to_string()))?;
    let named: Named<'_> = serde_json::from_str(args.named.get()).map_err(|e| mismatch(e.to_string()))?;
    let pairs = pair(task, params, positional, named.0).map_err(mismatch)?;
    // Values are read one after the other, so the last name that was asked for is the one that does not fit.
    let reading = Cell::new("");
    let pairs = pairs.into_iter().inspect(|(name, _)| reading.set(name));
    T::deserialize(MapDeserializer::new(pairs)).map_err(|e: serde_json::Error| {
        mismatch(format!("{task}() argument '{}': {}", reading.get(), plain(&e)))
    })
}

/// Leaves out the position, which says nothing about a single value.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

type Pairs<'a> = Vec<(&'a str, &'a RawValue)>;

fn pair<'a>(
    task: &str,
    params: &[Param],
    positional: Vec<&'a RawValue>,
    named: Vec<(Cow<'a, str>, &'a RawValue)>,
) -> Result<Pairs<'a>, String> {
    if positional.len() > params.len() {
        let (takes, given) = (params.len(), positional.len());
        return Err(format!("{task}() takes {takes} positional arguments but {given} were given"));
    }
    let mut pairs: Pairs<'a> = params.iter().map(|p| p.name).zip(positional).collect();
    for (name, value) in named {
        let Some(param) = params.iter().find(|param| param.name == name) else {
            return Err(format!("{task}() got an unexpected keyword argument '{name}'"));
        };
        if pairs.iter().any(|(seen, _)| *seen == param.name) {
            return Err(format!("{task}() got multiple values for argument '{name}'"));
        }
        pairs.push((param.name, value));
    }
    let missing: Vec<&str> = params
        .iter()
        .filter(|param| param.required && !pairs.iter().any(|(name, _)| *name == param.name))
        .map(|param| param.name)
        .collect();
    if missing.is_empty() { Ok(pairs) } else { Err(say_missing(task, &missing)) }
}

fn say_missing(task: &str, missing: &[&str]) -> String {
    let plural = if missing.len() == 1 { "" } else { "s" };
    let mut text = format!("{task}() missing {} required argument{plural}: ", missing.len());
    for (i, name) in missing.iter().enumerate() {
        let joint = match i {
            0 => "",
            i if i + 1 == missing.len() => " and ",
            _ => ", ",
        };
        write!(text, "{joint}'{name}'").expect("writing to a string does not fail");
    }
    text
}

/// Named arguments in the order given, values unread.
struct Named<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Named<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of named arguments")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Named(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    struct Args {
        x: u128,
        #[serde(default)]
        y: Option<String>,
    }

    const PARAMS: &[Param] = &[Param::required("x", "u128"), Param::optional("y", "Option<String>")];

    fn check(positional: &str, named: &str, expected: Result<(u128, Option<&str>), &str>) {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let args = Arguments { positional: raw(positional), named: raw(named) };
        match (bind::<Args>("add", PARAMS, &args), expected) {
            (Ok(args), Ok((x, y))) => assert_eq!(args, Args { x, y: y.map(str::to_owned) }),
            (Err(error), Err(text)) => assert!(error.message.contains(text), "{} / {text}", error.message),
            (got, _) => panic!("{positional} {named}: {got:?}"),
        }
    }

    #[test]
    fn positional_and_named_calls_fit_as_in_python() {
        check("[1, \"a\"]", "{}", Ok((1, Some("a"))));
        check("[1]", r#"{"y": "a"}"#, Ok((1, Some("a"))));
        check("[]", r#"{"y": null, "x": 340282366920938463463374607431768211455}"#, Ok((u128::MAX, None)));
        check("[]", r#"{"\u0078": 3}"#, Ok((3, None)));
        check("[1, 2, 3]", "{}", Err("add() takes 2 positional arguments but 3 were given"));
        check("[]", "{}", Err("add() missing 1 required argument: 'x'"));
        check("[1]", r#"{"x": 1}"#, Err("add() got multiple values for argument 'x'"));
        check("[1]", r#"{"z": 1}"#, Err("add() got an unexpected keyword argument 'z'"));
        check("[1, 2]", "{}", Err("add() argument 'y': invalid type: integer `2`, expected a string"));
        check(r#"[1, {"__type__": "decimal", "__value__": "1.50"}]"#, "{}", Ok((1, Some("1.50"))));
        check(
            r#"[1, {"__type__": "bytes", "__value__": "a"}]"#,
            "{}",
            Err("add() argument 'y': invalid type: sequence, expected a string"),
        );
        check("[\"no\"]", "{}", Err("add() argument 'x': invalid number"));
    }
}
