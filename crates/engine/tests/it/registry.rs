//! Registering tasks.

use celeriac_engine::{Registry, RegistryError, States, task};

use crate::tasks::{self, Gate, Runs};

/// Answers to a name that is taken.
#[task(crate = celeriac_engine, name = "other", aliases("math.add"))]
async fn taken() {}

#[test]
fn a_name_taken_twice_is_refused_with_both_places() {
    let error = Registry::builder().task::<tasks::add>().task::<taken>().build().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("register task \"math.add\""), "{text}");
    assert!(text.contains("tasks.rs:") && text.contains("registry.rs:"), "{text}");
}

#[test]
fn a_task_is_found_by_its_name_and_its_aliases_and_described() {
    let registry = tasks::registry();
    let task = registry.find("old.add").unwrap();
    assert_eq!((task.name, task.module, task.job_type()), ("math.add", "math", "arithmetic"));
    assert_eq!(task.options.description, "Adds two numbers.");
    let params: Vec<_> = task.params.iter().map(|p| (p.name, p.type_name, p.required)).collect();
    assert_eq!(params, [("x", "i64", true), ("y", "i64", false), ("note", "Option<String>", false)]);
}

#[test]
fn a_worker_may_be_given_some_modules_only() {
    let subset = tasks::registry().subset(&["math".into()]).unwrap();
    let names: Vec<&str> = subset.tasks().map(|task| task.name).collect();
    assert_eq!(names, ["math.add", "math.add_blocking"]);
    assert!(subset.find("old.add").is_some() && subset.find("fail").is_none());
    let error = tasks::registry().subset(&["maths".into()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "select module \"maths\": no task belongs to it (there are: faults, main, math)"
    );
}

#[test]
fn a_state_that_is_missing_is_refused_at_start() {
    let states = States::default().with(Gate::default());
    let error = tasks::registry().check_states(&states).unwrap_err();
    assert!(matches!(error, RegistryError::MissingState { task, .. } if task == "snooze"));
    tasks::registry().check_states(&states.with(Runs::default())).unwrap();
}
