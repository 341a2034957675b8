//! The command line, as an operator meets it.

mod support;

use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use support::Folder;

#[test]
fn check_exits_with_0_for_warnings_and_1_for_errors() {
    let fine = ha_stack(&["check", &data("smallest.toml")]);
    assert_eq!(
        (fine.status.code(), text(&fine.stdout)),
        (Some(0), "no errors, no warnings\n".to_owned())
    );
    let warnings = ha_stack(&["check", &data("findings/meaning.conf")]);
    assert_eq!(warnings.status.code(), Some(0));
    assert!(
        text(&warnings.stdout).ends_with("no errors, 8 warnings\n"),
        "{warnings:?}"
    );
    let errors = ha_stack(&[
        "check",
        &data("findings/names.toml"),
        &data("tutorial-backup.conf"),
    ]);
    assert_eq!(errors.status.code(), Some(1));
    assert!(text(&errors.stdout).contains("names.toml:6:10\n"), "{errors:?}");
}

#[test]
fn check_tells_all_that_the_tutorial_has_and_nobody_means() {
    let output = ha_stack(&["check", &data("tutorial-master.conf")]);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout);
    for expected in [
        "no vrrp_instance tracks the vrrp_script `chk_nginx`: it is never run\n",
        "tutorial-master.conf:7:13\n",
        "`nopreempt` does nothing with `state MASTER`",
        "tutorial-master.conf:20:2\n",
        "U+2013 `–` begins an option, and is not the hyphen `-`\n",
        "nginx_check.sh:2:16\n",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in:\n{told}");
    }
}

#[test]
fn a_command_line_that_cannot_be_understood_exits_with_2() {
    for args in [
        &[][..],
        &["run"],
        &["check"],
        &["status", "--no-such-option"],
        &["nonsense"],
    ] {
        assert_eq!(ha_stack(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(ha_stack(&["--help"]).status.code(), Some(0));
}

#[test]
fn run_refuses_a_configuration_with_errors_and_starts_nothing() {
    let folder = Folder::new("errors");
    let socket = folder.join("s");
    let output = ha_stack(&[
        "run",
        &data("findings/names.toml"),
        "--socket",
        socket.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.ends_with("ha-stack: 5 errors in the configuration: nothing is started\n"),
        "{told}"
    );
    assert!(!socket.exists());
}

#[test]
fn a_proxy_alone_needs_no_privilege_and_answers_status() {
    let daemon = Daemon::start("alone", PROXY);
    let mode = std::fs::metadata(&daemon.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = ha_stack(&["status", "--json", "--socket", daemon.socket.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let expected = "{\"node\":\"lb1\",\"vrrp\":[],\"checks\":[],\"upstreams\":[{\"name\":\"app\",\"backends\":\
                    [{\"name\":\"127.0.0.1:9\",\"address\":\"127.0.0.1:9\",\"weight\":1,\"state\":\"up\",\"active\":0,\"requests\":0,\
                    \"failures\":0,\"check\":null}]}],\"vrrp_thread\":null}\n";
    assert_eq!(text(&output.stdout), expected);
    let table = ha_stack(&["status", "--socket", daemon.socket.to_str().unwrap()]);
    assert!(text(&table.stdout).contains("127.0.0.1:9"), "{table:?}");
    let hangup = daemon.signal(Signal::SIGHUP);
    assert!(
        hangup.contains("SIGHUP: files are not read again while running"),
        "{hangup}"
    );
    let (code, log) = daemon.stop(Signal::SIGINT);
    assert_eq!(code, Some(0));
    assert!(log.contains("SIGINT: stopping"), "{log}");
}

#[test]
fn status_shows_the_check_of_each_backend() {
    let check = "[upstream.check]\ntcp = true\ninterval = \"50ms\"\n";
    let daemon = Daemon::start("checked", &format!("{PROXY}{check}"));
    let socket = daemon.socket.to_str().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let table = text(&ha_stack(&["status", "--socket", socket]).stdout);
        if table.contains("  check down for ") && table.contains(": connection refused\n") {
            assert!(table.contains("unhealthy"), "{table}");
            break;
        }
        assert!(Instant::now() < deadline, "{table}");
    }
    let (_, log) = daemon.stop(Signal::SIGTERM);
    assert!(
        log.contains("WARN upstream app: backend 127.0.0.1:9: check down: connection refused"),
        "{log}"
    );
}

#[test]
fn a_daemon_outlives_whoever_reads_its_log() {
    let mut daemon = Daemon::start_telling("unread", PROXY, Stdio::piped());
    drop(daemon.child.stderr.take());
    kill(daemon.pid(), Signal::SIGHUP).unwrap();
    let (code, _) = daemon.stop(Signal::SIGTERM);
    assert_eq!(code, Some(0));
}

#[test]
fn a_script_under_way_ends_with_the_daemon() {
    let folder = Folder::new("under-way");
    let fifo = folder.join("alive");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let mut alive = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&fifo)
        .unwrap();
    let script = format!(
        "trap '' TERM; exec 3>{}; echo >&3; sleep 300; true",
        fifo.display()
    );
    let check =
        format!("[[check]]\nname = \"hangs\"\nshell = true\nscript = \"{script}\"\ninterval = \"1m\"\n");
    let daemon = Daemon::start("hangs", &format!("{PROXY}{check}"));
    poll(|| alive.read(&mut [0]).ok().filter(|len| *len == 1)).expect("the script runs");
    let (code, _) = daemon.stop(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    // The end of the file shows that nobody has it open any more.
    poll(|| alive.read(&mut [0]).ok().filter(|len| *len == 0)).expect("the script has ended");
}

#[test]
fn a_check_of_a_backend_takes_it_out() {
    let text = format!(
        "{PROXY}{}",
        "\n[[check]]\nname = \"app\"\ntcp = \"127.0.0.1:9\"\ninterval = \"100ms\"\n"
    )
    .replace(
        "backends = [\"127.0.0.1:9\"]",
        "[[upstream.backend]]\naddress = \"127.0.0.1:9\"\ncheck = \"app\"",
    );
    let daemon = Daemon::start("backend", &text);
    daemon.wait_for("\"state\":\"unhealthy\"");
    daemon.wait_for("\"name\":\"app\",\"up\":false,\"last\":\"connection refused\"");
    let (code, log) = daemon.stop(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert!(
        log.contains("upstream app: backend 127.0.0.1:9: up -> unhealthy"),
        "{log}"
    );
}

#[test]
fn a_socket_that_is_in_use_is_not_taken() {
    let daemon = Daemon::start("in-use", PROXY);
    let second = daemon.folder.join("second.toml");
    std::fs::write(&second, PROXY).unwrap();
    let output = ha_stack(&[
        "run",
        second.to_str().unwrap(),
        "--socket",
        daemon.socket.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("ha-stack: another process listens on "),
        "{told}"
    );
    daemon.wait_for("\"node\":\"lb1\"");
    assert_eq!(daemon.stop(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_socket_that_a_dead_process_left_is_replaced() {
    let folder = Folder::new("stale");
    drop(UnixListener::bind(folder.join("s")).unwrap());
    assert!(folder.join("s").exists());
    let daemon = Daemon::start("stale", PROXY);
    daemon.wait_for("\"node\":\"lb1\"");
    assert_eq!(daemon.stop(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_file_that_is_no_socket_stays() {
    let folder = Folder::new("file");
    let file = folder.join("s");
    std::fs::write(&file, "precious").unwrap();
    let config = folder.join("c.toml");
    std::fs::write(&config, PROXY).unwrap();
    let output = ha_stack(&[
        "run",
        config.to_str().unwrap(),
        "--socket",
        file.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("is not a socket: remove it, or choose another path with --socket")
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn status_without_a_daemon_is_one_line() {
    let output = ha_stack(&["status", "--socket", "/no/such/socket"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "ha-stack: cannot reach ha-stack on /no/such/socket: No such file or directory (os error 2); does it \
                    run, and with the same --socket?\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn other_paths_and_methods_of_the_socket_are_refused() {
    let daemon = Daemon::start("http", PROXY);
    let ask = |request: &str| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    };
    assert_eq!(ask("GET /v1/status"), "HTTP/1.1 200 OK");
    assert_eq!(ask("GET /"), "HTTP/1.1 404 Not Found");
    assert_eq!(ask("POST /v1/status"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(
        ask("GET /v1/vrrp/VI_1/switchover"),
        "HTTP/1.1 405 Method Not Allowed"
    );
    assert_eq!(ask("POST /v1/vrrp/VI_1/switchover"), "HTTP/1.1 404 Not Found");
    assert_eq!(ask("POST /v1/vrrp/VI_1/stop"), "HTTP/1.1 404 Not Found");
    let socket = daemon.socket.to_str().unwrap();
    for command in ["switchover", "resume"] {
        let output = ha_stack(&[command, "VI 1", "--socket", socket]);
        assert_eq!(output.status.code(), Some(1));
        let expected = "ha-stack: there is no virtual router or sync group VI 1\n";
        assert_eq!(text(&output.stderr), expected);
    }
    assert_eq!(daemon.stop(Signal::SIGTERM).0, Some(0));
}

#[test]
fn an_ordinary_user_is_told_which_privilege_is_missing() {
    let folder = Folder::new("privilege");
    std::fs::set_permissions(folder.join("."), std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = folder.join("c.toml");
    // Loopback is there on every host; an ordinary user may not send VRRP on it.
    let text_of = "[[vrrp]]\nname = \"VI_1\"\ninterface = \"lo\"\nvrid = 33\naddresses = [\"192.0.2.100\"]\n";
    std::fs::write(&config, text_of).unwrap();
    let socket = folder.join("s");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
    command.arg("run").arg(&config).arg("--socket").arg(&socket);
    if nix::unistd::geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        // The binary and the folder may be out of reach for another user; its capabilities can be taken instead.
        command.uid(65_534).gid(65_534);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: the binary can't be run as another user: {error}");
            return;
        }
    };
    let told = text(&output.stderr);
    if told.contains("cannot read") {
        println!("skipped: the folder can't be read as another user");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{told}");
    let last = told.lines().last().unwrap();
    assert!(
        last.starts_with("ha-stack: ") && last.contains("CAP_NET_RAW"),
        "{told}"
    );
    assert!(!socket.exists());
}

const PROXY: &str = "[node]\nname = \"lb1\"\n[[proxy]]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\
                     [[upstream]]\nname = \"app\"\nbackends = [\"127.0.0.1:9\"]\n";

fn ha_stack(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ha-stack"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

/// A daemon that runs. Dropping it kills it.
struct Daemon {
    child: Child,
    folder: Folder,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    fn start(name: &str, config: &str) -> Self {
        let folder = Folder::new(name);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        Self::start_in(folder, config, log.into())
    }

    /// Same, with its log elsewhere.
    fn start_telling(name: &str, config: &str, log: Stdio) -> Self {
        Self::start_in(Folder::new(name), config, log)
    }

    fn start_in(folder: Folder, config: &str, stderr: Stdio) -> Self {
        let (file, socket, log) = (folder.join("c.toml"), folder.join("s"), folder.join("log"));
        std::fs::write(&file, config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ha-stack"))
            .arg("run")
            .arg(&file)
            .arg("--socket")
            .arg(&socket)
            .stderr(stderr)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self {
            child,
            folder,
            socket,
            log,
        };
        daemon.wait_for("\"node\":\"lb1\"");
        daemon
    }

    fn wait_for(&self, wanted: &str) {
        let mut last = None;
        poll(|| {
            let output = ha_stack(&["status", "--json", "--socket", self.socket.to_str().unwrap()]);
            let found = text(&output.stdout).contains(wanted);
            last = Some(output);
            found.then_some(())
        })
        .unwrap_or_else(|| panic!("no {wanted} in {last:?}: {}", self.log()));
    }

    /// Sends a signal that doesn't end it, and gives the log once it has grown.
    fn signal(&self, signal: Signal) -> String {
        let before = self.log().len();
        kill(self.pid(), signal).unwrap();
        poll(|| Some(self.log()).filter(|log| log.len() > before)).unwrap()
    }

    fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(self.pid(), signal).unwrap();
        let status = poll(|| self.child.try_wait().unwrap()).expect("it ends");
        assert!(!self.socket.exists());
        let log = self.log();
        (status.code(), log)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries again for up to ten seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn poll<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let done = attempt();
        if done.is_some() || Instant::now() > deadline {
            return done;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
