//! What tests and measurements need beyond Rust: how each thing is looked for, and how it is fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use celeriac_peers::{Postgres, RabbitMq, Redis};

/// One thing that has to be there before something runs.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    pub(crate) what_for: &'static str,
    /// What a person types to get it without us.
    pub(crate) by_hand: &'static str,
    is_there: fn(&Path) -> bool,
    install: fn(&Path) -> anyhow::Result<()>,
}

/// Everything that today's tests need.
pub(crate) const TESTS: &[Need] = &[
    Need {
        name: "cargo-nextest",
        what_for: "runs each test in a process of its own",
        by_hand: "cargo install --locked --version 0.9.143 cargo-nextest",
        is_there: |root| succeeds(root, &["cargo", "nextest", "--version"]),
        install: |root| run(root, &["cargo", "install", "--locked", "--version", "0.9.143", "cargo-nextest"]),
    },
    Need {
        name: "PostgreSQL",
        what_for: "is a broker, a result store and a database of records",
        by_hand: "apt-get install postgresql",
        is_there: |_| Postgres::is_installed(),
        install: |root| apt(root, &["postgresql"]),
    },
    Need {
        name: "Redis",
        what_for: "is a broker and a result store",
        by_hand: "apt-get install redis-server",
        is_there: |_| Redis::is_installed(),
        install: |root| apt(root, &["redis-server"]),
    },
    Need {
        name: "RabbitMQ",
        what_for: "is a broker",
        by_hand: "apt-get install rabbitmq-server",
        is_there: |_| RabbitMq::is_installed(),
        install: |root| apt(root, &["rabbitmq-server"]),
    },
];

/// The versions of Celery that are spoken to, each with what is installed into its environment.
pub(crate) const CELERIES: [(&str, &[&str]); 2] = [
    (
        "5.7",
        &[
            "celery[redis]==5.7.0",
            "kombu==5.7.0",
            "redis==8.1.0",
            "msgpack",
            "PyYAML",
            "backports.zstd",
            "SQLAlchemy",
            "psycopg2-binary",
            "django-celery-beat==2.9.0",
            "sqlalchemy-celery-beat==0.9.1",
            "celery-redbeat==2.4.2",
        ],
    ),
    (
        "5.3",
        &[
            "celery[redis]==5.3.6",
            "kombu==5.3.7",
            "redis==5.0.8",
            "msgpack",
            "PyYAML",
            "zstandard",
            "SQLAlchemy",
            "psycopg2-binary",
            // Older ones, with tables as they were. The schedules of the sun are computed by ephem.
            "django-celery-beat==2.5.0",
            "sqlalchemy-celery-beat==0.4.7",
            "celery-redbeat==2.1.1",
            "ephem",
        ],
    ),
];

/// Everything that the tests beside real Celery need, apart from what all tests do.
pub(crate) const INTEROP: &[Need] = &[
    Need {
        name: "Python",
        what_for: "runs Celery",
        by_hand: "apt-get install python3-venv",
        is_there: |root| succeeds(root, &["python3", "-c", "import ensurepip, venv"]),
        install: |root| apt(root, &["python3-venv"]),
    },
    Need {
        name: "Celery",
        what_for: "is the other side, in an environment of its own for each version",
        by_hand: "python3 -m venv target/interop/celery-5.7 && target/interop/celery-5.7/bin/pip install \
                  'celery[redis]==5.7.0' and what else `CELERIES` in xtask/src/needs.rs names; the same for 5.3",
        is_there: |root| CELERIES.iter().all(|(version, packages)| has_packages(root, version, packages)),
        install: install_celeries,
    },
];

/// Returns the Python that has a version of Celery.
pub(crate) fn python(root: &Path, celery: &str) -> PathBuf {
    root.join(format!("target/interop/celery-{celery}/bin/python"))
}

/// The file in an environment that names what was installed into it.
const INSTALLED: &str = "installed.txt";

/// Says whether an environment is there, with all that is asked for today.
fn has_packages(root: &Path, celery: &str, packages: &[&str]) -> bool {
    let list = root.join(format!("target/interop/celery-{celery}/{INSTALLED}"));
    python(root, celery).is_file()
        && std::fs::read_to_string(list).is_ok_and(|list| list == packages.join("\n"))
}

/// Makes an environment for each version of Celery. One that was left half made, or that lacks what is asked for
/// today, is made anew.
fn install_celeries(root: &Path) -> anyhow::Result<()> {
    for (version, packages) in CELERIES {
        if has_packages(root, version, packages) {
            continue;
        }
        let (folder, half) =
            (format!("target/interop/celery-{version}"), format!("target/interop/half-{version}"));
        run(root, &["python3", "-m", "venv", "--clear", &half])?;
        let python = format!("{half}/bin/python");
        run(root, &[&[python.as_str(), "-m", "pip", "install", "--quiet"], packages].concat())?;
        std::fs::write(root.join(&half).join(INSTALLED), packages.join("\n"))
            .context("note what was installed")?;
        if root.join(&folder).is_dir() {
            std::fs::remove_dir_all(root.join(&folder)).context("remove the environment of before")?;
        }
        std::fs::rename(root.join(&half), root.join(&folder)).context("put the environment in its place")?;
    }
    Ok(())
}

/// A real documentation tree of more than a thousand pages.
pub(crate) const DOCUMENTATION: &[Need] = &[Need {
    name: "postgresql-doc-15",
    what_for: "a real documentation tree to collect; or name one of your own with --dir DIR",
    by_hand: "mkdir -p target/documentation && cd target/documentation && apt-get download postgresql-doc-15 && \
              dpkg-deb -x postgresql-doc-15_*.deb .",
    is_there: |root| documentation(root).is_some(),
    install: fetch_documentation,
}];

/// Where the package keeps its pages, below the root of the system that it is unpacked into.
const PAGES: &str = "usr/share/doc/postgresql-doc-15/html";

/// Returns the documentation tree: what the system has installed, or what was fetched beside the build.
pub(crate) fn documentation(root: &Path) -> Option<PathBuf> {
    let places = [Path::new("/").join(PAGES), fetched(root).join(PAGES)];
    places.into_iter().find(|place| place.join("index.html").is_file())
}

fn fetched(root: &Path) -> PathBuf {
    root.join("target/documentation")
}

/// Unpacks the package beside the build; nothing is installed, so nobody has to be root.
fn fetch_documentation(root: &Path) -> anyhow::Result<()> {
    let folder = fetched(root);
    std::fs::create_dir_all(&folder).with_context(|| format!("make folder {}", folder.display()))?;
    run(&folder, &["apt-get", "download", "postgresql-doc-15"])?;
    run(&folder, &["sh", "-c", "dpkg-deb -x postgresql-doc-15_*.deb ."])
}

/// Installs packages of Debian, as root or by sudo.
fn apt(root: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let sudo: &[&str] = if is_root { &[] } else { &["sudo"] };
    run(root, &[sudo, &["apt-get", "update", "--quiet"]].concat())?;
    let install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--quiet", "--yes"];
    run(root, &[sudo, &install, &["--no-install-recommends"], packages].concat())
}

/// Returns what is missing; with `install` it is fetched first, and only what still lacks is returned.
pub(crate) fn missing(
    needs: &'static [Need],
    root: &Path,
    install: bool,
) -> anyhow::Result<Vec<&'static Need>> {
    let mut missing = Vec::new();
    for need in needs.iter().filter(|need| !(need.is_there)(root)) {
        if install {
            println!("installing {} ({})", need.name, need.by_hand);
            (need.install)(root).with_context(|| format!("install {}", need.name))?;
        }
        if !(need.is_there)(root) {
            missing.push(need);
        }
    }
    Ok(missing)
}

/// Says what is missing and how to get it: by `command`, or by hand.
pub(crate) fn tell(missing: &[&Need], command: &str) {
    for need in missing {
        println!("  {:<18} {}\n  {:<18} by hand: {}", need.name, need.what_for, "", need.by_hand);
    }
    println!("\nTo fetch it: {command}");
}

fn succeeds(root: &Path, words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command
        .current_dir(root)
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(words[0]).current_dir(root).args(&words[1..]).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("start {}", words[0]))?;
    ensure!(status.success(), "`{}` ended with {status}", words.join(" "));
    Ok(())
}
