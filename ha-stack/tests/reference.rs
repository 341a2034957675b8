//! The reference of keys and keywords, which is made of the tables that files are read by.
//!
//! `UPDATE_REFERENCE=1` writes it anew, to be read in the diff.

use std::fs;
use std::path::Path;

use ha_stack::config::{Configuration, reference};

#[test]
fn the_reference_is_that_of_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFIG.md");
    let made = reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let line = written
        .lines()
        .zip(made.lines())
        .find(|(written, made)| written != made);
    assert!(written == made, "write it anew with UPDATE_REFERENCE=1: {line:?}");
}

/// keepalived's own words, from the parser of 2.4 (`init_vrrp_keywords`, `init_global_keywords`) and keepalived.conf(5).
#[test]
fn every_keyword_of_keepalived_is_read_or_named_as_unsupported() {
    let mut unknown = Vec::new();
    let words = fs::read_to_string(data("keepalived-keywords.txt")).unwrap();
    let mut count = 0;
    for line in words
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (block, keywords) = line.split_once(':').unwrap();
        for keyword in keywords.split_whitespace() {
            count += 1;
            let text = match block {
                "top" => format!("{keyword}\n"),
                "global_defs" => format!("global_defs {{\n{keyword}\n}}\n"),
                "authentication" | "auth_hmac" => {
                    format!("vrrp_instance X {{\n{block} {{\n{keyword}\n}}\n}}\n")
                }
                _ => format!("{block} X {{\n{keyword}\n}}\n"),
            };
            let mut configuration = Configuration::new();
            configuration.add_text("keepalived.conf", text);
            let told = configuration.load().render(false);
            if told.contains("unknown keyword") {
                unknown.push(format!("{keyword} in {block}"));
            }
        }
    }
    assert!(count > 200, "{count}");
    assert_eq!(unknown, [] as [String; 0]);
}

#[test]
fn no_keyword_is_both_read_and_unsupported() {
    let reference = reference();
    let (_, keepalived) = reference.split_once("## keepalived.conf").unwrap();
    for block in keepalived.split("\n### ").skip(1) {
        let mut seen = std::collections::HashSet::new();
        let lines = block
            .lines()
            .filter(|line| line.starts_with("Read: ") || line.starts_with("Not supported: "));
        for line in lines {
            let (_, words) = line.split_once(": ").unwrap();
            let words = words.split(": ").next().unwrap();
            for word in words.trim_end_matches('.').split(", ") {
                assert!(seen.insert(word), "{word} stands twice in {block}");
            }
        }
        assert!(!seen.is_empty(), "{block}");
    }
}

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}
