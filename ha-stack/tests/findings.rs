//! Every finding about configuration files, word by word.
//!
//! Each file in `data/findings` is read, and what is told of it compared with the file of the same name that ends in
//! `.txt`. `UPDATE_FINDINGS=1` writes those anew, to be read in the diff.

use std::fs;
use std::path::{Path, PathBuf};

use ha_stack::config::{Configuration, Severity};

#[test]
fn findings_are_told_word_by_word() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("findings"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml" || end == "conf"))
        .collect();
    files.sort();
    assert!(files.len() > 15, "{files:?}");
    let different: Vec<_> = files.iter().filter_map(|file| compare(&[file], file)).collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn what_two_files_define_is_told_with_both_places() {
    let folder = folder().join("merge");
    let files = [
        folder.join("a.toml"),
        folder.join("b.toml"),
        folder.join("c.conf"),
    ];
    let different = compare(&[&files[0], &files[1], &files[2]], &folder.join("merge"));
    assert!(different.is_none(), "{}", different.unwrap_or_default());
}

#[test]
fn a_file_that_cannot_be_read_is_told_among_the_others() {
    let mut configuration = Configuration::new();
    configuration.add_file("no/such/file.toml");
    configuration.add_text("other.toml", "[[proxy]]\nlisten = 80\n");
    let loaded = configuration.load();
    assert_eq!(
        loaded.render(false).lines().next().unwrap(),
        "error: cannot read no/such/file.toml: No such file or directory (os error 2)"
    );
    assert_eq!(loaded.diagnostics().errors(), 2);
}

#[test]
fn a_file_in_another_encoding_is_refused_with_the_place() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("latin1-{}.toml", std::process::id()));
    fs::write(&path, b"[node]\nname = \"caf\xe9\"\n").unwrap();
    let mut configuration = Configuration::new();
    configuration.add_file(&path);
    let told = configuration.load().render(false);
    fs::remove_file(&path).unwrap();
    let expected = format!("{}:2:12 is not UTF-8: save the file as UTF-8", path.display());
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("large-{}.toml", std::process::id()));
    fs::write(&path, vec![b'#'; 4 << 20 | 1]).unwrap();
    let mut configuration = Configuration::new();
    configuration.add_file(&path);
    let told = configuration.load().render(false);
    fs::remove_file(&path).unwrap();
    assert!(told.contains("is larger than 4194304 bytes"), "{told}");
}

#[test]
fn places_count_characters() {
    let mut configuration = Configuration::new();
    configuration.add_text(
        "a.toml",
        "[[proxy]]\nname = \"主节点\" # 主\nlisten = [\"主\", \"0.0.0.0\"]\n",
    );
    let loaded = configuration.load();
    let places: Vec<String> = loaded
        .diagnostics()
        .iter()
        .map(|one| {
            assert_eq!(one.severity, Severity::Error);
            let (span, _) = one.at.as_ref().unwrap();
            loaded.sources().place(*span).to_string()
        })
        .collect();
    assert_eq!(places, ["a.toml:3:11", "a.toml:3:16"]);
    assert!(loaded.render(false).contains("a.toml:3:16"));
}

fn compare(files: &[&Path], expected: &Path) -> Option<String> {
    let mut configuration = Configuration::new();
    for file in files {
        // The name without its folder: the same on every machine.
        let name = file.file_name().unwrap().to_str().unwrap();
        configuration.add_text(name, fs::read_to_string(file).unwrap());
    }
    configuration.set_node("lb1");
    let loaded = configuration.load();
    let told = loaded.render(false);
    assert_eq!(loaded.diagnostics().is_empty(), told.is_empty());
    let path = expected.with_extension(match expected.extension() {
        Some(end) => format!("{}.txt", end.to_str().unwrap()),
        None => "txt".to_owned(),
    });
    if std::env::var_os("UPDATE_FINDINGS").is_some() {
        fs::write(&path, &told).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    (told != wanted).then(|| format!("{}:\n{told}\ninstead of\n{wanted}", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}
