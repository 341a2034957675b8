//! Keys of HMAC are rotated by rewriting the files and SIGHUP, on two daemons, and nobody is ever unheard.

mod support;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ha_stack::admin::{Report, fetch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::Folder;
use vrrp_net::lab::{Capture, Frame, Lab, LabTest};

/// The secrets of key 1 and key 2, as the files have them.
const SECRETS: [&str; 2] = [
    "rotated-out-0123456789-abcdefghij",
    "hex:c0ffee0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d",
];
/// What would be seen of them if they were shown in any way: text, hexadecimal, octets in decimal and hexadecimal.
const TRACES: [&str; 8] = [
    "rotated-out",
    "726f7461746564",
    "114, 111, 116, 97",
    "72, 6f, 74, 61",
    "c0ffee",
    "C0FFEE",
    "192, 255, 238",
    "c0, ff, ee",
];

#[test]
fn keys_are_rotated_by_sighup_and_no_advert_is_lost() {
    LabTest::new().timeout(Duration::from_secs(120)).run(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.1/24"])
            .host("b", ["192.0.2.2/24"])
            .build()
            .unwrap();
        let mut capture = lab.capture().unwrap();
        let mut a = Daemon::start(&lab, "a", 200, &hmac(&[1], 1));
        a.wait_for(|report| report.vrrp[0].state == "master");
        let mut b = Daemon::start(&lab, "b", 100, &hmac(&[1], 1));
        b.wait_for(|report| report.vrrp[0].master == report_source());
        adverts(&mut capture, 1);
        let before = [a.report().vrrp.remove(0), b.report().vrrp.remove(0)];

        // Both accept the new key; then both sign with it, the backup first or last; then both forget the old one.
        for (keys, active, order) in [(&[1, 2][..], 1, ["a", "b"]), (&[1, 2], 2, ["b", "a"]), (&[2], 2, ["a", "b"])] {
            for host in order {
                let daemon = if host == "a" { &mut a } else { &mut b };
                daemon.rotate(&hmac(keys, active));
                let active = if host == "a" || order == ["a", "b"] { active } else { 1 };
                adverts(&mut capture, active);
            }
        }
        assert_eq!([a.report().vrrp.remove(0), b.report().vrrp.remove(0)], before);
        assert_eq!(before[1].discards, [].into());

        // A file that is broken leaves the keys, and its place is told.
        for (broken, expected) in [
            (
                "[vrrp.hmac]\nkeys = [{ id = 2, secret = \"SECRET2\" }, { id = 1, secret = \"rotated-out-short\" }]\n",
                &["17 octets", "c.toml:10:"][..],
            ),
            (
                "[vrrp.hmac]\nactive_key = 3\nkeys = [{ id = 2, secret = \"SECRET2\" }, { id = 1, secret = \"SECRET1\" }]\n",
                &["3", "c.toml:10:14"],
            ),
            (
                "[vrrp.hmac]\nkeys = [{ id = 2, secret_file = \"/no/such/file\" }]\n",
                &["/no/such/file", "c.toml:10:9"],
            ),
            (
                "[vrrp.hmac]\nkeys = [{ id = 2, secret = \"SECRET2\"\n",
                &["c.toml:1"],
            ),
        ] {
            let broken = broken.replace("SECRET1", SECRETS[0]).replace("SECRET2", SECRETS[1]);
            let told = a.hang_up(&broken);
            assert!(told.contains("SIGHUP: nothing is changed, since the files have errors"), "{told}");
            assert!(expected.iter().all(|one| told.contains(one)), "{expected:?} in {told}");
            adverts(&mut capture, 2);
        }

        // The other direction: the backup signs with the new key alone too, and it is heard.
        a.rotate(&hmac(&[2], 2));
        a.shows_no_key();
        a.stop();
        b.wait_for(|report| report.vrrp[0].state == "master");
        adverts(&mut capture, 2);
        let mut a = Daemon::start(&lab, "a", 50, &hmac(&[2], 2));
        a.wait_for(|report| report.vrrp[0].state == "backup" && report.vrrp[0].master.is_some());
        assert_eq!(a.report().vrrp[0].discards, [].into());

        // What it would have been with the wrong order: the master signs with what the backup does not know yet.
        a.rotate(&hmac(&[1], 1));
        a.wait_for(|report| report.vrrp[0].discards.get("unknown_key").is_some_and(|count| *count > 0));
        for daemon in [a, b] {
            daemon.shows_no_key();
            daemon.stop();
        }
    });
}

fn report_source() -> Option<std::net::IpAddr> {
    Some([192, 0, 2, 1].into())
}

/// The section of these keys.
fn hmac(keys: &[u8], active: u8) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|id| format!("{{ id = {id}, secret = \"{}\" }}", SECRETS[usize::from(*id) - 1]))
        .collect();
    format!(
        "[vrrp.hmac]\nmode = \"enforce\"\nactive_key = {active}\nkeys = [{}]\n",
        keys.join(", ")
    )
}

/// Waits for some adverts, from this moment on, that are all signed with this key.
fn adverts(capture: &mut Capture, key: u8) {
    let began = Instant::now();
    for _ in 0..5 {
        let advert = |frame: &Frame| frame.at > began && frame.vrrp().is_some();
        let frame = capture.wait_for(Duration::from_secs(10), advert).unwrap();
        // The type of the trailer and the number of the key, after eight octets and an address.
        assert_eq!(frame.vrrp().unwrap().payload.get(12..14), Some(&[1, key][..]));
    }
}

/// A daemon with one virtual router.
struct Daemon {
    child: Child,
    priority: u8,
    folder: Folder,
}

impl Daemon {
    fn start(lab: &Lab, host: &str, priority: u8, hmac: &str) -> Self {
        let folder = Folder::new(&format!("rotation-{host}-{priority}"));
        write(&folder, priority, hmac);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
        command.env("RUST_LOG", "trace").stdin(Stdio::null()).stderr(log);
        command.arg("run").arg(folder.join("c.toml"));
        command.arg("--socket").arg(folder.join("s"));
        Self {
            child: lab.host(host).spawn(command).unwrap(),
            priority,
            folder,
        }
    }

    /// Writes other keys into the file, and waits until they are taken.
    fn rotate(&mut self, hmac: &str) {
        let told = self.hang_up(hmac);
        assert!(
            told.contains("SIGHUP: HMAC keys and modes of 1 virtual router"),
            "{told}"
        );
    }

    /// Sends SIGHUP with this in the file; gives all that it says of it.
    fn hang_up(&mut self, hmac: &str) -> String {
        write(&self.folder, self.priority, hmac);
        let before = self.log().len();
        kill(self.pid(), Signal::SIGHUP).unwrap();
        // The line with the word is written at once.
        let said = || self.log().split_off(before);
        wait_until(|| said().contains("SIGHUP: "));
        said()
    }

    fn report(&self) -> Report {
        self.try_report().unwrap()
    }

    fn try_report(&self) -> Result<Report, ha_stack::admin::FetchError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(fetch(self.folder.join("s")))
    }

    fn wait_for(&self, wanted: impl Fn(&Report) -> bool) {
        wait_until(|| self.try_report().is_ok_and(|report| wanted(&report)));
    }

    /// What it says of itself, in both forms.
    fn status(&self) -> String {
        let form = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
            command
                .arg("status")
                .args(more)
                .arg("--socket")
                .arg(self.folder.join("s"));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        form(&["--json"]) + &form(&[])
    }

    /// Neither in the status nor in a log of everything, and what was wrong with the files is in that too.
    fn shows_no_key(&self) {
        let shown = self.status() + &self.log();
        assert!(shown.contains("SIGHUP: HMAC keys and modes of 1 virtual router are those of the files"));
        for trace in TRACES {
            assert!(!shown.contains(trace), "{trace} in {shown}");
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn stop(mut self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(folder: &Folder, priority: u8, hmac: &str) {
    let text = format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 33\nversion = 3\npriority = {priority}\n\
         adver_interval = \"100ms\"\naddresses = [\"192.0.2.100\"]\n{hmac}"
    );
    // As an editor does: a reader never sees half of it.
    let (new, path): (PathBuf, PathBuf) = (folder.join("c.toml.new"), folder.join("c.toml"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Tries again for up to twenty seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
}
