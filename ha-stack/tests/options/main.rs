//! Every option, in both formats: they mean the same, and they mean something.

mod addresses;
mod defaults;
mod groups;
mod soup;

use ha_stack::config::Configuration;
use ha_stack::{Instance, StackBuilder};

/// An option of a virtual router as either format writes it.
struct Row {
    toml: &'static str,
    conf: &'static str,
}

const fn row(toml: &'static str, conf: &'static str) -> Row {
    Row { toml, conf }
}

/// What stands in a `[[vrrp]]`, and in a `vrrp_instance`.
const ROWS: &[Row] = &[
    row("version = 3", "version 3"),
    row("priority = 200", "priority 200"),
    row("adver_interval = \"2s\"", "advert_int 2"),
    row("preempt = false", "nopreempt"),
    row("preempt_delay = \"1.5s\"", "preempt_delay 1.5"),
    row("source = \"192.0.2.10\"", "mcast_src_ip 192.0.2.10"),
    row(
        "source = \"192.0.2.10\"\npeers = [\"192.0.2.11\"]",
        "unicast_src_ip 192.0.2.10\nunicast_peer {\n192.0.2.11\n}",
    ),
    row(
        "password = \"1111\"",
        "authentication {\nauth_type PASS\nauth_pass 1111\n}",
    ),
    row(
        "password = \"topsec\"\nauth_type = \"ah\"",
        "authentication {\nauth_type AH\nauth_pass topsec\n}",
    ),
    row(
        "version = 3\nhmac = { keys = [{ id = 1, secret = \"0123456789abcdef0123456789abcdef\" }] }",
        "version 3\nauth_hmac {\nkey 1 0123456789abcdef0123456789abcdef\n}",
    ),
    row(
        "version = 3\n[vrrp.hmac]\nkeys = [{ id = 1, secret = \"hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\" }, { id = 2, secret = \"0123456789abcdef0123456789abcdef\" }]\nactive_key = 2\nmode = \"receive-only\"\nanti_replay = \"monotonic\"\ntime_window = \"7s\"",
        "version 3\nauth_hmac {\nkey 1 hex:00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\nkey 2 0123456789abcdef0123456789abcdef\nactive_key 2\nmode receive-only\nanti_replay monotonic\ntime_window 7\n}",
    ),
    row(
        "peers = [{ address = \"192.0.2.11\", min_ttl = 254, max_ttl = 255 }, \"192.0.2.12\"]\nunicast_ttl = 64\ncheck_unicast_src = false",
        "unicast_peer {\n192.0.2.11 min_ttl 254 max_ttl 255\n192.0.2.12\n}\nunicast_ttl 64\ncheck_unicast_src off",
    ),
    row(
        "notify = { master = \"/bin/true a\", backup = \"/bin/true b\", fault = \"/bin/true c\", stop = \"/bin/true d\" }",
        "notify_master \"/bin/true a\"\nnotify_backup \"/bin/true b\"\nnotify_fault \"/bin/true c\"\nnotify_stop \"/bin/true d\"",
    ),
    row(
        "[vrrp.notify]\nany_state = \"/bin/true\"\nmaster_rx_lower_pri = \"/bin/true\"\npriority_changes = true\nuser = \"root:root\"",
        "notify /bin/true root :root\nnotify_master_rx_lower_pri /bin/true root\nnotify_priority_changes on",
    ),
    row("checksum = \"message-only\"", "v3_checksum_as_v2"),
    row("announce_delay = \"2s\"", "garp_master_delay 2"),
    row("announce_repeat = 2", "garp_master_repeat 2"),
    row("down_timer_adverts = 5", "down_timer_adverts 5"),
    row("reassert = false", "lower_prio_no_advert"),
    row("reassert = false", "lower_prio_no_advert on"),
    row("owner_ignore_adverts = true", "owner_ignore_adverts"),
    row("higher_prio_send_advert = false", "higher_prio_send_advert off"),
    row("address_mismatch = \"accept\"", "skip_check_adv_addr"),
    row(
        "announce_refresh = \"60s\"\nannounce_refresh_repeat = 2",
        "garp_master_refresh 60\ngarp_master_refresh_repeat 2",
    ),
    row(
        "lower_prio_announce_delay = \"10s\"\nlower_prio_announce_repeat = 1",
        "garp_lower_prio_delay 10\ngarp_lower_prio_repeat 1",
    ),
    row("accept = false", "no_accept"),
    row(
        "strict_mode = true\naccept = false\nreassert = false",
        "strict_mode\nno_accept",
    ),
    row("promote_secondaries = true", "promote_secondaries"),
    row(
        "routes = [\"192.0.2.0/24 via 198.51.100.1 dev eth1\", \"default via 198.51.100.1 table 100 metric 5\"]",
        "virtual_routes {\n192.0.2.0/24 via 198.51.100.1 dev eth1\ndefault gw 198.51.100.1 table 100 preference 5\n}",
    ),
    row(
        "routes = [\"198.51.100.0/24 nexthop via 192.0.2.1 nexthop via 192.0.2.2\"]",
        "virtual_routes {\nto 198.51.100.0/24 via 192.0.2.1 or 192.0.2.2\n}",
    ),
    row(
        "routes = [\"198.51.100.0/24 via 192.0.2.1 src 192.0.2.100 mtu lock 1400 rtt 1s features ecn\"]",
        "virtual_routes {\nsrc 192.0.2.100 to 198.51.100.0/24 via 192.0.2.1 mtu lock 1400 rtt 1000ms features ecn\n}",
    ),
    row(
        "routes = [\"blackhole 198.51.100.0/24\"]",
        "virtual_routes {\nblackhole 198.51.100.0/24\n}",
    ),
    row(
        "rules = [\"from 192.0.2.0/24 table 100 priority 5\", \"to 2001:db8::/32 iif eth1 goto 20000\"]",
        "virtual_rules {\nfrom 192.0.2.0/24 lookup 100 preference 5\nto 2001:db8::/32 dev eth1 goto 20000\n}",
    ),
    row(
        "rules = [\"not from all fwmark 1/0xff ipproto tcp dport 80-443 uidrange 0-999 blackhole\"]",
        "virtual_rules {\nnot from any fwmark 0x1/255 ip_proto 6 dport 80-443 uidrange 0-999 blackhole\n}",
    ),
    row(
        "excluded_addresses = [{ address = \"192.0.2.101/24\", scope = \"link\", brd = \"+\" }, { address = \"192.0.2.102\", peer = \"192.0.2.103\" }]",
        "virtual_ipaddress_excluded {\n192.0.2.101/24 scope link brd +\n192.0.2.102 peer 192.0.2.103\n}",
    ),
    row(
        "excluded_addresses = [{ address = \"2001:db8::1/64\", dad = true, home = true, mngtmpaddr = true, noprefixroute = true }]",
        "virtual_ipaddress_excluded {\n2001:db8::1/64 -nodad home mngtmpaddr noprefixroute\n}",
    ),
    row(
        "excluded_addresses = [{ address = \"2001:db8::1\", preferred_lft = \"forever\" }, { address = \"ff05::1\", autojoin = true, preferred_lft = \"10s\" }]",
        "virtual_ipaddress_excluded {\n2001:db8::1 preferred_lft forever\nff05::1 autojoin preferred_lft 10\n}",
    ),
    row("vmac = true", "use_vmac"),
    row("vmac = \"vip51\"", "use_vmac vip51"),
    row(
        "vmac = { name = \"vip51\", mac = \"02:00:00:00:00:33\" }\nvmac_xmit_base = true",
        "use_vmac name vip51 02:00:00:00:00\nvmac_xmit_base",
    ),
    row("track_primary = false", "dont_track_primary"),
    row(
        "source = \"192.0.2.10\"\ntrack_source = true",
        "mcast_src_ip 192.0.2.10\ntrack_src_ip",
    ),
    row("track = [\"c\"]", "track_script {\nc\n}"),
    row(
        "track = [{ check = \"c\", weight = -20, reverse = true }]",
        "track_script {\nc weight -20 reverse\n}",
    ),
    row(
        "track_interfaces = [\"eth1\", { interface = \"eth2\", weight = 5 }]",
        "track_interface {\neth1\neth2 weight 5\n}",
    ),
    row(
        "track_interfaces = [{ interface = \"eth1\", reverse = true }, { interface = \"eth2\", weight = -5, reverse = true }]",
        "track_interface {\neth1 reverse\neth2 weight -5 reverse\n}",
    ),
    row(
        "excluded_addresses = [\"192.0.2.101/24\"]",
        "virtual_ipaddress_excluded {\n192.0.2.101/24\n}",
    ),
    row(
        "excluded_addresses = [{ address = \"192.0.2.101\", dev = \"eth1\", label = \"eth1:0\" }]",
        "virtual_ipaddress_excluded {\n192.0.2.101 dev eth1 label eth1:0\n}",
    ),
];

#[test]
fn an_option_means_the_same_in_both_formats_and_not_nothing() {
    let plain = instances(&toml(""), &conf(""));
    for row in ROWS {
        let both = instances(&toml(row.toml), &conf(row.conf));
        assert_eq!(both.0, both.1, "{}\n{}", row.toml, row.conf);
        assert_ne!(both.0, plain.0, "{} changes nothing", row.toml);
    }
}

#[test]
fn no_secret_is_shown() {
    let secrets = ["0123456789abcdef", "00112233445566778899", "topsec"];
    for row in ROWS
        .iter()
        .filter(|row| secrets.iter().any(|secret| row.toml.contains(secret)))
    {
        for (name, text) in [("a.toml", toml(row.toml)), ("a.conf", conf(row.conf))] {
            // A finding at each line of it.
            let broken = text
                .replace("eth0", "no such interface")
                .replace("active_key", "active_kay");
            let shown = [format!("{:?}", read(name, &text)), load(name, &broken).1];
            for secret in secrets {
                assert!(shown.iter().all(|shown| !shown.contains(secret)), "{shown:?}");
            }
        }
    }
}

#[test]
fn the_place_of_the_vrrp_thread_means_the_same_in_both_formats() {
    for (toml, conf, told) in [
        ("nice = -10", "vrrp_priority -10", "nice: Some(-10)"),
        ("realtime = 50", "vrrp_rt_priority 50", "realtime: Some(50)"),
        ("lock_memory = true", "vrrp_no_swap", "lock_memory: true"),
    ] {
        let toml = read("t.toml", &format!("[vrrp_thread]\n{toml}\n{}", self::toml("")));
        let conf = read(
            "t.conf",
            &format!("global_defs {{\n{conf}\n}}\n{}", self::conf("")),
        );
        for builder in [toml, conf] {
            assert!(format!("{builder:?}").contains(told), "{builder:?}");
        }
    }
}

#[test]
fn what_keepalived_has_no_word_for_means_something() {
    let plain = read("a.toml", &toml("")).instances().to_vec();
    for option in [
        "demotion = \"yield\"",
        "lease = \"5s\"",
        "lease = false",
        "damping = { transitions = 3, window = \"5m\", delay = \"30s\", max_delay = \"10m\" }",
        "damping = { transitions = 3, window = \"5m\" }",
        "startup_delay = \"5s\"",
    ] {
        assert_ne!(read("a.toml", &toml(option)).instances(), plain, "{option}");
    }
    // One for several settings, each of which goes before it.
    for (global, toml_of) in [
        ("vrrp_min_garp", "announce_repeat = 1\nannounce_delay = \"0s\""),
        ("vrrp_min_garp off", ""),
        (
            "vrrp_garp_master_repeat 3\nvrrp_min_garp on",
            "announce_repeat = 3\nannounce_delay = \"0s\"",
        ),
        (
            "vrrp_min_garp\nvrrp_garp_master_delay 2",
            "announce_repeat = 1\nannounce_delay = \"2s\"",
        ),
    ] {
        let few = read("a.conf", &format!("global_defs {{\n{global}\n}}\n{}", conf("")));
        assert_eq!(
            few.instances(),
            read("a.toml", &toml(toml_of)).instances(),
            "{global}"
        );
    }
    let own = format!(
        "global_defs {{\nvrrp_min_garp\n}}\n{}",
        conf("garp_master_repeat 4")
    );
    let toml_of = "announce_repeat = 4\nannounce_delay = \"0s\"";
    assert_eq!(
        read("a.conf", &own).instances(),
        read("a.toml", &toml(toml_of)).instances()
    );
    let delayed = format!("global_defs {{\nvrrp_startup_delay 5\n}}\n{}", conf(""));
    let both = (
        read("a.conf", &delayed),
        read("a.toml", &toml("startup_delay = \"5s\"")),
    );
    assert_eq!(both.0.instances(), both.1.instances());
}

#[test]
fn watched_processes_and_files_mean_the_same_in_both_formats() {
    for (toml, conf) in [
        (
            "process = \"nginx\"\nparams = [\"-g\", \"daemon off;\"]\nparam_match = \"partial\"\nquorum = 2\nquorum_max = 9\n\
             delay = \"1s\"\nterminate_delay = \"2s\"\nfull_command = true\nweight = -254\n",
            "vrrp_track_process w {\nprocess nginx -g \"daemon off;\"\nparam_match partial\nquorum 2\nquorum_max 9\ndelay 1\n\
             terminate_delay 2\nfull_command\nweight -254\n}\n",
        ),
        (
            "process = \"nginx\"\nfork_delay = \"3s\"\n",
            "track_process w {\nprocess nginx\nfork_delay 3\n}\n",
        ),
        ("process = \"nginx\"\n", "track_process w {\nprocess nginx\n}\n"),
        (
            "file = \"/run/x\"\ninit = -3\noverwrite = true\nweight = 1\n",
            "track_file w {\nfile \"/run/x\"\ninit_file -3 overwrite\n}\n",
        ),
        (
            "file = \"/run/x\"\nweight = 1000\n",
            "vrrp_track_file w {\nfile /run/x\nweight 1000\n}\n",
        ),
    ] {
        let track = if toml.starts_with("file") {
            "track_file"
        } else {
            "track_process"
        };
        let both = (
            read(
                "w.toml",
                &format!(
                    "[[check]]\nname = \"w\"\n{toml}{}",
                    self::toml("track = [\"w\", \"c\"]")
                ),
            ),
            read(
                "w.conf",
                &format!(
                    "{conf}{}",
                    self::conf(&format!("{track} {{\nw\n}}\ntrack_script {{\nc\n}}"))
                ),
            ),
        );
        assert_eq!(both.0.instances(), both.1.instances());
        let watches = |builder: &StackBuilder| builder.watches().cloned().collect::<Vec<_>>();
        assert_eq!(watches(&both.0), watches(&both.1), "{toml}");
        assert_eq!(watches(&both.0).len(), 1);
        let told = |builder: &StackBuilder| format!("{builder:?}");
        assert_eq!(told(&both.0), told(&both.1));
    }
}

/// A builder doesn't show what a watch is made of; what it refuses does.
#[test]
fn a_fork_delay_is_read_and_has_a_limit() {
    let in_toml = |delay: &str| {
        let check =
            format!("[[check]]\nname = \"w\"\nprocess = \"nginx\"\ndelay = \"1s\"\nfork_delay = {delay}\n");
        load("w.toml", &(check + &toml("track = [\"w\", \"c\"]")))
    };
    let in_conf = |delay: &str| {
        let check = format!("vrrp_track_process w {{\nprocess nginx\ndelay 1\nfork_delay {delay}\n}}\n");
        let track = conf("track_process {\nw\n}\ntrack_script {\nc\n}");
        load("w.conf", &(check + &track))
    };
    for (longest, too_long, at) in [
        (in_toml("\"1h\""), in_toml("\"3601s\""), "w.toml:5:14"),
        (in_conf("3600"), in_conf("3601"), "w.conf:4:12"),
    ] {
        assert!(longest.0.is_some(), "{}", longest.1);
        let (builder, told) = too_long;
        assert!(builder.is_none(), "{told}");
        assert!(
            told.contains("delay 3601s is out of range: 0 s to 3600 s"),
            "{told}"
        );
        assert!(told.contains(at), "{told}");
    }
}

#[test]
fn a_fifo_means_the_same_in_both_formats() {
    let toml = format!(
        "{}[[notify_fifo]]\npath = \"/run/a\"\nscript = \"/bin/cat -u\"\nuser = \"root:root\"\nowner = \"root\"\n",
        toml("")
    );
    let conf = format!(
        "global_defs {{\nvrrp_notify_fifo /run/a root\nvrrp_notify_fifo_script \"/bin/cat -u\" root :root\n}}\n{}",
        conf("")
    );
    let both = (read("f.toml", &toml), read("f.conf", &conf));
    assert_eq!(both.0.notify_fifos(), both.1.notify_fifos());
    assert_eq!(both.0.notify_fifos().len(), 1);
}

fn toml(more: &str) -> String {
    format!(
        "[[check]]\nname = \"c\"\nscript = \"/bin/true\"\n\
         [[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.100\"]\n{more}\n"
    )
}

fn conf(more: &str) -> String {
    format!(
        "vrrp_script c {{\nscript /bin/true\n}}\n\
         vrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n192.0.2.100\n}}\n{more}\n}}\n"
    )
}

fn instances(toml: &str, conf: &str) -> (Vec<Instance>, Vec<Instance>) {
    (
        read("a.toml", toml).instances().to_vec(),
        read("a.conf", conf).instances().to_vec(),
    )
}

fn read(name: &str, text: &str) -> StackBuilder {
    let (builder, told) = load(name, text);
    builder.unwrap_or_else(|| panic!("{text}\n{told}"))
}

fn load(name: &str, text: &str) -> (Option<StackBuilder>, String) {
    let mut configuration = Configuration::new();
    configuration.add_text(name, text);
    let loaded = configuration.load();
    let told = loaded.render(false);
    (loaded.into_builder().ok(), told)
}
