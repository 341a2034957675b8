//! The virtual LAN: hosts reach each other, and everything happens on the host where it should.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use rtnetlink::packet_route::link::MacVlanMode;
use socket2::{Domain, Protocol, Socket, Type};
use vrrp_net::lab::{self, Host, Lab, LabBuilder, LabError, LabTest, MacAddr, UserNamespace};

const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn hosts_reach_each_other_over_ipv4_at_once() {
    lab::test(|| {
        let lab = two_hosts();
        assert!(udp_arrives(
            lab.host("a"),
            "10.0.0.1:0",
            lab.host("b"),
            "10.0.0.2:7000"
        ));
        assert!(udp_arrives(
            lab.host("b"),
            "10.0.0.2:0",
            lab.host("a"),
            "10.0.0.1:7000"
        ));
    });
}

#[test]
fn hosts_reach_each_other_over_ipv6_at_once() {
    lab::test(|| {
        let lab = two_hosts();
        assert!(udp_arrives(
            lab.host("a"),
            "[fd00::1]:0",
            lab.host("b"),
            "[fd00::2]:7000"
        ));
    });
}

#[test]
fn a_user_namespace_works_for_root_too() {
    LabTest::new().user_namespace(UserNamespace::Always).run(|| {
        let lab = two_hosts();
        assert!(udp_arrives(
            lab.host("a"),
            "10.0.0.1:0",
            lab.host("b"),
            "10.0.0.2:7000"
        ));
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        assert_eq!(map.split_whitespace().last(), Some("1"), "one user is mapped");
    });
}

#[test]
fn link_local_addresses_are_usable_at_once() {
    lab::test(|| {
        let lab = two_hosts();
        for host in lab.hosts() {
            host.run(|| {
                let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(112))).unwrap();
                let link_local = link_local(host);
                let address = std::net::SocketAddrV6::new(link_local, 0, 0, host.interface_index());
                // A tentative address can't be bound.
                socket.bind(&address.into()).unwrap();
            });
        }
    });
}

#[test]
fn multicast_crosses_the_switch() {
    lab::test(|| {
        let lab = two_hosts();
        let group = Ipv4Addr::new(224, 0, 0, 18);
        let receiver = lab.host("b").run(|| {
            let socket = raw_vrrp();
            socket
                .join_multicast_v4(&group, &Ipv4Addr::new(10, 0, 0, 2))
                .unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
        lab.host("a").run(|| {
            let socket = raw_vrrp();
            socket.set_multicast_ttl_v4(255).unwrap();
            socket.bind_device(Some(b"eth0")).unwrap();
            socket
                .send_to(b"advert", &SocketAddr::from((group, 0)).into())
                .unwrap();
        });
        let mut packet = [std::mem::MaybeUninit::uninit(); 64];
        let (len, from) = receiver.recv_from(&mut packet).unwrap();
        assert_eq!(len, 20 + b"advert".len());
        assert_eq!(
            from.as_socket_ipv4().map(|from| *from.ip()),
            Some(Ipv4Addr::new(10, 0, 0, 1))
        );
    });
}

#[test]
fn closures_threads_futures_and_programs_are_on_their_host() {
    lab::test(|| {
        let lab = two_hosts();
        let here = netns();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let inside = a.run(netns);
        assert_ne!(inside, here);
        assert_ne!(inside, b.run(netns));
        assert_eq!(netns(), here, "the caller stays where it is");
        assert_eq!(a.spawn_thread(netns).unwrap().join().unwrap(), inside);
        assert_eq!(
            a.block_on(async { tokio::task::spawn_blocking(netns).await.unwrap() }),
            inside
        );
        let mut program = Command::new("readlink");
        program.arg("/proc/self/ns/net");
        let output = a.output(program).unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), inside);
    });
}

#[test]
fn sockets_stay_on_the_host_that_opened_them() {
    lab::test(|| {
        let lab = two_hosts();
        let listener = lab
            .host("b")
            .block_on(async { tokio::net::TcpListener::bind("10.0.0.2:80").await });
        let listener = listener.unwrap().into_std().unwrap();
        lab.host("a")
            .run(|| std::net::TcpStream::connect("10.0.0.2:80"))
            .unwrap();
        listener.set_nonblocking(false).unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), Ipv4Addr::new(10, 0, 0, 1));
        assert!(
            std::net::TcpStream::connect("10.0.0.2:80").is_err(),
            "outside, there is no way to this address"
        );
    });
}

#[test]
fn closures_may_borrow_and_keep_the_working_directory() {
    lab::test(|| {
        let lab = two_hosts();
        let mut seen = Vec::new();
        let directory = std::env::current_dir().unwrap();
        lab.host("a").run(|| seen.push(std::env::current_dir().unwrap()));
        assert_eq!(seen, [directory]);
    });
}

#[test]
fn a_panic_on_a_host_reaches_the_caller_and_harms_nothing() {
    lab::test(|| {
        let lab = two_hosts();
        let panic = std::panic::catch_unwind(|| lab.host("a").run(|| panic!("on purpose"))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
        assert!(udp_arrives(
            lab.host("a"),
            "10.0.0.1:0",
            lab.host("b"),
            "10.0.0.2:7000"
        ));
    });
}

#[test]
fn each_host_has_its_own_run_and_sys() {
    lab::test(|| {
        let lab = Lab::builder()
            .interface("ens33")
            .host("a", ["10.0.0.1/24"])
            .host("b", ["10.0.0.2/24"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let listen = || std::os::unix::net::UnixListener::bind("/run/daemon.sock").unwrap();
        let (_a, _b) = (a.run(listen), b.run(listen));
        assert!(
            !std::path::Path::new("/run/daemon.sock").exists(),
            "the world outside does not see it"
        );
        let address = a
            .run(|| std::fs::read_to_string("/sys/class/net/ens33/address"))
            .unwrap();
        assert_eq!(address.trim(), a.mac().to_string());
    });
}

#[test]
fn names_and_macs_are_predictable() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("lb1", ["192.168.192.10/24"])
            .host_interface("ens33")
            .host("lb2", ["192.168.192.11/24"])
            .build()
            .unwrap();
        assert_eq!(lab.host("lb1").interface(), "ens33");
        assert_eq!(lab.host("lb2").interface(), "eth0");
        assert_eq!(lab.host("lb2").mac(), MacAddr::new(2, 0, 0, 0, 0, 2));
        assert!(
            lab.host("lb1")
                .addresses()
                .unwrap()
                .contains(&"192.168.192.10/24".parse().unwrap())
        );
    });
}

#[test]
fn programs_inherit_no_file_descriptors_of_the_lab() {
    lab::test(|| {
        let list = || {
            let mut program = Command::new("ls");
            program.arg("/proc/self/fd");
            program
        };
        let before = list().output().unwrap().stdout;
        let lab = two_hosts();
        let _capture = lab.host("a").capture().unwrap();
        assert_eq!(lab.host("a").output(list()).unwrap().stdout, before);
    });
}

#[test]
fn loopback_is_up() {
    lab::test(|| {
        let lab = two_hosts();
        let a = lab.host("a");
        assert!(udp_arrives(a, "127.0.0.1:0", a, "127.0.0.1:7000"));
    });
}

#[test]
fn labs_of_five_and_of_forty_hosts_work() {
    lab::test(|| {
        for hosts in [5, 40] {
            let started = Instant::now();
            let add = |builder: LabBuilder, n| builder.host(&format!("h{n}"), [format!("10.0.0.{n}/24")]);
            let lab = (1..=hosts).fold(Lab::builder(), add).build().unwrap();
            println!("{hosts} hosts were ready after {:?}", started.elapsed());
            let last = format!("h{hosts}");
            assert!(udp_arrives(
                lab.host("h1"),
                "10.0.0.1:0",
                lab.host(&last),
                &format!("10.0.0.{hosts}:7000")
            ));
        }
    });
}

#[test]
fn a_virtual_mac_is_one_more_interface_of_a_host() {
    lab::test(|| {
        let lab = two_hosts();
        let a = lab.host("a");
        let virtual_mac = MacAddr::new(0, 0, 0x5e, 0, 1, 33);
        a.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            let device = rtnetlink::LinkMacVlan::new("vrrp33", a.interface_index(), MacVlanMode::Bridge)
                .index(33)
                .address(virtual_mac.octets().to_vec())
                .up();
            handle.link().add(device.build()).execute().await.unwrap();
            handle
                .address()
                .add(33, Ipv4Addr::new(10, 0, 0, 100).into(), 32)
                .execute()
                .await
                .unwrap();
        });
        // Linux answers for all its addresses on all its interfaces, so eth0's MAC may be claimed too.
        let answers = lab
            .host("b")
            .arp_who_has([10, 0, 0, 100].into(), Duration::from_millis(200))
            .unwrap();
        assert!(answers.contains(&virtual_mac), "{answers:?}");
    });
}

#[test]
fn outside_of_namespaces_ordinary_users_are_told_to_enter() {
    let built = Lab::builder().host("a", ["10.0.0.1/24"]).build();
    match built {
        // Root needs no other user namespace, and the hosts' network namespaces are new in any case.
        Ok(lab) => {
            assert!(nix::unistd::geteuid().is_root());
            assert_ne!(lab.host("a").run(netns), netns());
        }
        Err(error) => assert!(matches!(error, LabError::NotEntered), "{error}"),
    }
}

#[test]
fn labs_and_hosts_are_shared_between_threads() {
    fn is_shareable<T: Send + Sync + 'static>() {}
    is_shareable::<Lab>();
    is_shareable::<Host>();
    fn is_movable<T: Send + 'static>() {}
    is_movable::<lab::Capture>();
}

#[test]
fn what_can_not_be_built_is_refused_before_anything_is_made() {
    let refused = |builder: LabBuilder| builder.build().unwrap_err();
    let builder = Lab::builder;
    assert!(matches!(
        refused(builder().host("a", ["10.0.0.1"])),
        LabError::BadAddress { .. }
    ));
    assert!(matches!(
        refused(builder().host("a", ["10.0.0.1/33"])),
        LabError::BadAddress { .. }
    ));
    let twice = builder().host("a", ["10.0.0.1/24"]).host("a", ["10.0.0.2/24"]);
    assert!(matches!(refused(twice), LabError::DuplicateHost { .. }));
    for name in ["", "sixteen-bytes-xx", "a b", "a/b", "..", "lo"] {
        let named = builder().interface(name).host("a", ["10.0.0.1/24"]);
        assert!(
            matches!(refused(named), LabError::BadInterface { .. }),
            "{name:?}"
        );
    }
    let many = (0..=lab::HOSTS_MAX).fold(builder(), |all, n| all.host(&n.to_string(), [] as [&str; 0]));
    assert!(matches!(refused(many), LabError::TooManyHosts { hosts: 201 }));
}

fn two_hosts() -> Lab {
    Lab::builder()
        .host("a", ["10.0.0.1/24", "fd00::1/64"])
        .host("b", ["10.0.0.2/24", "fd00::2/64"])
        .build()
        .unwrap()
}

/// Sends a datagram between hosts and tells whether it came.
fn udp_arrives(sender: &Host, from: &str, receiver: &Host, to: &str) -> bool {
    let socket = receiver.run(|| UdpSocket::bind(to)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    sender
        .run(|| UdpSocket::bind(from).unwrap().send_to(b"hello", to))
        .unwrap();
    let mut datagram = [0; 16];
    socket
        .recv(&mut datagram)
        .is_ok_and(|len| datagram[..len] == *b"hello")
}

fn raw_vrrp() -> Socket {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap()
}

fn link_local(host: &Host) -> std::net::Ipv6Addr {
    let addresses = host.addresses().unwrap();
    let found = addresses.iter().find_map(|net| match net.addr() {
        std::net::IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no link-local address among {addresses:?}"))
}

/// The network namespace of the calling thread.
fn netns() -> String {
    std::fs::read_link("/proc/thread-self/ns/net")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}
