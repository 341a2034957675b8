//! FRR's vrrpd on a host, with its zebra.
//!
//! vrrpd does not make interfaces: the operator makes a macvlan interface with the virtual router's MAC address, and
//! zebra sets it down (protodown) while the virtual router is backup. Both change to another user at their start, so
//! they need the real root.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use vrrp_net::lab::Host;

use super::lan::INTERFACE;
use super::{Result, Role, Setup, wait_until};

const DAEMONS: &str = "/usr/lib/frr";
/// Its files, on the host's own `/run`.
const FOLDER: &str = "/run/frr";
/// Whom its daemons change to.
const USER: &str = "frr";
/// How long its start and its end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running vrrpd with one virtual router. Killed when dropped.
#[derive(Debug)]
pub struct Frr {
    host: Host,
    vrrpd: Child,
    zebra: Child,
}

impl Frr {
    /// Starts it, and waits until it knows its interfaces.
    ///
    /// # Errors
    /// If it can't be started, with what it logged.
    pub fn start(host: &Host, setup: &Setup) -> Result<Self> {
        add_interface(host, setup)?;
        let text = config(setup);
        let user = User::from_name(USER)?.ok_or("there is no user frr")?;
        host.run(|| {
            fs::create_dir_all(FOLDER)?;
            chown(FOLDER, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            fs::write(format!("{FOLDER}/zebra.conf"), "")?;
            fs::write(format!("{FOLDER}/vrrpd.conf"), text)
        })?;
        let zebra = daemon(host, "zebra")?;
        let socket = format!("{FOLDER}/zserv.api");
        if !wait_until(PATIENCE, || Ok(host.run(|| Path::new(&socket).exists())))? {
            return Err(format!("zebra does not start:\n{}", log(host, "zebra")).into());
        }
        let frr = Self {
            host: host.clone(),
            vrrpd: daemon(host, "vrrpd")?,
            zebra,
        };
        if !wait_until(PATIENCE, || Ok(frr.role() != Role::Other))? {
            return Err(format!("vrrpd does not start:\n{}\n{}", frr.show(), frr.log()).into());
        }
        Ok(frr)
    }

    /// The state of its virtual router.
    #[must_use]
    pub fn role(&self) -> Role {
        let text = self.show();
        let states: Vec<&str> = text
            .lines()
            .filter(|line| line.trim_start().starts_with("Status (v"))
            .filter_map(|line| line.split_whitespace().last())
            .collect();
        if states.contains(&"Master") {
            Role::Master
        } else if states.contains(&"Backup") {
            Role::Backup
        } else {
            Role::Other
        }
    }

    /// What it shows of its virtual router.
    #[must_use]
    pub fn show(&self) -> String {
        let mut vtysh = Command::new("/usr/bin/vtysh");
        vtysh.args(["--vty_socket", FOLDER, "-d", "vrrpd", "-c", "show vrrp"]);
        let output = self.host.output(vtysh);
        output.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        log(&self.host, "vrrpd")
    }

    /// Stops it in an orderly way, and waits until it has ended.
    ///
    /// # Errors
    /// If it doesn't end.
    pub fn stop(&mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.vrrpd.id())?), Signal::SIGTERM)?;
        if !wait_until(PATIENCE, || Ok(self.vrrpd.try_wait()?.is_some()))? {
            return Err(format!("vrrpd does not end:\n{}", self.log()).into());
        }
        Ok(())
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        for process in [&mut self.vrrpd, &mut self.zebra] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Whether it is installed.
#[must_use]
pub fn is_installed() -> bool {
    Path::new(DAEMONS).join("vrrpd").is_file()
}

fn daemon(host: &Host, name: &str) -> Result<Child> {
    let said = host.run(|| fs::File::create(format!("{FOLDER}/{name}.said")))?;
    let mut command = Command::new(format!("{DAEMONS}/{name}"));
    command
        .args(["-A", "127.0.0.1", "-P", "0"])
        .args(["-f", &format!("{FOLDER}/{name}.conf")])
        .args(["-i", &format!("{FOLDER}/{name}.pid")])
        .args(["-z", &format!("{FOLDER}/zserv.api")])
        .args(["--vty_socket", FOLDER])
        .args(["--log", &format!("file:{FOLDER}/{name}.log")])
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said);
    Ok(host.spawn(command)?)
}

fn log(host: &Host, name: &str) -> String {
    let files = ["said", "log"].map(|kind| format!("{FOLDER}/{name}.{kind}"));
    let texts = host.run(|| files.map(|file| fs::read(file).unwrap_or_default()));
    String::from_utf8_lossy(&texts.concat()).into_owned()
}

/// The macvlan interface, with the virtual addresses.
fn add_interface(host: &Host, setup: &Setup) -> Result<()> {
    let family = if setup.variant.ipv6 { 2 } else { 1 };
    let mac = format!("00:00:5e:00:{family:02x}:01");
    // A link-local address made from the MAC address would be the same on both hosts. 3 is random.
    host.run(|| fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "3"))?;
    ip(
        host,
        &format!("link add vrrp1 link {INTERFACE} address {mac} type macvlan mode bridge"),
    )?;
    for address in setup.addresses(1) {
        let len = match address {
            IpAddr::V4(_) => 16,
            IpAddr::V6(_) => 64,
        };
        let flags = if address.is_ipv6() { "nodad" } else { "" };
        ip(host, &format!("address add {address}/{len} dev vrrp1 {flags}"))?;
    }
    // Else the host answers for the address on its other interface while it is backup.
    host.run(|| fs::write(format!("/proc/sys/net/ipv4/conf/{INTERFACE}/arp_ignore"), "1"))?;
    ip(host, "link set vrrp1 up")
}

/// Runs `ip`, which FRR depends on, on a host.
///
/// # Errors
/// What it says.
pub fn ip(host: &Host, words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words.split_whitespace());
    let output = host.output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {}", said.trim()).into())
}

fn config(setup: &Setup) -> String {
    let mut text = format!(
        "interface {INTERFACE}\n vrrp 1 version {}\n",
        setup.variant.version
    );
    let _ = writeln!(text, " vrrp 1 priority {}", setup.priority);
    let _ = writeln!(
        text,
        " vrrp 1 advertisement-interval {}",
        setup.variant.interval().as_millis()
    );
    for address in setup.addresses(1) {
        let family = if address.is_ipv6() { "ipv6" } else { "ip" };
        let _ = writeln!(text, " vrrp 1 {family} {address}");
    }
    text
}
