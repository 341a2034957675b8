//! Sync groups, and the two families of one definition.

use ha_stack::StackBuilder;

use super::read;

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
