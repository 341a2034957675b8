//! Random words and keys: whatever stands in a file is read or refused, and nothing panics.

use proptest::prelude::*;

use super::{load, toml};

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
    let words = include_str!("../data/keepalived-keywords.txt");
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
    let reference = include_str!("../../CONFIG.md");
    let (_, section) = reference.split_once("### `[[vrrp]]`").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let keys = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    keys.collect()
}
