//! Options from the file to the wire or the kernel: the daemon reads each from both formats, and it works.

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_net::lab::{Host, Lab, LabTest, MacAddr};

use support::Folder;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const VRID: u8 = 33;
/// What takes a few hundred milliseconds, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time enough to preempt many times over.
const QUIET: Duration = Duration::from_secs(3);

/// What a file says of the virtual router besides the basics, in either format.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    /// In `[[vrrp]]`, and in a section of its own.
    toml: (&'a str, &'a str),
    /// In `vrrp_instance`, and in `global_defs`.
    conf: (&'a str, &'a str),
}

#[test]
fn use_vmac_answers_arp_with_the_virtual_mac() {
    lab_test().run(|| {
        let said = Said {
            toml: ("vmac = \"vip33\"", ""),
            conf: ("use_vmac vip33", ""),
        };
        in_both_formats("vmac", said, |lab, start| {
            let daemon = start();
            let mac = MacAddr::new(0, 0, 0x5e, 0, 1, VRID);
            wait_until(|| who_has(lab) == [mac]);
            let links = ip(lab.host("a"), "link show vip33");
            assert!(links.contains("00:00:5e:00:01:21"), "{links}");
            daemon.stop();
            assert!(ip(lab.host("a"), "link show vip33").is_empty());
        });
    });
}

#[test]
fn virtual_routes_and_rules_are_there_while_master() {
    lab_test().run(|| {
        let said = Said {
            toml: (
                "routes = [\"203.0.113.0/24 via 192.0.2.20 table 100\"]\n\
             rules = [\"from 198.51.100.0/24 table 100 priority 500\"]",
                "",
            ),
            conf: (
                "virtual_routes {\n203.0.113.0/24 via 192.0.2.20 table 100\n}\n\
             virtual_rules {\nfrom 198.51.100.0/24 table 100 priority 500\n}",
                "",
            ),
        };
        in_both_formats("routes", said, |lab, start| {
            let host = lab.host("a");
            let has_route = || ip(host, "route show table 100").contains("203.0.113.0/24 via 192.0.2.20");
            let has_rule = || ip(host, "rule show priority 500").contains("from 198.51.100.0/24 lookup 100");
            let daemon = start();
            wait_until(|| has_route() && has_rule());
            assert_eq!(who_has(lab), [host.mac()]);
            daemon.stop();
            assert!(!has_route() && !has_rule());
        });
    });
}

#[test]
fn without_a_word_of_it_what_is_sent_to_the_address_is_accepted() {
    lab_test().run(|| {
        in_both_formats("accept", Said::default(), |lab, start| {
            let _listener = listener(lab);
            let _daemon = start();
            wait_until(|| reaches(lab, VIP));
        });
    });
}

#[test]
fn no_accept_drops_what_is_sent_to_the_address() {
    lab_test().run(|| {
        let said = Said {
            toml: ("accept = false", ""),
            conf: ("no_accept", ""),
        };
        in_both_formats("no-accept", said, accepts_nothing);
    });
}

#[test]
fn strict_mode_drops_what_is_sent_to_the_address() {
    lab_test().run(|| {
        let said = Said {
            toml: ("strict_mode = true", ""),
            conf: ("strict_mode on", ""),
        };
        in_both_formats("strict", said, accepts_nothing);
        let said = Said {
            conf: ("", "vrrp_strict"),
            ..said
        };
        in_both_formats("strict-global", said, accepts_nothing);
    });
}

fn accepts_nothing(lab: &Lab, start: &dyn Fn() -> Daemon) {
    let _listener = listener(lab);
    let _daemon = start();
    wait_until(|| who_has(lab) == [lab.host("a").mac()]);
    assert!(!reaches(lab, VIP));
    assert!(
        reaches(lab, Ipv4Addr::new(192, 0, 2, 10)),
        "its own address is another matter"
    );
}

#[test]
fn a_notify_fifo_gets_the_changes_of_state() {
    lab_test().run(|| {
        let folder = Folder::new("kernel-fifo");
        let path = folder.join("fifo").display().to_string();
        let said = Said {
            toml: ("", &format!("[[notify_fifo]]\npath = \"{path}\"")),
            conf: ("", &format!("vrrp_notify_fifo {path}")),
        };
        in_both_formats("fifo", said, |_, start| {
            let daemon = start();
            wait_until(|| Path::new(&path).exists());
            // A reader that also writes is not told of an end while nobody else does.
            let fifo = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let (lines, told) = mpsc::channel();
            std::thread::spawn(move || {
                let read = BufReader::new(fifo).lines().map_while(Result::ok);
                read.take_while(|line| lines.send(line.clone()).is_ok()).count();
            });
            let wait_for = |wanted: &str| while told.recv_timeout(PATIENCE).unwrap().trim_end() != wanted {};
            wait_for("INSTANCE \"VI\" MASTER 100");
            daemon.stop();
            wait_for("INSTANCE \"VI\" STOP 100");
        });
    });
}

/// keepalived has no word for it.
#[test]
fn damping_holds_preemption_back_after_too_many_transitions() {
    const DAMPING: &str = "damping = { transitions = 2, window = \"60s\", delay = \"60s\" }";
    lab_test().run(|| {
        for (option, returns) in [("", true), (DAMPING, false)] {
            let lab = lab();
            let folder = Folder::new("kernel-damping");
            let fit = folder.join("fit");
            std::fs::write(&fit, "0\n").unwrap();
            let tracked = format!("{option}\npriority = 150\ntrack = [\"fit\"]");
            let check = format!("[[check]]\nname = \"fit\"\nfile = \"{}\"\n", fit.display());
            let high = Daemon::start(&folder, lab.host("a"), "a.toml", &toml(&tracked, &check));
            let (a, b) = (lab.host("a").mac(), lab.host("b").mac());
            wait_until(|| who_has(&lab) == [a]);
            let _low = Daemon::start(&folder, lab.host("b"), "b.toml", &toml("", ""));
            std::fs::write(&fit, "1\n").unwrap();
            wait_until(|| who_has(&lab) == [b]);
            std::fs::write(&fit, "0\n").unwrap();
            if returns {
                wait_until(|| who_has(&lab) == [a]);
            } else {
                let until = Instant::now() + QUIET;
                while Instant::now() < until {
                    assert_eq!(who_has(&lab), [b]);
                }
            }
            high.stop();
        }
    });
}

/// Runs a test once for each format, each in a lab of its own. It gets what starts the daemon on the host `a`.
fn in_both_formats(name: &str, said: Said<'_>, test: impl Fn(&Lab, &dyn Fn() -> Daemon)) {
    let files = [
        ("a.toml", toml(said.toml.0, said.toml.1)),
        ("a.conf", conf(said.conf.0, said.conf.1)),
    ];
    for (file, text) in files {
        let lab = lab();
        let folder = Folder::new(&format!("kernel-{name}-{file}"));
        test(&lab, &|| Daemon::start(&folder, lab.host("a"), file, &text));
    }
}

fn lab_test() -> LabTest {
    LabTest::new().timeout(Duration::from_secs(120))
}

fn toml(more: &str, sections: &str) -> String {
    format!(
        "{sections}\n[[vrrp]]\nname = \"VI\"\ninterface = \"eth0\"\nvrid = {VRID}\naddresses = [\"{VIP}\"]\n\
         version = 3\nadver_interval = \"100ms\"\n{more}\n"
    )
}

fn conf(more: &str, globals: &str) -> String {
    format!(
        "global_defs {{\n{globals}\n}}\nvrrp_instance VI {{\ninterface eth0\nvirtual_router_id {VRID}\n\
         virtual_ipaddress {{\n{VIP}\n}}\nversion 3\nadvert_int 0.1\n{more}\n}}\n"
    )
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24"])
        .host("b", ["192.0.2.11/24"])
        .host("client", ["192.0.2.20/24"])
        .build()
        .unwrap()
}

fn who_has(lab: &Lab) -> Vec<MacAddr> {
    let client = lab.host("client");
    client.arp_who_has(VIP, Duration::from_millis(200)).unwrap()
}

/// What takes connections to any address of `a`.
fn listener(lab: &Lab) -> TcpListener {
    lab.host("a").run(|| TcpListener::bind("0.0.0.0:80")).unwrap()
}

/// Whether the client gets a connection to an address.
fn reaches(lab: &Lab, address: Ipv4Addr) -> bool {
    let address = SocketAddr::from((address, 80));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
    lab.host("client").run(connect).is_ok()
}

/// What `ip` prints there; nothing where it fails.
fn ip(host: &Host, words: &str) -> String {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    String::from_utf8(host.output(command).unwrap().stdout).unwrap()
}

/// Tries again until it is so.
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline);
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// The daemon with one file. Dropping it kills it.
struct Daemon(Child);

impl Daemon {
    fn start(folder: &Folder, host: &Host, file: &str, text: &str) -> Self {
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
        command.env_remove("RUST_LOG").arg("run").arg(path);
        command.arg("--socket").arg(folder.join(host.name()));
        command.stdin(Stdio::null());
        Self(host.spawn(command).unwrap())
    }

    /// Stops it as an init system does, and sees that it ends well.
    fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
