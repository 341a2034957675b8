//! What configuration files mean.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ha_health::Weight;
use ha_stack::config::Configuration;
use ha_stack::{Instance, StackBuilder, Track};
use lb_proxy::balance::Strategy;
use proptest::prelude::*;
use vrrp_core::{
    AddressList, AddressMismatch, AdverInterval, AuthenticationConfig, ChecksumForm, Config, Demotion,
    Priority, Version, Vrid,
};
use vrrp_net::{Attachment, VirtualAddress};

#[test]
fn the_tutorials_master_is_read_as_keepalived_reads_it() {
    let builder = load("tutorial-master.conf");
    assert_eq!(builder.node(), "LVS_DEVEL");
    // `nopreempt` is cleared by `state MASTER`, and the script that nobody tracks is not run.
    assert_eq!(builder.instances(), [tutorial(100, "192.168.192.10")]);
    assert_eq!(builder.checks().count(), 0);
}

#[test]
fn the_tutorials_backup_is_read_as_keepalived_reads_it() {
    let builder = load("tutorial-backup.conf");
    assert_eq!(builder.instances(), [tutorial(90, "192.168.192.11")]);
}

#[test]
fn the_tutorial_in_toml_makes_the_same_virtual_router() {
    let builder = load("tutorial-master.toml");
    let expected = tutorial(100, "192.168.192.10").track("proxy");
    assert_eq!(builder.instances(), [expected]);
    assert_eq!(builder.node(), "LVS_DEVEL");
    let check = builder.checks().next().unwrap();
    assert_eq!(
        (check.interval(), check.weight().get()),
        (Duration::from_secs(2), -20)
    );
    let (name, proxy) = builder.proxies().next().unwrap();
    assert_eq!(
        (name, proxy.listen()),
        ("tomcat", &["0.0.0.0:80".parse().unwrap()][..])
    );
    assert!(builder.build().is_ok());
    assert!(read("tutorial-master.toml").lines().count() < 40);
}

#[test]
fn the_smallest_useful_file_is_ten_lines() {
    assert_eq!(read("smallest.toml").lines().count(), 10);
    let builder = load("smallest.toml");
    assert_eq!((builder.instances().len(), builder.proxies().len()), (1, 1));
}

#[test]
fn every_strategy_of_an_upstream_has_a_word() {
    for (word, strategy) in [
        ("weighted", Strategy::Weighted),
        ("nginx-weighted", Strategy::NginxWeighted),
        ("round-robin", Strategy::RoundRobin),
        ("least-conn", Strategy::LeastConn),
        ("power-of-two", Strategy::PowerOfTwo),
        ("random", Strategy::Random),
    ] {
        let text = read("smallest.toml").replace("\"app\"", &format!("\"app\"\nstrategy = \"{word}\""));
        let (builder, told) = load_text("smallest.toml", &text);
        let builder = builder.unwrap_or_else(|| panic!("{told}"));
        let (_, proxy) = builder.proxies().next().unwrap();
        assert_eq!(proxy.upstream().status().strategy, strategy);
    }
}

#[test]
fn the_readmes_node_is_valid_and_complete() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```toml\n").expect("a node in TOML");
    let (toml, _) = rest.split_once("```").unwrap();
    let mut configuration = Configuration::new();
    configuration.add_text("lb1.toml", toml);
    let loaded = configuration.load();
    assert_eq!(loaded.render(false), "");
    let builder = loaded.into_builder().unwrap();
    assert_eq!(builder.instances()[0].name(), "VI_1");
    assert!(builder.build().is_ok());
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/mod.rs")).unwrap();
    let example = source
        .split("//! ```toml\n")
        .nth(1)
        .unwrap()
        .split("//! ```\n")
        .next()
        .unwrap();
    let example: String = example
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("//!")))
        .collect();
    // The check of a backend is left to the reader.
    let example = format!("{example}\n[[check]]\nname = \"app-b\"\ntcp = \"192.0.2.21:8080\"\n");
    let loaded = load_text("example.toml", &example);
    assert_eq!(loaded.1, "");
    assert_eq!(
        loaded.0.unwrap().instances()[0].config().priority(),
        Priority::new(100)
    );
}

#[test]
fn every_setting_of_a_virtual_router_arrives() {
    let text = r#"
        [[vrrp]]
        name = "all"
        interface = "eth0"
        vrid = 7
        version = 3
        priority = 200
        adver_interval = "10ms"
        preempt = true
        preempt_delay = "1.5m"
        source = "192.0.2.10"
        peers = ["192.0.2.11"]
        addresses = ["192.0.2.100/24", { address = "192.0.2.101", dev = "eth1", label = "eth1:0" }]
        excluded_addresses = ["2001:db8::100"]
        track = [{ check = "c", weight = 10, reverse = true }]
        demotion = "yield"
        lease = false
        announce_delay = "0s"
        announce_repeat = 2
        checksum = "message-only"
        address_mismatch = "discard"
        [[check]]
        name = "c"
        tcp = "127.0.0.1:80"
    "#;
    let addresses = ["192.0.2.100".parse().unwrap(), "192.0.2.101".parse().unwrap()];
    let config = Config::builder(Vrid::new(7).unwrap(), AddressList::new(&addresses).unwrap())
        .version(Version::V3)
        .priority(Priority::new(200))
        .adver_interval(AdverInterval::from_centis(1).unwrap())
        .preempt_delay(Duration::from_secs(90))
        .peers(&["192.0.2.11".parse::<IpAddr>().unwrap()])
        .demotion(Demotion::Yield)
        .announce_delay(Duration::ZERO)
        .checksum(ChecksumForm::MessageOnly)
        .address_mismatch(AddressMismatch::Discard)
        .build()
        .unwrap();
    let attachment = Attachment::builder("eth0")
        .source("192.0.2.10".parse().unwrap())
        .address(VirtualAddress::new("192.0.2.100/24".parse().unwrap()))
        .address(
            VirtualAddress::new("192.0.2.101/32".parse().unwrap())
                .on("eth1")
                .labelled("eth1:0"),
        )
        .address(VirtualAddress::new("2001:db8::100/128".parse().unwrap()))
        .lease(None)
        .announce_repeat(2)
        .build()
        .unwrap();
    let track = Track::new("c").weight(Weight::new(10).unwrap()).reverse(true);
    let expected = Instance::new("all", config, attachment).track(track);
    assert_eq!(load_text("all.toml", text).0.unwrap().instances(), [expected]);
}

#[test]
fn every_setting_of_a_vrrp_instance_arrives() {
    let text = r#"
        global_defs {
            vrrp_version 3
            vrrp_garp_master_delay 2
            vrrp_garp_master_repeat 3
        }
        vrrp_instance all {
            interface eth0
            virtual_router_id 7
            priority 200
            advert_int 0.01
            preempt_delay 90
            unicast_src_ip 192.0.2.10
            unicast_peer {
                192.0.2.11
            }
            virtual_ipaddress {
                192.0.2.100/24
                192.0.2.101 dev eth1 label eth1:0
            }
            virtual_ipaddress_excluded {
                2001:db8::100
            }
            track_script { c weight 10 reverse }
            track_interface {
                eth0
                eth1 weight -30
            }
            garp_master_delay 0
            v3_checksum_as_v2
        }
        vrrp_script c {
            script "/bin/true"
            interval 0.5
            timeout 3
            rise 2
            fall 4
            weight 20
            init_fail
        }
    "#;
    let (builder, told) = load_text("all.conf", text);
    assert_eq!(told, "");
    let builder = builder.unwrap();
    let instance = &builder.instances()[0];
    let addresses = ["192.0.2.100".parse().unwrap(), "192.0.2.101".parse().unwrap()];
    let config = Config::builder(Vrid::new(7).unwrap(), AddressList::new(&addresses).unwrap())
        .version(Version::V3)
        .priority(Priority::new(200))
        .adver_interval(AdverInterval::from_centis(1).unwrap())
        .preempt_delay(Duration::from_secs(90))
        .peers(&["192.0.2.11".parse::<IpAddr>().unwrap()])
        .announce_delay(Duration::ZERO)
        .checksum(ChecksumForm::MessageOnly)
        .build()
        .unwrap();
    assert_eq!(*instance.config(), config);
    assert_eq!(instance.attachment().announce_repeat(), 3);
    assert_eq!(instance.attachment().addresses().len(), 3);
    // The own interface is watched by the driver; another one is a check.
    let tracks = [
        Track::new("c").weight(Weight::new(10).unwrap()).reverse(true),
        Track::new("interface eth1").weight(Weight::new(-30).unwrap()),
    ];
    assert_eq!(instance.tracks(), tracks);
    let check = builder.checks().find(|check| check.name() == "c").unwrap();
    assert_eq!(check.interval(), Duration::from_millis(500));
    assert_eq!(check.timeout(), Duration::from_secs(3));
    assert_eq!((check.rise().get(), check.fall().get()), (2, 4));
    assert_eq!((check.weight().get(), check.init_fail()), (20, true));
}

#[test]
fn state_master_without_a_priority_owns_the_addresses() {
    let text = "vrrp_instance o {\nstate MASTER\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }\n}\n";
    assert!(
        load_text("o.conf", text).0.unwrap().instances()[0]
            .config()
            .is_owner()
    );
}

#[test]
fn a_script_that_is_reversed_is_so_for_all_who_give_no_weight_of_their_own() {
    let text = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }\n\
                track_script {\nc\n}\n}\n\
                vrrp_instance b {\ninterface eth0\nvirtual_router_id 2\nvirtual_ipaddress { 192.0.2.2 }\n\
                track_script {\nc weight 5\n}\n}\n\
                vrrp_script c {\nscript \"/bin/true\"\nweight -20 reverse\n}\n";
    let (builder, told) = load_text("r.conf", text);
    assert_eq!(told, "");
    let builder = builder.unwrap();
    assert_eq!(builder.instances()[0].tracks(), [Track::new("c").reverse(true)]);
    assert_eq!(
        builder.instances()[1].tracks(),
        [Track::new("c").weight(Weight::new(5).unwrap())]
    );
}

#[test]
fn a_long_password_is_cut_as_keepalived_cuts_it() {
    let text = "vrrp_instance p {\ninterface eth0\nvirtual_router_id 1\nauthentication {\nauth_type PASS\nauth_pass 123456789\n}\n\
                virtual_ipaddress { 192.0.2.1 }\n}\n";
    let builder = load_text("p.conf", text).0.unwrap();
    let expected = Config::builder(
        Vrid::new(1).unwrap(),
        AddressList::new(&["192.0.2.1".parse().unwrap()]).unwrap(),
    )
    .authentication(AuthenticationConfig::simple("12345678").unwrap())
    .build()
    .unwrap();
    assert_eq!(*builder.instances()[0].config(), expected);
}

#[test]
fn ipv6_means_version_3_whatever_the_global_default_says() {
    let text = "global_defs {\nvrrp_version 2\n}\nvrrp_instance six {\ninterface eth0\nvirtual_router_id 1\n\
                virtual_ipaddress { fe80::100 }\n}\n";
    let builder = load_text("six.conf", text).0.unwrap();
    assert_eq!(builder.instances()[0].config().version(), Version::V3);
}

#[test]
fn the_name_of_the_node_is_that_of_the_toml_file_before_router_id() {
    let mut configuration = Configuration::new();
    configuration.add_text("a.conf", read("tutorial-backup.conf"));
    configuration.add_text("b.toml", "[node]\nname = \"lb2\"\n");
    assert_eq!(configuration.load().into_builder().unwrap().node(), "lb2");
}

#[test]
fn files_refer_to_each_other() {
    let mut configuration = Configuration::new();
    configuration.add_text("a.toml", "[[vrrp]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 1\naddresses = [\"192.0.2.1\"]\ntrack = [\"c\"]\n");
    configuration.add_text("b.conf", "vrrp_script c {\nscript \"/bin/true\"\n}\n");
    let loaded = configuration.load();
    assert_eq!(loaded.render(false), "");
    let builder = loaded.into_builder().unwrap();
    assert_eq!(builder.checks().count(), 1);
}

#[test]
fn no_cut_of_a_file_panics() {
    for name in [
        "tutorial-master.conf",
        "tutorial-master.toml",
        "findings/unsupported.conf",
        "findings/lints.toml",
    ] {
        let text = read(name);
        let ends = (0..text.len()).filter(|end| text.is_char_boundary(*end));
        for end in ends.step_by(3) {
            load_text(name, &text[..end]);
        }
    }
}

proptest! {
    #[test]
    fn no_damage_to_a_file_panics(
        name in prop::sample::select(&["tutorial-master.conf", "tutorial-master.toml", "findings/lints.toml"][..]),
        at in any::<prop::sample::Index>(),
        len in 0..40_usize,
        put in "[-\"'{}\\[\\]#!=$@a-z0-9 \n\t.:/–主]{0,12}",
    ) {
        let chars: Vec<char> = read(name).chars().collect();
        let start = at.index(chars.len());
        let end = (start + len).min(chars.len());
        let text: String = chars[..start].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        let (builder, told) = load_text(name, &text);
        prop_assert!(builder.is_some() || told.contains("error"));
        if let Some(builder) = builder {
            prop_assert!(builder.build().is_ok());
        }
    }
}

#[test]
fn blocks_nested_without_end_are_refused() {
    let (builder, told) = load_text("deep.conf", &"a {\n".repeat(20_000));
    assert!(builder.is_none());
    assert!(told.contains("a block is opened and never closed"));
    assert!(told.contains(" more\n"));
    assert!(
        load_text(
            "closed.conf",
            &format!("{}{}", "a {\n".repeat(50), "}\n".repeat(50))
        )
        .1
        .contains("deeper than 16")
    );
}

fn tutorial(priority: u8, source: &str) -> Instance {
    let addresses = AddressList::new(&["192.168.192.130".parse().unwrap()]).unwrap();
    let config = Config::builder(Vrid::new(33).unwrap(), addresses)
        .priority(Priority::new(priority))
        .authentication(AuthenticationConfig::simple("1111").unwrap())
        .build()
        .unwrap();
    let attachment = Attachment::builder("ens33")
        .source(source.parse().unwrap())
        .address("192.168.192.130".parse::<IpAddr>().unwrap())
        .build()
        .unwrap();
    Instance::new("VI_1", config, attachment)
}

fn load(name: &str) -> StackBuilder {
    let (builder, told) = load_text(name, &read(name));
    builder.unwrap_or_else(|| panic!("{told}"))
}

fn load_text(name: &str, text: &str) -> (Option<StackBuilder>, String) {
    let mut configuration = Configuration::new();
    configuration.add_text(name, text);
    let loaded = configuration.load();
    let told = loaded.render(false);
    (loaded.into_builder().ok(), told)
}

fn read(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
    .unwrap()
}
