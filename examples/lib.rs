//! Runnable scenarios: see the `[[example]]` entries of the manifest.
