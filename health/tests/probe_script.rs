//! Scripts as they are run: what counts as what, and what is left afterwards.
#![cfg(feature = "probe")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ha_health::probe::{Probe, Script, User};
use ha_health::{CannotExecute, Failure, Outcome};
use support::{TempDir, eventually, is_alive, pids};
use tokio::time::Instant;

/// Long enough for a loaded machine.
const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn exit_status_zero_is_success() {
    assert_eq!(run(&Script::shell("exit 0")).await, Outcome::success());
}

#[tokio::test]
async fn any_other_exit_status_is_failure() {
    for code in [1, 2, 125, 128, 255] {
        let outcome = run(&Script::shell(format!("exit {code}"))).await;
        assert_eq!(outcome, Failure::Exit { code }.into());
    }
}

#[tokio::test]
async fn death_by_a_signal_is_failure() {
    for (name, signal) in [("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        let outcome = run(&Script::shell(format!("kill -{name} $$"))).await;
        assert_eq!(outcome, Failure::Signal { signal }.into());
    }
}

#[tokio::test]
async fn what_a_shell_cannot_execute_is_failure() {
    for code in [126, 127] {
        let outcome = run(&Script::shell(format!("exit {code}"))).await;
        assert_eq!(
            outcome.failure(),
            Some(Failure::CannotExecute(CannotExecute::Shell { code }))
        );
    }
    let outcome = run(&Script::shell("/nonexistent/killall -0 nginx")).await;
    assert_eq!(
        outcome.failure(),
        Some(Failure::CannotExecute(CannotExecute::Shell { code: 127 }))
    );
    assert!(
        outcome.message().unwrap().contains("/nonexistent/killall"),
        "{outcome}"
    );
}

#[tokio::test]
async fn what_cannot_be_executed_is_failure_with_its_reason() {
    let dir = TempDir::new("noexec");
    let file = |name: &str, mode: u32, text: &str| {
        let path = dir.path(name);
        // Written by a process of its own: a program that some process has open for writing can't be executed,
        // and other tests fork at any time.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"printf %s "$2" > "$1" && chmod "$3" "$1""#, "sh"]);
        assert!(
            command
                .arg(&path)
                .args([text, &format!("{mode:o}")])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        path
    };
    let cases = [
        (dir.path("missing"), CannotExecute::NotFound),
        (
            file("plain", 0o644, "#!/bin/sh\nexit 0\n"),
            CannotExecute::PermissionDenied,
        ),
        (
            file("interpreter", 0o755, "#!/nonexistent/sh\n"),
            CannotExecute::NotFound,
        ),
        (file("no-shebang", 0o755, "exit 0\n"), CannotExecute::Format),
        (dir.path("plain").join("below"), CannotExecute::NotFound),
        (dir.path("."), CannotExecute::PermissionDenied),
    ];
    for (path, reason) in cases {
        let outcome = run(&Script::new(&path, [""; 0]).unwrap()).await;
        assert_eq!(
            outcome,
            Failure::CannotExecute(reason).into(),
            "{}",
            path.display()
        );
    }
    // A PATH of its own: a folder in it that is closed to us would make this a lack of permission.
    let script = Script::from_words("no-such-program -0").unwrap();
    let by_name = run(&script.env("PATH", dir.path("."))).await;
    assert_eq!(by_name, Failure::CannotExecute(CannotExecute::NotFound).into());
}

#[tokio::test]
async fn words_reach_the_program_as_they_are() {
    let script = Script::from_words(r#"printf '%s|' "a b" '$HOME' *"#).unwrap();
    assert_eq!(run(&script).await.message(), Some("a b|$HOME|*|"));
}

#[tokio::test]
async fn last_line_of_either_stream_is_the_message() {
    let script = Script::shell("echo one; echo two >&2; echo three; echo four >&2; echo; exit 3");
    let outcome = run(&script).await;
    assert_eq!(outcome.to_string(), "exit status 3: four");
}

#[tokio::test]
async fn output_of_any_size_neither_blocks_nor_grows() {
    let script = Script::shell("head -c 5000000 /dev/zero; echo; echo done");
    assert_eq!(run(&script).await, Outcome::success().with_message("done"));
}

#[tokio::test]
async fn stdin_is_empty() {
    assert_eq!(
        run(&Script::shell("cat; echo end")).await,
        Outcome::success().with_message("end")
    );
}

#[tokio::test]
async fn environment_can_be_set() {
    let script = Script::shell("echo $CHECKED").env("CHECKED", "proxy");
    assert_eq!(run(&script).await.message(), Some("proxy"));
}

#[tokio::test]
async fn script_leads_a_process_group_of_its_own() {
    // Field 5 of stat is the process group.
    let outcome = run(&Script::shell("cut -d ' ' -f 5 /proc/$$/stat; echo $$")).await;
    let own = outcome.message().unwrap().to_owned();
    let outcome = run(&Script::shell(
        "set -- $(cat /proc/$$/stat); test $5 = $$ && echo leads",
    ))
    .await;
    assert_eq!(outcome.message(), Some("leads"));
    assert_ne!(own, std::process::id().to_string());
}

#[tokio::test]
async fn user_is_changed_or_else_it_fails() {
    let outcome = run(&Script::shell("id -u; id -g").user(User::new(1, 1))).await;
    let uid_map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let all_mapped = uid_map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    match (root, all_mapped) {
        (true, true) => assert_eq!(outcome, Outcome::success().with_message("1")),
        (true, false) => assert!(!outcome.is_success()),
        (false, _) => {
            assert_eq!(
                outcome,
                Failure::CannotExecute(CannotExecute::PermissionDenied).into()
            );
        }
    }
}

#[tokio::test]
async fn what_a_script_leaves_in_the_background_is_neither_awaited_nor_killed() {
    let dir = TempDir::new("background");
    let file = dir.path("pids");
    // It keeps the output open.
    let script = Script::shell(format!("sleep 30 & echo $! > {}; echo started", file.display()));
    let start = Instant::now();
    let outcome = run(&script).await;
    assert_eq!(outcome, Outcome::success().with_message("started"));
    assert!(start.elapsed() < Duration::from_secs(10));
    let pid = pids(&file, 1).await[0];
    // A signal would have arrived by then.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_alive(pid));
    kill(pid);
}

#[tokio::test]
async fn hung_script_is_gone_with_its_children_soon_after_the_timeout() {
    let dir = TempDir::new("hung");
    let file = dir.path("pids");
    let script = Script::shell(tree(&file, ""));
    let start = Instant::now();
    let outcome = run_for(&script, SHORT).await;
    let took = start.elapsed();
    assert_eq!(
        outcome,
        Outcome::from(Failure::TimedOut { after: SHORT }).with_message("hanging")
    );
    assert!(
        took >= SHORT && took < SHORT + Script::TERM_GRACE,
        "SIGTERM was enough, after {took:?}"
    );
    assert!(!exists(leader(&file)), "no zombie is left");
    assert_all_gone(&file).await;
}

#[tokio::test]
async fn script_that_ignores_sigterm_is_gone_with_its_children_after_two_seconds() {
    let dir = TempDir::new("stubborn");
    let file = dir.path("pids");
    let script = Script::shell(tree(&file, "trap '' TERM;"));
    let start = Instant::now();
    let outcome = run_for(&script, SHORT).await;
    let took = start.elapsed();
    assert_eq!(outcome.failure(), Some(Failure::TimedOut { after: SHORT }));
    assert!(
        took >= SHORT + Script::TERM_GRACE && took < AMPLE,
        "took {took:?}"
    );
    assert_all_gone(&file).await;
}

#[tokio::test]
async fn children_that_ignore_sigterm_go_as_soon_as_the_script_does() {
    let dir = TempDir::new("stubborn-child");
    let file = dir.path("pids");
    let child = format!(
        "(trap '' TERM; sh -c 'echo $$ >> {0}; exec sleep 30') &",
        file.display()
    );
    let script = Script::shell(format!("{child} echo $$ >> {}; exec sleep 30", file.display()));
    let start = Instant::now();
    run_for(&script, SHORT).await;
    assert!(start.elapsed() < SHORT + Script::TERM_GRACE);
    assert_eq!(pids(&file, 2).await.len(), 2);
    assert_all_gone(&file).await;
}

#[tokio::test]
async fn stopped_script_takes_its_sigterm() {
    let start = Instant::now();
    let outcome = run_for(&Script::shell("kill -STOP $$"), SHORT).await;
    assert_eq!(outcome.failure(), Some(Failure::TimedOut { after: SHORT }));
    assert!(start.elapsed() < SHORT + Script::TERM_GRACE);
}

#[tokio::test]
async fn script_that_floods_its_output_still_times_out() {
    let start = Instant::now();
    let outcome = run_for(&Script::shell("exec yes"), SHORT).await;
    assert_eq!(outcome.failure(), Some(Failure::TimedOut { after: SHORT }));
    assert!(start.elapsed() < AMPLE);
}

#[tokio::test]
async fn dropping_a_run_kills_the_script_with_its_children() {
    let dir = TempDir::new("dropped");
    let file = dir.path("pids");
    let script = Script::shell(tree(&file, "trap '' TERM;"));
    let mut run = script.probe(AMPLE);
    tokio::select! {
        outcome = &mut run => panic!("ended: {outcome}"),
        started = pids(&file, 3) => assert!(started.into_iter().all(is_alive)),
    }
    drop(run);
    assert_all_gone(&file).await;
    eventually("the script is reaped", || !exists(leader(&file))).await;
}

#[tokio::test]
async fn dropping_a_run_that_is_being_ended_kills_it_at_once() {
    let dir = TempDir::new("dropped-late");
    let file = dir.path("pids");
    let script = Script::shell(tree(&file, "trap '' TERM;"));
    // The timeout has passed, and SIGTERM is ignored.
    let dropped = tokio::time::timeout(2 * SHORT, script.probe(SHORT)).await;
    assert!(dropped.is_err());
    assert_all_gone(&file).await;
}

#[tokio::test]
async fn aborting_the_task_of_a_run_kills_the_script() {
    let dir = TempDir::new("aborted");
    let file = dir.path("pids");
    let script = Script::shell(tree(&file, ""));
    let task = tokio::spawn(async move { script.probe(AMPLE).await });
    pids(&file, 3).await;
    task.abort();
    assert_all_gone(&file).await;
}

async fn run(script: &Script) -> Outcome {
    run_for(script, AMPLE).await
}

/// Runs it, and fails if the run does not end by itself.
async fn run_for(script: &Script, timeout: Duration) -> Outcome {
    tokio::time::timeout(2 * AMPLE, script.probe(timeout))
        .await
        .expect("the run ends by itself")
}

/// A shell that starts a child with a child of its own, all of which write their number and hang.
fn tree(file: &Path, first: &str) -> String {
    let file = file.display();
    format!(
        "{first} echo hanging; echo $$ >> {file}; \
         (sh -c 'echo $$ >> {file}; sleep 30 & echo $! >> {file}; wait; sleep 30') & wait; sleep 30"
    )
}

async fn assert_all_gone(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let pids: Vec<i32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(!pids.is_empty());
    eventually("all processes of the script are gone", || {
        !pids.iter().copied().any(is_alive)
    })
    .await;
}

/// The script itself, which writes first.
fn leader(file: &Path) -> i32 {
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Also true of a zombie.
fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn kill(pid: i32) {
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("kill -9 {pid}")])
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn root_does_not_run_what_others_can_change() {
    let dir = TempDir::new("secure");
    let path = dir.path("script");
    let mut copy = Command::new("/bin/cp");
    assert!(copy.arg("/bin/true").arg(&path).status().unwrap().success());
    let script = Script::new(&path, [] as [&str; 0]).unwrap();
    assert!(run(&script).await.is_success());
    let outcome = run(&script.clone().secure(true)).await;
    if !nix::unistd::Uid::effective().is_root() {
        assert!(outcome.is_success(), "we are not root: {outcome}");
        return;
    }
    // The temporary folder belongs to everybody.
    let exposed = Some(Failure::CannotExecute(CannotExecute::Exposed));
    assert_eq!(outcome.failure(), exposed);
    let message = outcome.message().unwrap();
    assert!(message.ends_with("can be changed by everybody"), "{message}");
    let line = format!("{} -x", path.display());
    assert_eq!(run(&Script::shell(line).secure(true)).await.failure(), exposed);
    // What is the system's may run, and others may run what they like.
    assert!(
        run(&Script::from_words("true").unwrap().secure(true))
            .await
            .is_success()
    );
    assert!(run(&script.user(User::new(1, 1)).secure(true)).await.is_success());
}

#[tokio::test]
async fn a_link_or_a_folder_on_the_way_counts_too() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let dir = TempDir::new("secure-link");
    let link = dir.path("link");
    std::os::unix::fs::symlink("/bin/true", &link).unwrap();
    let outcome = run(&Script::new(&link, [] as [&str; 0]).unwrap().secure(true)).await;
    assert_eq!(
        outcome.failure(),
        Some(Failure::CannotExecute(CannotExecute::Exposed))
    );
}
