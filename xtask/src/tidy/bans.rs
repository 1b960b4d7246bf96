//! Crates that must not be in what is built, as cargo resolves it.

use std::path::Path;

use anyhow::{Context, ensure};

use super::workspace::Finding;

/// Package names, and why each stays out.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-sys", "ring is our one TLS provider; turn the dependency's default features off"),
    ("aws-lc-rs", "ring is our one TLS provider; turn the dependency's default features off"),
    ("openssl-sys", "rustls with ring; no library of the system is linked"),
    ("openssl", "rustls with ring; no library of the system is linked"),
    ("native-tls", "rustls with ring; no library of the system is linked"),
    ("boring", "rustls with ring; no library of the system is linked"),
    ("graviola", "ring is our one TLS provider"),
    ("rustls-openssl", "ring is our one TLS provider"),
    ("sqlx-mysql", "SeaORM with the features of SQLite (and PostgreSQL) only"),
    ("madsim", "our own fakes behind our own traits"),
];

/// Asks cargo for everything that ships, with all features on, and finds what is banned.
pub(crate) fn resolved(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut command = crate::cargo(root);
    command.args(["tree", "--workspace", "--all-features", "--edges", "normal,build"]);
    command.args(["--prefix", "none", "--format", "{p}", "--locked", "--quiet"]);
    let output = command.output().context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(banned(&String::from_utf8_lossy(&output.stdout)))
}

/// Finds banned packages among lines of `name vVERSION ...`.
fn banned(tree: &str) -> Vec<Finding> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    let mut findings = Vec::new();
    for (name, instead) in BANNED.iter().filter(|(name, _)| names.binary_search(name).is_ok()) {
        let wrong =
            format!("`{name}` is built in; `cargo tree --workspace --all-features -i {name}` says by whom");
        findings.push(
            Finding::new("Cargo.lock", 1, wrong, *instead)
                .under("bans", "one TLS provider, no OpenSSL, no MySQL"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::banned;

    #[test]
    fn a_banned_crate_is_found_once_wherever_it_stands() {
        let tree = "celeriac v0.1.0 (/x)\nring v0.17.1\naws-lc-sys v0.4.0\nserde v1\naws-lc-sys v0.4.0\n";
        let found = banned(tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].wrong.starts_with("`aws-lc-sys` is built in"));
        assert!(banned("ring v0.17.1\nopenssl-probe v0.2.1\n").is_empty());
    }
}
