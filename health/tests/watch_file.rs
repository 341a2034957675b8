//! Real files: written, replaced, removed, and full of words.
#![cfg(feature = "probe")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use ha_health::probe::File;
use ha_health::{Failure, Outcome};
use support::{TempDir, Told};
use tokio::time::Instant;

#[tokio::test]
async fn each_number_that_is_written_is_told_at_once() {
    let dir = TempDir::new("file-written");
    let path = dir.path("value");
    fs::write(&path, "0\n").unwrap();
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(0));
    let began = Instant::now();
    for value in 1..=10 {
        fs::write(&path, format!("{value}\n")).unwrap();
        told.until(|outcome| outcome.value() == Some(value)).await;
    }
    // Looking each second alone would take ten.
    assert!(began.elapsed() < 5 * File::LOOK_AGAIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_anew() {
    let dir = TempDir::new("file-replaced");
    let path = dir.path("value");
    fs::write(&path, "1").unwrap();
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(1));
    let began = Instant::now();
    for value in 2..=10 {
        let new = dir.path("new");
        fs::write(&new, value.to_string()).unwrap();
        fs::rename(&new, &path).unwrap();
        told.until(|outcome| outcome.value() == Some(value)).await;
    }
    assert!(began.elapsed() < 5 * File::LOOK_AGAIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_file_that_is_missing_removed_or_empty_is_zero() {
    let dir = TempDir::new("file-missing");
    let path = dir.path("value");
    let mut told = Told::by(File::new(&path));
    let missing = told.next().await;
    assert!(missing.is_success());
    assert_eq!(
        (missing.value(), missing.message()),
        (Some(0), Some("there is no file"))
    );
    fs::write(&path, "7").unwrap();
    told.until(|outcome| outcome.value() == Some(7)).await;
    fs::remove_file(&path).unwrap();
    told.until(|outcome| outcome.value() == Some(0)).await;
    fs::write(&path, "8").unwrap();
    told.until(|outcome| outcome.value() == Some(8)).await;
    fs::write(&path, "").unwrap();
    let empty = told.until(|outcome| outcome.value() == Some(0)).await;
    assert_eq!(empty.message(), Some("the file is empty"));
}

#[tokio::test]
async fn a_folder_may_come_and_go() {
    let dir = TempDir::new("file-folder");
    let folder = dir.path("folder");
    let path = folder.join("value");
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(0));
    for value in [5, 6] {
        fs::create_dir(&folder).unwrap();
        fs::write(&path, value.to_string()).unwrap();
        told.until(|outcome| outcome.value() == Some(value)).await;
        fs::remove_dir_all(&folder).unwrap();
        told.until(|outcome| outcome.value() == Some(0)).await;
    }
}

#[tokio::test]
async fn what_a_link_leads_to_is_watched_too() {
    let dir = TempDir::new("file-link");
    let elsewhere = dir.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("value");
    fs::write(&target, "1").unwrap();
    let path = dir.path("value");
    symlink(&target, &path).unwrap();
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(1));
    let began = Instant::now();
    for value in 2..=10 {
        fs::write(&target, value.to_string()).unwrap();
        told.until(|outcome| outcome.value() == Some(value)).await;
    }
    assert!(began.elapsed() < 5 * File::LOOK_AGAIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn words_are_a_failure_and_the_last_number_stands() {
    let dir = TempDir::new("file-words");
    let path = dir.path("value");
    fs::write(&path, "-20").unwrap();
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(-20));
    for words in ["maintenance", "2147483648", "12abc"] {
        fs::write(&path, words).unwrap();
        let outcome = told.until(|outcome| !outcome.is_success()).await;
        assert_eq!(outcome.failure(), Some(Failure::NotANumber), "{words}");
        assert_eq!(outcome.value(), Some(-20), "{words}");
        fs::write(&path, "-20").unwrap();
        told.until(Outcome::is_success).await;
    }
}

#[tokio::test]
async fn words_without_a_number_before_are_down() {
    let dir = TempDir::new("file-first-words");
    let path = dir.path("value");
    fs::write(&path, "none").unwrap();
    let outcome = Told::by(File::new(&path)).next().await;
    assert_eq!(
        (outcome.failure(), outcome.value()),
        (Some(Failure::NotANumber), None)
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failure() {
    let dir = TempDir::new("file-unreadable");
    let path = dir.path("folder");
    fs::create_dir(&path).unwrap();
    let outcome = Told::by(File::new(&path)).next().await;
    assert!(
        matches!(outcome.failure(), Some(Failure::Unreadable { .. })),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_file_is_made_with_its_first_value_or_left_as_it_is() {
    let dir = TempDir::new("file-init");
    let path = dir.path("value");
    assert_eq!(Told::by(File::new(&path).init(3)).next().await.value(), Some(3));
    assert_eq!(read(&path), "3\n");
    assert_eq!(Told::by(File::new(&path).init(4)).next().await.value(), Some(3));
    assert_eq!(
        Told::by(File::new(&path).overwrite(5)).next().await.value(),
        Some(5)
    );
    assert_eq!(read(&path), "5\n");
}

#[tokio::test]
async fn a_first_value_that_cannot_be_written_is_told() {
    let dir = TempDir::new("file-no-init");
    let path = dir.path("missing/value");
    let outcome = Told::by(File::new(&path).init(3)).next().await;
    assert_eq!(outcome.value(), Some(0));
    let message = outcome.message().unwrap();
    assert!(
        message.starts_with("the first value can't be written"),
        "{message}"
    );
}

/// Between its truncation and what is written then, a file is empty for a moment, and would be 0.
#[tokio::test]
async fn a_file_that_is_being_written_is_not_taken_for_empty() {
    let dir = TempDir::new("file-work");
    let path = dir.path("value");
    fs::write(&path, "5").unwrap();
    let mut told = Told::by(File::new(&path));
    assert_eq!(told.next().await.value(), Some(5));
    let until = Instant::now() + Duration::from_secs(1);
    let writing = tokio::task::spawn_blocking(move || {
        let mut halted = 0;
        while Instant::now() < until {
            let began = Instant::now();
            fs::write(&path, "5").unwrap();
            halted += usize::from(began.elapsed() >= Duration::from_millis(100));
        }
        halted
    });
    // A busy machine may halt the writer between the two steps: then the file has really been empty for so long.
    let halted = writing.await.unwrap();
    let values: Vec<_> = told.so_far().iter().map(Outcome::value).collect();
    assert!(
        values.iter().all(|value| matches!(value, Some(0 | 5))),
        "{values:?}"
    );
    // Once for each halt, and none on a machine that has nothing else to do.
    let zeros = values
        .chunk_by(PartialEq::eq)
        .filter(|run| run[0] == Some(0))
        .count();
    assert!(
        zeros <= halted,
        "{zeros} times 0 with {halted} halts of the writer"
    );
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
