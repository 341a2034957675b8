//! Benches against peers: see the `[[bench]]` entries of the manifest.
