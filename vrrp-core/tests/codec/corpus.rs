//! Replays the committed fuzz corpus on stable Rust.

use std::fs;
use std::path::Path;

use crate::fuzz::{parse, roundtrip};

#[test]
fn parse_corpus_replays() {
    replay("parse", parse::run);
}

#[test]
fn roundtrip_corpus_replays() {
    replay("roundtrip", roundtrip::run);
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
