//! Every option, in both formats: they mean the same, and they mean something.

use ha_stack::config::Configuration;
use ha_stack::{Instance, StackBuilder};
use proptest::prelude::*;

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
fn a_default_for_all_instances_is_that_of_each_one() {
    let defaults = [
        ("vrrp_version 3", "version 3"),
        ("v3_checksum_as_v2", "v3_checksum_as_v2"),
        ("vrrp_garp_master_delay 2", "garp_master_delay 2"),
        ("vrrp_garp_master_repeat 2", "garp_master_repeat 2"),
        ("vrrp_garp_master_refresh 60", "garp_master_refresh 60"),
        (
            "vrrp_garp_master_refresh_repeat 2",
            "garp_master_refresh_repeat 2",
        ),
        ("vrrp_garp_lower_prio_delay 2", "garp_lower_prio_delay 2"),
        ("vrrp_garp_lower_prio_repeat 2", "garp_lower_prio_repeat 2"),
        ("vrrp_lower_prio_no_advert", "lower_prio_no_advert"),
        ("vrrp_higher_prio_send_advert off", "higher_prio_send_advert off"),
        ("vrrp_owner_ignore_adverts", "owner_ignore_adverts"),
        ("vrrp_down_timer_adverts 5", "down_timer_adverts 5"),
        ("vrrp_skip_check_adv_addr", "skip_check_adv_addr"),
        ("vrrp_strict", "strict_mode"),
        ("vrrp_check_unicast_src off", "check_unicast_src off"),
        ("vrrp_notify_priority_changes on", "notify_priority_changes on"),
    ];
    for (global, own) in defaults {
        let with_default = format!("global_defs {{\n{global}\n}}\n{}", conf(""));
        let both = (read("d.conf", &with_default), read("o.conf", &conf(own)));
        assert_eq!(both.0.instances(), both.1.instances(), "{global}");
    }
}

#[test]
fn a_default_in_toml_is_that_of_each_one_and_its_own_word_wins() {
    let defaults = [
        ("version = 3", "version = 2"),
        ("checksum = \"message-only\"", "checksum = \"pseudo-header\""),
        ("priority = 90", "priority = 110"),
        ("adver_interval = \"2s\"", "adver_interval = \"3s\""),
        ("preempt = false", "preempt = true"),
        ("preempt_delay = \"5s\"", "preempt_delay = \"6s\""),
        ("startup_delay = \"5s\"", "startup_delay = \"6s\""),
        ("down_timer_adverts = 5", "down_timer_adverts = 4"),
        (
            "damping = { transitions = 3, window = \"5m\" }",
            "damping = { transitions = 4, window = \"5m\" }",
        ),
        ("reassert = false", "reassert = true"),
        (
            "higher_prio_send_advert = false",
            "higher_prio_send_advert = true",
        ),
        ("owner_ignore_adverts = true", "owner_ignore_adverts = false"),
        ("demotion = \"yield\"", "demotion = \"plain\""),
        ("address_mismatch = \"accept\"", "address_mismatch = \"discard\""),
        ("strict_mode = true", "strict_mode = false"),
        ("announce_delay = \"2s\"", "announce_delay = \"3s\""),
        ("announce_repeat = 2", "announce_repeat = 3"),
        ("announce_refresh = \"60s\"", "announce_refresh = \"70s\""),
        ("announce_refresh_repeat = 2", "announce_refresh_repeat = 3"),
        (
            "lower_prio_announce_delay = \"2s\"",
            "lower_prio_announce_delay = \"3s\"",
        ),
        ("lower_prio_announce_repeat = 2", "lower_prio_announce_repeat = 3"),
        ("source = \"192.0.2.10\"", "source = \"192.0.2.12\""),
        ("peers = [\"192.0.2.11\"]", "peers = [\"192.0.2.12\"]"),
        ("vmac = true", "vmac = false"),
        ("accept = false", "accept = true"),
        ("promote_secondaries = true", "promote_secondaries = false"),
        ("track_primary = false", "track_primary = true"),
        ("lease = false", "lease = \"5s\""),
        ("unicast_ttl = 64", "unicast_ttl = 128"),
        ("check_unicast_src = false", "check_unicast_src = true"),
    ];
    let plain = read("p.toml", &toml("")).instances().to_vec();
    for (default, other) in defaults {
        let with = |own| {
            let text = format!("{}[vrrp_defaults]\n{default}\n", toml(own));
            read("d.toml", &text).instances().to_vec()
        };
        let without = |own| read("o.toml", &toml(own)).instances().to_vec();
        assert_eq!(with(""), without(default), "{default}");
        assert_ne!(with(""), plain, "{default} changes nothing");
        assert_eq!(with(other), without(other), "{other} is its own word");
        assert_ne!(with(other), with(""), "{other} does not win");
    }
    // These mean something beside another key alone.
    for (base, default, other) in [
        ("vmac = true", "vmac_xmit_base = true", "vmac_xmit_base = false"),
        (
            "source = \"192.0.2.10\"",
            "track_source = true",
            "track_source = false",
        ),
    ] {
        let with = |own: &str| {
            let text = format!("{}[vrrp_defaults]\n{default}\n", toml(&format!("{base}\n{own}")));
            read("d.toml", &text).instances().to_vec()
        };
        let without = |own: &str| {
            read("o.toml", &toml(&format!("{base}\n{own}")))
                .instances()
                .to_vec()
        };
        assert_eq!(with(""), without(default), "{default}");
        assert_ne!(with(""), without(""), "{default} changes nothing");
        assert_eq!(with(other), without(other), "{other} is its own word");
        assert_ne!(with(other), with(""), "{other} does not win");
    }
    let no_interface =
        toml("").replace("interface = \"eth0\"", "") + "[vrrp_defaults]\ninterface = \"eth0\"\n";
    assert_eq!(read("i.toml", &no_interface).instances(), plain);
    // IPv6 has version 3, whatever the default is.
    let dual = toml("").replace("[\"192.0.2.100\"]", "[\"192.0.2.100\", \"fe80::100\"]");
    let both = read("6.toml", &format!("{dual}[vrrp_defaults]\nversion = 2\n"));
    assert_eq!(both.instances(), read("6.toml", &dual).instances());
}

/// A file with a virtual router of each family, and one of both.
#[test]
fn a_default_of_both_families_is_taken_by_the_one_that_it_fits() {
    const OF_BOTH: &str = "source = [\"192.0.2.10\", \"fe80::10\"]\npeers = [\"192.0.2.11\", \"fe80::11\"]\n";
    let router = |vrid: u8, addresses: &str, own: &str| {
        format!(
            "[[vrrp]]\nname = \"r{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\nversion = 3\n\
             addresses = [{addresses}]\n{own}\n"
        )
    };
    let (ipv4, ipv6) = ("\"192.0.2.100\"", "\"fe80::100\"");
    let both = "\"192.0.2.101\", \"fe80::101\"";
    let text = router(1, ipv4, "") + &router(2, ipv6, "") + &router(3, both, "");
    let by_default = read("d.toml", &format!("{text}[vrrp_defaults]\n{OF_BOTH}"));
    let own = [
        "source = \"192.0.2.10\"\npeers = [\"192.0.2.11\"]",
        "source = \"fe80::10\"\npeers = [\"fe80::11\"]",
        OF_BOTH,
    ];
    let said = router(1, ipv4, own[0]) + &router(2, ipv6, own[1]) + &router(3, both, own[2]);
    assert_eq!(by_default.instances(), read("o.toml", &said).instances());

    // Its own word must fit.
    let (builder, told) = load("o.toml", &router(1, ipv4, OF_BOTH));
    assert!(builder.is_none(), "{told}");
    assert!(
        told.contains("source fe80::10 of a virtual router of IPv4"),
        "{told}"
    );

    // A source of the other family alone leaves its own; peers of the other family alone would leave the group.
    let default = "[vrrp_defaults]\nsource = \"192.0.2.10\"\n";
    let sourceless = read("d.toml", &(router(2, ipv6, "") + default));
    assert_eq!(
        sourceless.instances(),
        read("o.toml", &router(2, ipv6, "")).instances()
    );
    let default = "[vrrp_defaults]\npeers = [\"192.0.2.11\"]\n";
    let (builder, told) = load("d.toml", &(router(2, ipv6, "") + default));
    assert!(builder.is_none(), "{told}");
    assert!(
        told.contains("192.0.2.11") && told.contains("d.toml:9:10"),
        "{told}"
    );
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

const TWO: &str = "[[vrrp]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 1\naddresses = [\"192.0.2.1\"]\n\
    [[vrrp]]\nname = \"b\"\ninterface = \"eth1\"\nvrid = 2\naddresses = [\"192.0.2.2\"]\n";
const TWO_CONF: &str = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 192.0.2.1 }\n}\n\
    vrrp_instance b {\ninterface eth1\nvirtual_router_id 2\nvirtual_ipaddress { 192.0.2.2 }\n}\n\
    vrrp_script c {\nscript /bin/true\n}\n";

#[test]
fn a_sync_group_means_the_same_in_both_formats() {
    let toml = format!(
        "{TWO}[[check]]\nname = \"c\"\nscript = \"/bin/true\"\n[[sync_group]]\nname = \"g\"\nmembers = [\"a\", \"b\"]\n\
         track = [{{ check = \"c\", weight = -20 }}]\ntrack_interfaces = [\"eth2\"]\nnotify.any_state = \"/bin/true\"\n"
    );
    let conf = format!(
        "{TWO_CONF}vrrp_sync_group g {{\ngroup {{\na\nb\n}}\ntrack_script {{\nc weight -20\n}}\ntrack_interface {{\neth2\n}}\nnotify /bin/true\n}}\n"
    );
    let both = (read("g.toml", &toml), read("g.conf", &conf));
    assert_eq!(both.0.instances(), both.1.instances());
    assert_eq!(both.0.instances()[1].tracks().len(), 2);
    assert_eq!(groups_of(both.0), ["g: a b true"]);
    assert_eq!(groups_of(both.1), ["g: a b true"]);
}

#[test]
fn both_families_of_a_definition_move_together_and_with_their_group() {
    let dual =
        "[[vrrp]]\nname = \"d\"\ninterface = \"eth2\"\nvrid = 3\naddresses = [\"192.0.2.3\", \"fe80::3\"]\n";
    assert_eq!(groups_of(read("d.toml", dual)), ["d-both: d d-ipv6 true"]);
    let grouped = format!("{TWO}{dual}[[sync_group]]\nname = \"g\"\nmembers = [\"a\", \"d\"]\n");
    assert_eq!(groups_of(read("g.toml", &grouped)), ["g: a d d-ipv6 false"]);
}

/// The sync groups in words.
fn groups_of(builder: StackBuilder) -> Vec<String> {
    let words = |(name, members, weight): (&str, &[std::sync::Arc<str>], bool)| {
        format!("{name}: {} {weight}", members.join(" "))
    };
    let groups = builder.sync_groups().map(words).collect();
    builder.build().unwrap();
    groups
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

#[test]
fn addresses_of_both_families_make_two_virtual_routers() {
    let text = toml("").replace(
        "addresses = [\"192.0.2.100\"]",
        "addresses = [\"192.0.2.100\", \"fe80::100\", \"2001:db8::100\"]\nsource = [\"192.0.2.10\", \"fe80::10\"]\n\
         excluded_addresses = [\"2001:db8::101\"]\ntrack = [\"c\"]\npassword = \"1111\"",
    );
    let builder = read("dual.toml", &text);
    let [four, six] = builder.instances() else {
        panic!("{builder:?}");
    };
    assert_eq!((four.name(), six.name()), ("VI_1", "VI_1-ipv6"));
    assert_eq!(four.config().version(), vrrp_core::Version::V2);
    assert_eq!(six.config().version(), vrrp_core::Version::V3);
    assert_eq!(four.attachment().addresses().len(), 1);
    assert_eq!(six.attachment().addresses().len(), 3);
    assert_eq!(six.config().addresses().as_addresses().iter().count(), 2);
    assert_eq!(four.attachment().source(), Some("192.0.2.10".parse().unwrap()));
    assert_eq!(six.attachment().source(), Some("fe80::10".parse().unwrap()));
    assert_eq!((four.tracks().len(), six.tracks().len()), (1, 1));
}

/// The largest numbers are those that the lab sends in one packet.
#[test]
fn addresses_that_an_ethernet_cannot_carry_in_one_advert_are_told() {
    const HMAC: &str = "hmac = { keys = [{ id = 1, secret = \"0123456789abcdef0123456789abcdef\" }] }";
    const HMAC_CONF: &str = "auth_hmac {\nkey 1 0123456789abcdef0123456789abcdef\n}";
    let list = |count: u16, between: &str| {
        let addresses: Vec<String> = (1..=count)
            .map(|number| format!("{between}fe80::1:{number:x}{between}"))
            .collect();
        addresses.join(if between.is_empty() { "\n" } else { ", " })
    };
    let in_toml = |count, own: &str| {
        let text = toml(&format!("version = 3\n{own}")).replace("\"192.0.2.100\"", &list(count, "\""));
        load("m.toml", &text)
    };
    let in_conf = |count, own: &str| {
        load(
            "m.conf",
            &conf(&format!("version 3\n{own}")).replace("192.0.2.100", &list(count, "")),
        )
    };
    for ((builder, told), place) in [
        (in_toml(90, ""), ""),
        (
            in_toml(91, ""),
            "91 addresses make an advert of 1504 octets, and an MTU of 1500 holds 90 addresses",
        ),
        (in_toml(89, HMAC), ""),
        (
            in_toml(90, HMAC),
            "90 addresses make an advert of 1516 octets, and an MTU of 1500 holds 89 addresses",
        ),
        (in_conf(90, ""), ""),
        (
            in_conf(91, ""),
            "91 addresses make an advert of 1504 octets, and an MTU of 1500 holds 90 addresses",
        ),
        (in_conf(89, HMAC_CONF), ""),
        (
            in_conf(90, HMAC_CONF),
            "90 addresses make an advert of 1516 octets, and an MTU of 1500 holds 89 addresses",
        ),
    ] {
        // A greater MTU would hold them.
        assert!(builder.is_some(), "{told}");
        assert_eq!(told.contains("an MTU of"), !place.is_empty(), "{told}");
        assert!(told.contains(place), "{told}");
        if !place.is_empty() {
            let remedy = ["`excluded_addresses`", "`virtual_ipaddress_excluded`"];
            assert!(remedy.iter().any(|remedy| told.contains(remedy)), "{told}");
            assert!(
                told.contains("m.toml:8:13\n") || told.contains("m.conf:7:1\n"),
                "{told}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Words of the format in any order, in blocks and out of them, with values that fit and values that don't.
    #[test]
    fn no_soup_of_keywords_panics(tokens in prop::collection::vec(prop::sample::select(soup()), 0..120)) {
        let text = tokens.concat();
        let (builder, told) = load("soup.conf", &text);
        prop_assert!(builder.is_some() || told.contains("error"), "{}", text);
    }

    #[test]
    fn no_soup_of_routing_words_panics(words in prop::collection::vec(prop::sample::select(ROUTING), 0..14)) {
        let line = words.join(" ");
        for key in ["routes", "rules"] {
            let (builder, told) = load("soup.toml", &toml(&format!("{key} = [\"{line}\"]")));
            prop_assert!(builder.is_some() || told.contains("error"), "{}", line);
        }
    }

    #[test]
    fn no_soup_of_keys_panics(lines in prop::collection::vec((prop::sample::select(keys()), prop::sample::select(VALUES)), 0..40)) {
        let mut seen = std::collections::HashSet::new();
        let mut text = toml("");
        for (key, value) in lines {
            if seen.insert(key) && !text.contains(&format!("\n{key} = ")) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        let (builder, told) = load("soup.toml", &text);
        prop_assert!(builder.is_some() || told.contains("error"), "{}", text);
    }
}

const ROUTING: &[&str] = &[
    "to",
    "via",
    "gw",
    "or",
    "dev",
    "src",
    "table",
    "metric",
    "scope",
    "tos",
    "nexthop",
    "weight",
    "onlink",
    "mtu",
    "lock",
    "features",
    "ecn",
    "rtt",
    "1s",
    "default",
    "blackhole",
    "inet6",
    "no_track",
    "realms",
    "from",
    "all",
    "not",
    "fwmark",
    "1/0xff",
    "iif",
    "oif",
    "goto",
    "lookup",
    "priority",
    "sport",
    "80-443",
    "uidrange",
    "nop",
    "suppress_prefixlength",
    "192.0.2.0/24",
    "192.0.2.1",
    "2001:db8::/32",
    "fe80::1",
    "eth0",
    "0",
    "1",
    "100",
    "300",
    "4294967295",
    "-1",
    "main",
    "link",
    "\u{4e3b}",
];

const VALUES: &[&str] = &[
    "0",
    "1",
    "3",
    "255",
    "256",
    "-1",
    "-20",
    "1.5",
    "true",
    "false",
    "\"\"",
    "\"1s\"",
    "\"10ms\"",
    "\"1000h\"",
    "\"192.0.2.1\"",
    "\"fe80::1/64\"",
    "\"224.0.0.18\"",
    "\"eth0\"",
    "\"yield\"",
    "\"a b\"",
    "[]",
    "[[]]",
    "{}",
    "[\"192.0.2.1\", \"192.0.2.1/24\"]",
    "[\"2001:db8::1\"]",
    "{ check = \"c\" }",
    "[{ interface = \"eth1\" }]",
    "{ env = \"NO_SUCH_VARIABLE\" }",
    "{ secret_file = \"/no/such/file\" }",
    "1979-05-27",
];

/// Words of keepalived.conf, lines and braces.
fn soup() -> Vec<&'static str> {
    let words = include_str!("data/keepalived-keywords.txt");
    let mut soup: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split_inclusive([' ', ':']))
        .map(|word| word.trim_end_matches(':'))
        .collect();
    // As many braces and lines as words, or nothing is ever in a block.
    for _ in 0..30 {
        soup.extend([
            "{\n",
            "\n}\n",
            "\n",
            "\n",
            " 1 ",
            " 192.0.2.1 ",
            " fe80::1/64 ",
            " eth0 ",
            " weight ",
            " -20 ",
        ]);
        soup.extend([
            " \"a b\" ",
            " on ",
            " off ",
            " 0.5 ",
            " 65536 ",
            " name ",
            " reverse ",
            "vrrp_instance a {\n",
        ]);
    }
    soup
}

/// Keys of a `[[vrrp]]`, from the reference.
fn keys() -> Vec<&'static str> {
    let reference = include_str!("../CONFIG.md");
    let (_, section) = reference.split_once("### `[[vrrp]]`").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let keys = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    keys.collect()
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
