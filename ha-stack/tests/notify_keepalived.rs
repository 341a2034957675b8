//! keepalived and ours, given the same things to do, tell the same.

mod support;

use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ha_health::probe::{File, Script};
use ha_health::{CheckConfig, WatchConfig, Weight};
use ha_stack::{Instance, Notify, NotifyFifo, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::Folder;
use vrrp_core::{AddressList, AdverInterval, Config, Priority, Version, Vrid};
use vrrp_net::Attachment;
use vrrp_net::lab::{self, Lab, LabTest};

const AMPLE: Duration = Duration::from_secs(20);

#[test]
fn the_same_happenings_make_the_same_lines_and_the_same_arguments() {
    let test =
        LabTest::new().needs_root("keepalived sets the groups of its scripts, and runs none where it can't");
    test.run(|| {
        let program = keepalived();
        let folder = Folder::new("notify-keepalived");
        let theirs = Place::new(&folder, "theirs");
        let lab = lab();
        let mut daemon = Keepalived::start(&lab, &program, &theirs);
        happenings(&theirs, || daemon.terminate());

        let ours = Place::new(&folder, "ours");
        let config = |name: &str| WatchConfig::builder(name);
        // Until it has reported they wait in fault, which neither tells.
        let slow = CheckConfig::builder("slow").interval(Duration::from_secs(5));
        let slow = slow.build().unwrap();
        let stack = Stack::builder("a")
            .watch(config("gate").build().unwrap(), File::new(&ours.gate))
            .watch(
                config("adjust")
                    .weight(Weight::of_file(1).unwrap())
                    .build()
                    .unwrap(),
                File::new(&ours.adjust),
            )
            .check(slow, Script::from_words("/bin/sleep 0.3").unwrap())
            .instance(ours.instance().track("slow"))
            .notify_fifo(NotifyFifo::new(&ours.fifo));
        let stack = stack.build().unwrap();
        let mut handle = Some(lab.host("a").run(|| stack.spawn().unwrap()));
        happenings(&ours, || {
            let stopped = handle.take().unwrap().shutdown(Duration::ZERO);
            stopped.wait().unwrap();
        });

        assert_eq!(theirs.told(), ours.told());
        assert_eq!(ours.told().last().unwrap(), "INSTANCE \"VI_1\" STOP 150");
        assert_eq!(theirs.log(), ours.log());
    });
}

/// Everything that one of them is told, and tells.
struct Place {
    folder: PathBuf,
    /// A number other than 0 is a fault.
    gate: PathBuf,
    /// Is added to the priority.
    adjust: PathBuf,
    fifo: PathBuf,
    log: PathBuf,
    lines: std::sync::Mutex<Option<(fs::File, Vec<u8>)>>,
}

impl Place {
    fn new(folder: &Folder, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let place = Self {
            gate: folder.join("gate"),
            adjust: folder.join("adjust"),
            fifo: folder.join("fifo"),
            log: folder.join("log"),
            lines: std::sync::Mutex::new(None),
            folder,
        };
        fs::write(&place.gate, "0\n").unwrap();
        fs::write(&place.adjust, "0\n").unwrap();
        place
    }

    /// A line for the log, one at a time: keepalived starts all scripts at once.
    fn command(&self, name: &str) -> [String; 4] {
        let line = format!("echo {name} \"$@\" >> {}", self.log.display());
        ["/bin/sh".into(), "-c".into(), line, "sh".into()]
    }

    fn script(&self, name: &str) -> Script {
        let [program, args @ ..] = self.command(name);
        Script::new(program, args).unwrap()
    }

    fn instance(&self) -> Instance {
        let addresses = AddressList::new(&[IpAddr::from([192, 0, 2, 100])]).unwrap();
        let config = Config::builder(Vrid::new(33).unwrap(), addresses)
            .version(Version::V3)
            .adver_interval(AdverInterval::from_centis(10).unwrap())
            .priority(Priority::new(150));
        let attachment = Attachment::builder("eth0").build().unwrap();
        let notify = Notify::new().priority_changes(true).any_state(self.script("any"));
        Instance::new("VI_1", config.build().unwrap(), attachment)
            .track("gate")
            .track("adjust")
            .notify(notify)
    }

    /// Lines of the FIFO so far, which is opened at the first call.
    fn told(&self) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap();
        if lines.is_none() {
            // For writing as well, so that it does not end.
            let opened = fs::OpenOptions::new().read(true).write(true).open(&self.fifo);
            *lines = opened.ok().map(|file| (file, Vec::new()));
        }
        let Some((file, text)) = &mut *lines else {
            return Vec::new();
        };
        let mut buffer = [0; 4096];
        while readable(file) {
            let n = file.read(&mut buffer).unwrap();
            text.extend_from_slice(&buffer[..n]);
        }
        let text = String::from_utf8(text.clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the last of what was told is this, by both ways.
    fn wait_for(&self, state: &str, priority: u8) {
        let line = format!("INSTANCE \"VI_1\" {state} {priority}");
        poll(&line, || self.told().last() == Some(&line));
        let logged = format!("any INSTANCE VI_1 {state} {priority}");
        if !state.contains('_') {
            poll(&logged, || self.log().last() == Some(&logged));
        }
    }
}

fn happenings(place: &Place, stop: impl FnOnce()) {
    place.wait_for("MASTER", 150);
    fs::write(&place.adjust, "-20\n").unwrap();
    place.wait_for("MASTER_PRIORITY", 130);
    fs::write(&place.gate, "1\n").unwrap();
    place.wait_for("FAULT", 130);
    fs::write(&place.gate, "0\n").unwrap();
    place.wait_for("MASTER", 130);
    fs::write(&place.adjust, "0\n").unwrap();
    place.wait_for("MASTER_PRIORITY", 150);
    stop();
    place.wait_for("STOP", 150);
}

fn readable(file: &fs::File) -> bool {
    use std::os::fd::AsFd as _;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
}

struct Keepalived(Option<Child>);

impl Keepalived {
    fn start(lab: &Lab, program: &Path, place: &Place) -> Self {
        let [shell, option, line, name] = place.command("any");
        let config = format!(
            r#"global_defs {{
                script_user root
                vrrp_notify_fifo {fifo}
                vrrp_notify_priority_changes true
            }}
            track_file gate {{
                file "{gate}"
                weight 0
            }}
            track_file adjust {{
                file "{adjust}"
                weight 1
            }}
            vrrp_script slow {{
                script "/bin/sleep 0.3"
                interval 5
            }}
            vrrp_instance VI_1 {{
                version 3
                state BACKUP
                interface eth0
                virtual_router_id 33
                priority 150
                advert_int 0.1
                track_file {{
                    gate
                    adjust
                }}
                track_script {{
                    slow
                }}
                notify "{script}"
                virtual_ipaddress {{
                    192.0.2.100
                }}
            }}
            "#,
            fifo = place.fifo.display(),
            gate = place.gate.display(),
            adjust = place.adjust.display(),
            script = place.folder.join("notify.sh").display(),
        );
        // Its configuration has quotes enough.
        let script = format!("#!{shell}\nexec {shell} {option} '{line}' {name} \"$@\"\n");
        write_executable(&place.folder.join("notify.sh"), &script);
        let path = place.folder.join("keepalived.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command
            .args(["--vrrp", "--dont-fork", "--log-console", "--use-file"])
            .arg(&path);
        for (option, file) in [("--pid", "pid"), ("--vrrp_pid", "vrrp.pid")] {
            command.arg(option).arg(place.folder.join(file));
        }
        let log = fs::File::create(place.folder.join("keepalived.log")).unwrap();
        command
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(log)
            .stdin(Stdio::null());
        Self(Some(lab.host("a").spawn(command).unwrap()))
    }

    fn terminate(&mut self) {
        if let Some(mut child) = self.0.take() {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// Written by a process of its own: one that is open for writing in a process that forks can't be executed.
fn write_executable(path: &Path, text: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"printf %s "$2" > "$1" && chmod 755 "$1""#, "sh"]);
    assert!(command.arg(path).arg(text).status().unwrap().success());
}

/// Where keepalived is; it is often not on the path of an ordinary user.
fn keepalived() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(elsewhere)
        .map(|folder| folder.join("keepalived"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| lab::skip("keepalived is not installed"))
}

fn lab() -> Lab {
    Lab::builder().host("a", ["192.0.2.1/24"]).build().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + AMPLE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {AMPLE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
