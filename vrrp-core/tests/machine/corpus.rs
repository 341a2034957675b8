//! Replays the committed fuzz corpus, and the same facts at random, on stable Rust.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::fuzz::router;

#[test]
fn router_corpus_replays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/router");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        // Shown when an assertion below fails.
        println!("{}", path.display());
        router::run(&fs::read(&path).expect("a file"));
        replayed += 1;
    }
    assert!(replayed > 0, "no corpus in {}", folder.display());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Without a fuzzer the facts are less clever, and still many.
    #[test]
    fn any_facts_in_any_order_keep_the_invariants(
        flags in any::<u8>(), priority in 1..=255_u8, interval in 1..=200_u8, facts in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut input = vec![flags, priority, 0, interval];
        input.extend(facts);
        router::run(&input);
    }
}
