//! The daemon on real sockets: two of them, from the tutorial's own files.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ha_stack::admin::{Report, RouterReport, fetch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vrrp_net::lab::{self, Lab, LabTest};

use support::Folder;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 130);
/// A master-down interval of priority 90 with an advert a second, and some for a slow machine.
const TAKEOVER: Duration = Duration::from_secs(8);

const KEEPALIVED: &str = "/usr/sbin/keepalived";

#[test]
fn two_daemons_from_the_tutorials_files_elect_and_hand_over() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);

        let master = lb1.wait_for(TAKEOVER, |router| router.state == "master");
        assert_eq!(master.master, Some(IpAddr::from([192, 168, 192, 10])));
        let backup = lb2.wait_for(TAKEOVER, |router| router.master == master.master);
        assert_eq!(
            backup,
            RouterReport {
                name: "VI_1".to_owned(),
                vrid: 33,
                interface: "ens33".to_owned(),
                family: "ipv4".to_owned(),
                state: "backup".to_owned(),
                priority: 90,
                effective_priority: 90,
                master: Some(IpAddr::from([192, 168, 192, 10])),
                sync_group: None,
                held: false,
                addresses: vec![IpAddr::from(VIP)],
                transitions: 1,
                discards: [].into(),
            }
        );
        assert_eq!(who_has(&lab), [lab.host("lb1").mac()]);

        // A planned stop: priority 0, and the backup serves after its skew time of 0.65 s, not after 3.65 s.
        let stopped = Instant::now();
        lb1.stop();
        lb2.wait_for(TAKEOVER, |router| router.state == "master");
        let outage = stopped.elapsed();
        assert!(outage < Duration::from_millis(3200), "{outage:?}");
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        assert!(
            !lab.host("lb1")
                .addresses()
                .unwrap()
                .iter()
                .any(|one| one.addr() == IpAddr::from(VIP))
        );
        lb2.stop();
    });
}

#[test]
fn a_switchover_by_command_hands_over_and_holds_until_resume() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        lb2.wait_for(TAKEOVER, |router| router.master.is_some());

        let (code, said) = lb1.order("switchover", "VI_1");
        assert_eq!(
            said,
            "VI_1: handed over to 192.168.192.11; this node does not preempt until `ha-stack resume VI_1` or a restart\n"
        );
        assert_eq!(code, Some(0));
        let held = lb1.wait_for(TAKEOVER, |router| router.state == "backup");
        assert!(held.held);
        assert_eq!(lb2.report().vrrp[0].state, "master");
        assert!(lb1.status().contains("held after a switchover"), "{}", lb1.status());
        // Longer than the higher priority would wait.
        let quiet = Instant::now() + TAKEOVER / 2;
        while Instant::now() < quiet {
            assert_eq!(lb1.report().vrrp[0].state, "backup");
            pause();
        }
        assert_eq!(lb1.order("switchover", "VI_1").1, "ha-stack: VI_1 is not handed over: it is backup, not master\n");
        assert_eq!(lb1.order("resume", "VI_1"), (Some(0), "VI_1: resumed\n".to_owned()));
        lb1.wait_for(TAKEOVER, |router| router.state == "master" && !router.held);

        // Nobody is left to take over.
        lb2.stop();
        let (code, said) = lb1.order("switchover", "VI_1");
        assert_eq!(code, Some(1));
        assert_eq!(said, "ha-stack: no backup has taken VI_1 over, so it stays master here\n");
        let router = &lb1.report().vrrp[0];
        assert_eq!((router.state.as_str(), router.held), ("master", false));
        lb1.stop();
    });
}

/// A `[[vrrp]]` of both families with HMAC, a watched file, and a script that is told.
#[test]
fn both_families_of_one_definition_move_together() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("dual");
        std::fs::write(folder.join("key"), "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").unwrap();
        let file = |host: &str, priority: u8| {
            let at = |name: &str| folder.join(name).display().to_string();
            let text = format!(
                "[[check]]\nname = \"fit\"\nfile = \"{fit}\"\ninit = 0\n\
                 [[vrrp]]\nname = \"VI\"\ninterface = \"ens33\"\nvrid = 33\nversion = 3\npriority = {priority}\n\
                 adver_interval = \"200ms\"\naddresses = [\"192.168.192.130\", \"fe80::130\"]\ntrack = [\"fit\"]\n\
                 notify.any_state = '/bin/sh -c \"echo $* >> {told}\" sh'\n\
                 [vrrp.hmac]\nkeys = [{{ id = 1, secret_file = \"{key}\" }}]\n",
                fit = at(&format!("{host}.fit")),
                told = at(&format!("{host}.told")),
                key = at("key"),
            );
            let path = folder.join(&format!("{host}.toml"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let lb1 = Daemon::start(&lab, "lb1", &[file("lb1", 100)]);
        let lb2 = Daemon::start(&lab, "lb2", &[file("lb2", 90)]);
        let all_are = |daemon: &Daemon, state: &str| {
            daemon
                .try_report()
                .is_ok_and(|report| report.vrrp.len() == 2 && report.vrrp.iter().all(|one| one.state == state))
        };
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        let names: Vec<String> = lb1.report().vrrp.into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["VI", "VI-ipv6"]);

        std::fs::write(folder.join("lb1.fit"), "1\n").unwrap();
        wait_until(|| all_are(&lb1, "fault") && all_are(&lb2, "master"));
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        let told = || std::fs::read_to_string(folder.join("lb1.told")).unwrap_or_default();
        wait_until(|| told().ends_with("INSTANCE VI MASTER 100\nINSTANCE VI FAULT 100\n"));
        assert!(!told().contains("VI-ipv6"), "{}", told());

        std::fs::write(folder.join("lb1.fit"), "0\n").unwrap();
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        lb1.stop();
        lb2.stop();
    });
}

/// A keepalived.conf with unicast peers, AH, a sync group and a route that moves.
#[test]
fn unicast_with_ah_a_group_and_a_route_from_a_keepalived_conf() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("unicast");
        let file = |host: &str, own: u8, peer: u8, priority: u8| {
            let instance = |name: &str, vrid: u8, address: &str, more: &str| {
                format!(
                    "vrrp_instance {name} {{\ninterface ens33\nvirtual_router_id {vrid}\npriority {priority}\n\
                     unicast_src_ip 192.168.192.{own}\nunicast_peer {{\n192.168.192.{peer} min_ttl 255\n}}\n\
                     authentication {{\nauth_type AH\nauth_pass 1111\n}}\n\
                     virtual_ipaddress {{\n{address}\n}}\n{more}\n}}\n"
                )
            };
            let text = instance("A", 33, "192.168.192.130", "virtual_routes {\n203.0.113.0/24 via 192.168.192.20\n}")
                + &instance("B", 34, "192.168.192.131/32 scope link", "")
                + "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\n";
            let path = folder.join(&format!("{host}.conf"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let lb1 = Daemon::start(&lab, "lb1", &[file("lb1", 10, 11, 100)]);
        let lb2 = Daemon::start(&lab, "lb2", &[file("lb2", 11, 10, 90)]);
        let all_are = |daemon: &Daemon, state: &str| {
            daemon
                .try_report()
                .is_ok_and(|report| report.vrrp.len() == 2 && report.vrrp.iter().all(|one| one.state == state))
        };
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        assert_eq!(lb1.report().vrrp[1].sync_group.as_deref(), Some("G"));
        assert_eq!((has_route(&lab, "lb1"), has_route(&lab, "lb2")), (true, false));

        lb1.stop();
        wait_until(|| all_are(&lb2, "master") && has_route(&lab, "lb2"));
        assert!(!has_route(&lab, "lb1"));
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        lb2.stop();
    });
}

/// Whether 203.0.113.0/24 has a route there.
fn has_route(lab: &Lab, host: &str) -> bool {
    let mut command = Command::new("cat");
    command.arg("/proc/self/net/route").stdout(Stdio::piped());
    let output = lab.host(host).spawn(command).unwrap().wait_with_output().unwrap();
    // The kernel writes the address in the byte order of the machine.
    let network = format!("{:08X}", u32::from_ne_bytes([203, 0, 113, 0]));
    String::from_utf8(output.stdout).unwrap().contains(&network)
}

/// timeout(1) sends its signal to the program, and then to the whole group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        kill(lb1.pid(), Signal::SIGTERM).unwrap();
        // Until the daemon has seen the first.
        while lb1.try_report().is_ok() {}
        lb1.stop();
        assert!(who_has(&lab).is_empty());
    });
}

#[test]
fn a_daemon_and_a_real_keepalived_run_the_tutorial_together() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        if !Path::new(KEEPALIVED).exists() {
            lab::skip("keepalived is not installed");
        }
        let lab = tutorial_lab();
        let start_keepalived = || {
            let mut command = Command::new(KEEPALIVED);
            command.args(["--vrrp", "--dont-fork", "--log-console", "--use-file"]);
            command.arg(data("tutorial-master.conf")).stdin(Stdio::null());
            Killed(lab.host("lb1").spawn(command).unwrap())
        };
        let keepalived = start_keepalived();
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);
        // The higher priority is master, whoever was first.
        let peer = Some(IpAddr::from([192, 168, 192, 10]));
        lb2.wait_for(TAKEOVER, |router| {
            router.state == "backup" && router.master == peer
        });
        wait_until(|| who_has(&lab) == [lab.host("lb1").mac()]);

        // keepalived stops as planned: its priority 0 is heard.
        keepalived.terminate();
        lb2.wait_for(TAKEOVER, |router| router.state == "master");
        wait_until(|| who_has(&lab) == [lab.host("lb2").mac()]);

        // It returns and preempts; then ours stops as planned, and it stays.
        let keepalived = start_keepalived();
        lb2.wait_for(TAKEOVER, |router| {
            router.state == "backup" && router.master == peer
        });
        wait_until(|| who_has(&lab) == [lab.host("lb1").mac()]);
        lb2.stop();
        assert_eq!(who_has(&lab), [lab.host("lb1").mac()]);
        keepalived.terminate();
    });
}

#[test]
fn a_keepalived_conf_and_a_toml_file_run_together() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("together");
        let proxy = folder.join("proxy.toml");
        std::fs::write(
            &proxy,
            "[[upstream]]\nname = \"tomcat\"\nbackends = [\"192.168.192.20:8080\"]\n\
             [[proxy]]\nlisten = \"192.168.192.130:80\"\nworkers = 1\n\
             [[check]]\nname = \"proxy\"\ntcp = \"192.168.192.130:80\"\nweight = -20\n",
        )
        .unwrap();
        let backend = lab
            .host("client")
            .run(|| std::net::TcpListener::bind("192.168.192.20:8080"))
            .unwrap();
        let serving = std::thread::spawn(move || answer_one(&backend));
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf"), proxy]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        let response = lab.host("client").run(|| get("192.168.192.130:80", "/weight"));
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
        assert!(response.ends_with("<h1>port:8080</h1>"), "{response}");
        serving.join().unwrap();
        let report = lb1.report();
        assert_eq!(report.upstreams.len(), 1);
        assert_eq!(report.upstreams[0].backends[0].requests, 1);
        assert_eq!(report.checks[0].name, "proxy");
        lb1.stop();
    });
}

#[test]
fn without_options_daemon_and_status_meet_below_run() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let mut command = ha_stack();
        command
            .arg("run")
            .arg(data("tutorial-master.conf"))
            .stdin(Stdio::null());
        let daemon = Killed(lab.host("lb1").spawn(command).unwrap());
        wait_until(|| {
            let mut command = ha_stack();
            command.args(["status", "--json"]);
            let output = lab.host("lb1").output(command).unwrap();
            String::from_utf8(output.stdout)
                .unwrap()
                .starts_with("{\"node\":\"LVS_DEVEL\",\"vrrp\":[{\"name\":\"VI_1\"")
        });
        daemon.terminate();
    });
}

#[test]
fn a_missing_interface_is_one_line_and_nothing_stays() {
    LabTest::new().run(|| {
        let lab = Lab::builder().host("lb1", ["192.168.192.10/24"]).build().unwrap();
        let folder = Folder::new("missing");
        let socket = folder.join("s");
        let mut command = ha_stack();
        command
            .arg("run")
            .arg(data("tutorial-backup.conf"))
            .arg("--socket")
            .arg(&socket);
        let output = lab.host("lb1").output(command).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(
            last.starts_with("ha-stack: ") && last.contains("ens33"),
            "{stderr}"
        );
        assert!(!socket.exists());
    });
}

#[test]
fn an_mtu_that_is_too_small_for_the_adverts_is_told_at_the_start_and_later() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let lb1 = lab.host("lb1");
        let mtu = |octets: &str| {
            let mut command = Command::new("ip");
            command.args(["link", "set", "ens33", "mtu", octets]);
            assert!(lb1.output(command).unwrap().status.success());
        };
        let folder = Folder::new("mtu");
        let log = folder.join("log");
        let socket = folder.join("s");
        // 20 octets of IP, 8 of VRRP, 8 of a password that is none, and nine addresses.
        let config = folder.join("nine.toml");
        let addresses: Vec<String> = (1..=9).map(|number| format!("\"192.168.192.13{number}\"")).collect();
        let text = format!(
            "[[vrrp]]\nname = \"VI_1\"\ninterface = \"ens33\"\nvrid = 33\naddresses = [{}]\n",
            addresses.join(", ")
        );
        std::fs::write(&config, text).unwrap();
        let run = |stderr: Stdio| {
            let mut command = ha_stack();
            command.arg("run").arg(&config).arg("--socket").arg(&socket);
            command.stdin(Stdio::null()).stderr(stderr);
            command
        };
        mtu("70");
        let output = lb1.output(run(Stdio::piped())).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = "ha-stack: VRID 33 of IPv4: an advert takes 72 octets, and ens33 has an MTU of 70: advertise at most \
                        8 addresses, and hold the others as excluded ones, or raise the MTU";
        assert_eq!(stderr.lines().last(), Some(expected));

        mtu("1500");
        let stderr = std::fs::File::create(&log).unwrap();
        let daemon = Killed(lb1.spawn(run(stderr.into())).unwrap());
        wait_until(|| socket.exists());
        let told = || std::fs::read_to_string(&log).unwrap().matches("has an MTU of 70").count();
        assert_eq!(told(), 0);
        mtu("70");
        wait_until(|| told() == 1);
        // Once, whatever else happens to the link.
        mtu("72");
        mtu("70");
        wait_until(|| told() == 2);
        daemon.terminate();
        assert_eq!(told(), 2);
    });
}

#[test]
fn a_port_that_is_taken_is_one_line_and_nothing_stays() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("taken");
        let proxy = folder.join("proxy.toml");
        std::fs::write(
            &proxy,
            "[[upstream]]\nname = \"a\"\nbackends = [\"192.168.192.20:8080\"]\n[[proxy]]\nlisten = \"0.0.0.0:80\"\n",
        )
        .unwrap();
        let taken = lab.host("lb1").run(|| std::net::TcpListener::bind("0.0.0.0:80")).unwrap();
        let mut command = ha_stack();
        command.arg("run").arg(data("tutorial-master.conf")).arg(&proxy);
        command.arg("--socket").arg(folder.join("s"));
        let output = lab.host("lb1").output(command).unwrap();
        drop(taken);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(last.starts_with("ha-stack: proxy a: ") && last.contains("0.0.0.0:80"), "{stderr}");
        assert!(last.contains("another program listens there"), "{stderr}");
        assert!(!folder.join("s").exists());
    });
}

fn tutorial_lab() -> Lab {
    Lab::builder()
        .interface("ens33")
        .host("lb1", ["192.168.192.10/24"])
        .host("lb2", ["192.168.192.11/24"])
        .host("client", ["192.168.192.20/24"])
        .build()
        .unwrap()
}

fn who_has(lab: &Lab) -> Vec<lab::MacAddr> {
    lab.host("client")
        .arp_who_has(VIP, Duration::from_millis(300))
        .unwrap()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn ha_stack() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-stack"));
    command.env_remove("RUST_LOG");
    command
}

/// Tries again for up to ten seconds.
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline);
        pause();
    }
}

/// A program that is killed when it is not needed any more.
struct Killed(Child);

impl Killed {
    /// Stops it as an init system does, and waits for its end.
    fn terminate(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Ended already after `terminate`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon on a host. Dropping it kills it.
struct Daemon {
    child: Child,
    socket: PathBuf,
    _folder: Folder,
}

impl Daemon {
    fn start(lab: &Lab, host: &str, files: &[PathBuf]) -> Self {
        let folder = Folder::new(host);
        let socket = folder.join("s");
        let mut command = ha_stack();
        command
            .arg("run")
            .args(files)
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null());
        let child = lab.host(host).spawn(command).unwrap();
        Self {
            child,
            socket,
            _folder: folder,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn report(&self) -> Report {
        self.try_report().unwrap()
    }

    /// Runs a command against it, and gives its exit code and what it says.
    fn order(&self, command: &str, name: &str) -> (Option<i32>, String) {
        let mut order = ha_stack();
        order.args([command, name, "--socket"]).arg(&self.socket);
        let output = order.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// The status as people see it.
    fn status(&self) -> String {
        let mut command = ha_stack();
        command.args(["status", "--socket"]).arg(&self.socket);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    fn try_report(&self) -> Result<Report, ha_stack::admin::FetchError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(fetch(&self.socket))
    }

    fn wait_for(&self, timeout: Duration, wanted: impl Fn(&RouterReport) -> bool) -> RouterReport {
        let deadline = Instant::now() + timeout;
        loop {
            let report = self.try_report();
            if let Ok(report) = &report
                && wanted(&report.vrrp[0])
            {
                return report.vrrp[0].clone();
            }
            assert!(Instant::now() < deadline, "{report:?}");
            pause();
        }
    }

    /// Stops it as an init system does, and sees that it ends well.
    fn stop(mut self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0));
                assert!(!self.socket.exists());
                return;
            }
            assert!(Instant::now() < deadline, "still running");
            pause();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};

    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn answer_one(listener: &std::net::TcpListener) {
    use std::io::{Read as _, Write as _};

    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        request.push(octet[0]);
    }
    let body = "<h1>port:8080</h1>";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}
