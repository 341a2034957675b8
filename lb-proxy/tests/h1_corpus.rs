//! Replays the committed fuzz corpus of the HTTP/1 codec on stable Rust.

#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "a test has no outside, and a proxy uses more of the codec than its corpus"
)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/chunked.rs"]
mod chunked;
#[path = "../src/h1/mod.rs"]
mod h1;
#[path = "../fuzz/src/heads.rs"]
mod heads;
#[path = "../fuzz/src/reference.rs"]
mod reference;

#[test]
fn corpus_of_heads_replays() {
    replay("heads", heads::run);
}

#[test]
fn corpus_of_chunked_bodies_replays() {
    replay("chunked", chunked::run);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        // Shown when an assertion below fails.
        println!("{}", path.display());
        run(&fs::read(&path).expect("a file"));
        replayed += 1;
    }
    assert!(replayed > 0, "no corpus in {}", folder.display());
}
