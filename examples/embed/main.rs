//! A program that owns a virtual IP: the whole stack in 40 lines.
//!
//! `cargo run --release --example embed -- eth0 192.0.2.100 192.0.2.21:8080 192.0.2.22:8080` on two hosts of one LAN
//! (as root, or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE) makes one of them serve http://192.0.2.100/,
//! and the other take over. Enter stops it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ha_health::{CheckConfig, Weight, probe::Tcp};
use ha_stack::{Instance, Stack};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use vrrp_core::{AddressList, Config, Vrid};
use vrrp_net::Attachment;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, vip, backends @ ..] = &arguments[..] else {
        return Err("usage: embed INTERFACE VIRTUAL-IP BACKEND…".into());
    };
    let backends: Vec<SocketAddr> = backends.iter().map(|one| one.parse()).collect::<Result<_, _>>()?;
    let backends = backends
        .into_iter()
        .map(|address| BackendConfig::new(address.to_string(), address));
    let upstream = Upstream::new(UpstreamConfig::builder("backends").backends(backends).build()?);
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80));

    let addresses = AddressList::new(&[vip.parse::<IpAddr>()?])?;
    let config = Config::builder(Vrid::new(33).expect("33 is not 0"), addresses).build()?;
    let mut stack = Stack::builder("embed")
        .check(
            CheckConfig::builder("proxy").weight(Weight::new(-20)?).build()?,
            Tcp::new(([127, 0, 0, 1], 80).into()),
        )
        .instance(Instance::new("VI_1", config, Attachment::builder(interface).build()?).track("proxy"))
        .proxy("web", ProxyConfig::builder(upstream).listen(everywhere).build()?)
        .build()?
        .spawn()?;
    let mut events = stack.events();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            println!("{event}");
        }
    });
    std::io::stdin().read_line(&mut String::new())?;
    stack.shutdown(Duration::from_secs(10)).wait()?;
    Ok(())
}
