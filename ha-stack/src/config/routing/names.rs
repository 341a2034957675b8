//! Names of numbers, as iproute2 knows them.

use std::fs;

use super::phrase::number;

/// Where iproute2 keeps names; what stands in the first goes before.
const FOLDERS: [&str; 2] = ["/etc/iproute2", "/usr/share/iproute2"];

/// A routing table: a number, or a name of `rt_tables`.
pub(super) fn table(text: &str) -> Option<u32> {
    match text {
        "main" => Some(254),
        "local" => Some(255),
        "default" => Some(253),
        _ => number(text).or_else(|| find("rt_tables", text)),
    }
}

/// Who has put a route there: a number, or a name of `rt_protos`.
pub(super) fn protocol(text: &str) -> Option<u8> {
    let number = match text {
        "boot" => Some(3),
        "static" => Some(4),
        _ => number(text).or_else(|| find("rt_protos", text)),
    };
    u8::try_from(number?).ok()
}

/// A type of service: a number, or a name of `rt_dsfield`.
pub(super) fn tos(text: &str) -> Option<u8> {
    u8::try_from(number(text).or_else(|| find("rt_dsfield", text))?).ok()
}

/// A protocol upon IP, by its number or its name.
pub(super) fn ip_protocol(text: &str) -> Option<u8> {
    Some(match text.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmpv6" | "ipv6-icmp" => 58,
        "vrrp" => 112,
        "sctp" => 132,
        other => u8::try_from(number(other)?).ok()?,
    })
}

/// Looks into a file of lines `number name`, and into the folder of more.
fn find(file: &str, name: &str) -> Option<u32> {
    FOLDERS.iter().find_map(|folder| {
        let more = fs::read_dir(format!("{folder}/{file}.d")).into_iter().flatten();
        let more = more.filter_map(|entry| Some(entry.ok()?.path()));
        std::iter::once(format!("{folder}/{file}").into())
            .chain(more)
            .find_map(|path| line_of(&fs::read_to_string(path).ok()?, name))
    })
}

fn line_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let value = number(words.next()?)?;
        (words.next() == Some(name)).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_number_or_a_name() {
        assert_eq!(
            (table("main"), table("100"), table("0x64")),
            (Some(254), Some(100), Some(100))
        );
        assert_eq!(table("no such table"), None);
        assert_eq!(
            line_of("# reserved\n255\tlocal\n0x10 blue # x\n", "blue"),
            Some(16)
        );
        assert_eq!(line_of("#16 blue\n", "blue"), None);
    }

    #[test]
    fn a_protocol_has_a_number_or_a_name() {
        assert_eq!((ip_protocol("TCP"), ip_protocol("112")), (Some(6), Some(112)));
        assert_eq!((ip_protocol("256"), ip_protocol("x")), (None, None));
    }
}
