//! Settings: where they come from, and what is said of wrong ones.

use insta::assert_snapshot;

use crate::support::{Bed, Outcome};

fn value(bed: &Bed, arguments: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let mut command = bed.command(arguments);
    let out = Outcome::of(command.envs(environment.iter().copied())).ok();
    let cells: Vec<&str> = out.trim_end_matches('\n').split('\t').collect();
    (cells[1].to_owned(), cells[2].to_owned())
}

#[test]
fn flags_win_over_the_environment_over_celerys_names_over_the_file_over_defaults() {
    let bed = Bed::new();
    let mut show = vec!["config", "show", "worker.concurrency"];
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(value(&bed, &show, &[]), pair("8", "default"));
    bed.write("celeriac.toml", "[worker]\n# comment\nconcurrency = 3\n");
    assert_eq!(value(&bed, &show, &[]), pair("3", "celeriac.toml:3"));
    let celery = ("CELERY_WORKER_CONCURRENCY", "4");
    assert_eq!(value(&bed, &show, &[celery]), pair("4", "CELERY_WORKER_CONCURRENCY"));
    let ours = ("CELERIAC_WORKER__CONCURRENCY", "5");
    assert_eq!(value(&bed, &show, &[ours, celery]), pair("5", "CELERIAC_WORKER__CONCURRENCY"));
    show.extend(["--set", "worker.concurrency=6"]);
    assert_eq!(value(&bed, &show, &[ours]), pair("6", "--set worker.concurrency"));
}

#[test]
fn values_from_the_environment_are_read_as_what_their_key_wants() {
    let bed = Bed::new();
    for (key, variable, text, shown) in [
        ("worker.queues", "CELERIAC_WORKER__QUEUES", "mail, math", "mail,math"),
        ("worker.queues", "CELERIAC_WORKER__QUEUES", r#"["a,b"]"#, "a,b"),
        ("worker.lease", "CELERIAC_WORKER__LEASE", "90", "1m30s"),
        ("worker.name", "CELERIAC_WORKER__NAME", "42", "42"),
        ("tasks.always_eager", "CELERY_TASK_ALWAYS_EAGER", "True", "true"),
        ("log.level", "CELERY_WORKER_LOGLEVEL", "WARNING", "warn"),
    ] {
        assert_eq!(value(&bed, &["config", "show", key], &[(variable, text)]).0, shown, "{variable}={text}");
    }
}

#[test]
fn wrong_settings_are_named_with_their_place() {
    let bed = Bed::new();
    let said = |file: &str, environment: &[(&str, &str)], flags: &[&str]| {
        bed.write("celeriac.toml", file);
        let arguments: Vec<&str> = ["tasks"].iter().chain(flags).copied().collect();
        Outcome::of(bed.command(&arguments).envs(environment.iter().copied())).refused(2)
    };
    assert_snapshot!(said("[worker]\n\nconcurency = 3", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:3: unknown key "worker.concurency"
     hint: did you mean `worker.concurrency`?
    "#);
    assert_snapshot!(said("[wrker]\nconcurrency = 3", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "wrker.concurrency"
     hint: did you mean `worker.concurrency`?
    "#);
    assert_snapshot!(said("concurrency = 3", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:1: unknown key "concurrency"
     hint: did you mean `worker.concurrency`?
    "#);
    assert_snapshot!(said("[worker]\nconcurency = 3\n\n[log]\nlevle = 'info'", &[], &["--set", "mail.server=x"]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "worker.concurency"; celeriac.toml:5: unknown key "log.levle"; unknown key "mail.server"
     hint: did you mean `worker.concurrency`? did you mean `log.level`?
    "#);
    assert_snapshot!(said("[mail]\nserver = 'x'", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: unknown key "mail.server"
     hint: list all keys with `config default`
    "#);
    assert_snapshot!(said("[worker]\nconcurrency = \"many\"", &[], &[]), @"error: failed to read configuration: celeriac.toml:2: worker.concurrency = many: a whole number is wanted");
    assert_snapshot!(said("[worker]\nconcurrency = 0", &[], &[]), @"error: failed to read configuration: celeriac.toml:2: worker.concurrency = 0: 1 to 10000 are possible");
    assert_snapshot!(said("[worker]\nlease = \"5 minutes\"", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:2: worker.lease: "5 minutes" is no span of time; write 500ms, 30s, 5m, 2h, 7d or 1h30m
    "#);
    assert_snapshot!(said("[worker\nconcurrency = 0", &[], &[]), @"error: failed to read configuration: celeriac.toml:1: unclosed table, expected `]`");
    assert_snapshot!(said("", &[("CELERIAC_WORKER__LEESE", "5s")], &[]), @r#"
    error: failed to read configuration: unknown variable CELERIAC_WORKER__LEESE
     hint: did you mean `CELERIAC_WORKER__LEASE`?
    "#);
    assert_snapshot!(said("", &[("CELERIAC_LOG__LEVEL", "loud")], &[]), @r#"
    error: failed to read configuration: CELERIAC_LOG__LEVEL = loud: write error, warn, info, debug or trace, or "info,celeriac_engine=debug"
    "#);
    assert_snapshot!(said("", &[], &["--set", "database.durability=fast"]), @"error: failed to read configuration: --set database.durability: unknown variant `fast`, expected `process` or `power`");
    assert_snapshot!(said("", &[], &["-b", "amqp://me:secret@host/v?heartbeet=5"]), @r#"
    error: failed to read configuration: --broker: unknown parameter `heartbeet` in the URL: did you mean `heartbeat`?
    "#);
    assert_snapshot!(said("broker = 'redis://:secret@host/1?visibilty_timeout=7200'", &[], &[]), @r#"
    error: failed to read configuration: celeriac.toml:1: broker.url: unknown parameter `visibilty_timeout` in the URL: did you mean the setting `broker.visibility_timeout`?
    "#);
    assert_snapshot!(said("", &[("CELERY_RESULT_BACKEND", "db+postgresql://me:secret@host/d?sslmod=require")], &[]), @r#"
    error: failed to read configuration: CELERY_RESULT_BACKEND: unknown parameter `sslmod` in the URL: did you mean `sslmode`?
    "#);
    assert_snapshot!(said("", &[], &["-d", "mysql://me:secret@host/db"]), @r#"
    error: failed to read configuration: --database: databases of type "mysql" are not supported, only sqlite:PATH and postgres:// are
    "#);
}

#[test]
fn hosts_that_can_never_be_met_are_no_setting() {
    let bed = Bed::new();
    for (hosts, said) in [
        ("127.0.0.1", "allow_networks opens addresses"),
        ("wiki.internal,[::1]", "allow_networks opens addresses"),
        ("127.0.0.1:8765", "is no host name"),
        ("bad/host", "is no host name"),
    ] {
        let refused = bed.run(&["tasks", "--set", &format!("collect.guard.allow_hosts={hosts}")]).refused(2);
        assert!(refused.contains("collect.guard.allow_hosts") && refused.contains(said), "{refused}");
    }
    bed.ok(&["tasks", "--set", "collect.guard.allow_hosts=wiki.internal"]);
}

#[test]
fn a_named_file_must_be_there_and_a_found_one_need_not() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["config", "path"]).refused(1), "no file is in use; ./celeriac.toml would be read\n");
    let missing = bed.run(&["tasks", "--config", "my.toml", "--json"]);
    let error = missing.refused_as(2, "config_file_missing");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("\"my.toml\", named by --config: No such file"), "{message}");
    bed.write("my.toml", "");
    let found = Outcome::of(bed.command(&["config", "path"]).env("CELERIAC_CONFIG", "my.toml")).ok();
    assert_eq!(found, "my.toml\n");
}

#[test]
fn a_path_in_a_file_starts_from_the_files_folder() {
    let bed = Bed::new();
    std::fs::create_dir(bed.path("etc")).unwrap();
    bed.write("etc/my.toml", "[database]\nurl = \"data.db\"");
    bed.ok(&["migrate", "up", "--config", "etc/my.toml"]);
    assert!(bed.path("etc/data.db").exists());
    bed.ok(&["migrate", "up", "--config", "etc/my.toml", "--database", "own.db"]);
    assert!(bed.path("own.db").exists());
}

#[test]
fn defaults_print_whatever_the_file_in_use_says_and_read_back() {
    let bed = Bed::new();
    bed.write("celeriac.toml", "not toml");
    let defaults = bed.ok(&["config", "default"]);
    bed.write("celeriac.toml", defaults);
    let shown = bed.json(&["config", "show"]);
    assert!(shown.len() > 10 && shown.iter().all(|setting| setting["origin"]["kind"] == "default"));
}

#[test]
fn celerys_variables_that_mean_nothing_here_are_warned_of() {
    let bed = Bed::new();
    let mut command = bed.command(&["tasks", "--log-format", "human"]);
    command.env("CELERY_RESULT_BACKEND", "db+mysql://me:secret@host/x");
    command.env("CELERY_TASK_SERIALIZER", "pickle").env("CELERY_ENABLE_UTC", "True");
    command.env("CELERY_BROKER_URL", "redis://:secret@host/1?socket_timeout=5");
    let Outcome { stderr, .. } = Outcome::of(&mut command);
    for variable in ["CELERY_RESULT_BACKEND", "CELERY_TASK_SERIALIZER"] {
        assert!(stderr.contains(&format!("{variable} is set and not used")), "{stderr}");
    }
    let unused = "`socket_timeout` in `broker.url` is not used: only other programs know it";
    assert!(stderr.contains(unused), "{stderr}");
    // What asks for what is done anyway is no news.
    assert!(!stderr.contains("secret") && !stderr.contains("CELERY_ENABLE_UTC"), "{stderr}");
}

#[test]
fn routes_and_default_queue_hold_for_tasks_that_name_no_queue() {
    let bed = Bed::new();
    let queues = |variable: &str, value: &str| -> Vec<String> {
        let mut command = bed.command(&["tasks", "--json"]);
        let out = Outcome::of(command.env(variable, value)).ok();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        out.lines().map(|text| line(text)["queue"].as_str().unwrap().to_owned()).collect()
    };
    assert!(queues("CELERIAC_TASKS__ROUTES", "*=routed").iter().any(|queue| queue == "routed"));
    assert!(queues("CELERY_TASK_DEFAULT_QUEUE", "main").iter().any(|queue| queue == "main"));
    let mut command = bed.command(&["config", "show", "worker.queues"]);
    let shown = Outcome::of(command.env("CELERY_TASK_DEFAULT_QUEUE", "main")).ok();
    assert!(shown.contains("main"), "{shown}");
    for (rule, reason) in [
        ("/(/ = q", "read the expression"),
        ("a = exchange://", "the name is missing"),
        ("a = exchange://news/feed", "exchanges are only in RabbitMQ"),
    ] {
        let mut command = bed.command(&["tasks"]);
        let Outcome { stderr, .. } = Outcome::of(command.env("CELERIAC_TASKS__ROUTES", rule));
        assert!(stderr.contains(reason), "{stderr}");
    }
}

#[test]
fn exchanges_are_refused_where_there_are_none() {
    let bed = Bed::new();
    let refused = bed.run(&["enqueue", "greet", "Ada", "-Q", "exchange://news/feed"]).refused(2);
    assert!(refused.contains("the sqlite transport has no exchanges"), "{refused}");
    let refused = bed.run(&["worker", "-Q", "exchange://news/feed"]).refused(2);
    assert!(refused.contains("a worker takes from queues"), "{refused}");
    let refused = bed.run(&["tasks", "--set", "broker.bindings=feeds = news"]).refused(2);
    assert!(refused.contains("broker.bindings"), "{refused}");
}

#[test]
fn passwords_of_sentinels_are_not_shown() {
    let bed = Bed::new();
    let url = "sentinel://:geheim@one:1;sentinel://:geheim@two:2/0";
    for arguments in [&["config", "show", "-b", url][..], &["doctor", "-b", url]] {
        let Outcome { stdout, stderr, .. } = bed.run(arguments);
        assert!(!stdout.contains("geheim") && !stderr.contains("geheim"), "{stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains("broker.master_name"), "{stdout}{stderr}");
    }
}
