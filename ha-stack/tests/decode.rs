//! `ha-stack decode`, as it is run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

#[test]
fn frames_of_keepalived_are_decoded() {
    let v2 = json!({
        "version": 2, "type": 1, "vrid": 51, "priority": 150, "adver_interval_cs": 100,
        "addresses": ["192.0.2.100", "192.0.2.101"], "auth": "pass", "hop_limit": 255,
        "source": "192.0.2.11", "destination": "224.0.0.18", "checksum": "ok", "error": null,
    });
    let v3 = json!({
        "version": 3, "type": 1, "vrid": 55, "priority": 0, "adver_interval_cs": 100,
        "addresses": ["fe80::200", "2001:db8::100"], "auth": "none", "hop_limit": 255,
        "source": "fe80::ff:fe00:a", "destination": "ff02::12", "checksum": "ok", "error": null,
    });
    assert_eq!(decode_file("keepalived-v2-pass.hex", &["--link"])[0], v2);
    assert_eq!(decode_file("keepalived-v3-ipv6.hex", &["--link"])[1], v3);
    for name in ["keepalived-v2-noauth.hex", "keepalived-v3-ipv4.hex"] {
        let decoded = decode_file(name, &["--link"]);
        assert!(
            decoded.len() == 2 && decoded.iter().all(|one| one["error"].is_null()),
            "{decoded:?}"
        );
    }
}

/// Number, time and counter are shown, the MAC and what it proves are not: there is no key here.
#[test]
fn authentication_is_shown_without_secrets() {
    // The wire images of draft-cassen-vrrp-auth-hmac.
    let ipv4 = "450000 3c 0001 0000 ff70 0000 c633640a e0000012 3133c80100644402c0000264 \
                010100006800000080000000 1b84bc4e8e43892dc6d98448f8ee2265";
    let ipv6 = "6c000000 0034 70 40 fe800000000000000000000000000010 fe800000000000000000000000000020 \
                3133c8010064a2e9fe800000000000000000000000000100 010100006800000080000000 \
                c8c56146ebfd66ee10ec4d8186461b78";
    // keepalived 2.2.7, auth_type AH.
    let ah = "45c0004000020000ff335a02c0a8c00be0000012 70040000c0a8c00b000000022467c9b53e310005906139f1 \
              2121c801020193b0c0a8c0820000000000000000";
    // Another type, the checksum still right.
    let broken = ipv4
        .replace("640100006800", "640200006800")
        .replace("01010000", "02010000");
    let (decoded, code) = decode(&[], &format!("{ipv4}\n{ipv6}\n{ah}\n{broken}\n"));
    assert_eq!(code, Some(1));
    let hmac = json!({"key": 1, "time": 1_744_830_464.5, "counter": 0});
    for (one, checksum) in decoded[..2].iter().zip(["ok-without-pseudo-header", "ok"]) {
        assert_eq!((&one["auth"], &one["hmac"]), (&json!("hmac"), &hmac), "{one}");
        assert_eq!(
            (&one["checksum"], &one["error"]),
            (&json!(checksum), &Value::Null),
            "{one}"
        );
        assert!(one.get("ah").is_none());
    }
    assert_eq!(decoded[2]["auth"], "ah");
    assert_eq!(decoded[2]["ah"], json!({"spi": "192.168.192.11", "sequence": 2}));
    assert_eq!(
        (&decoded[2]["priority"], &decoded[2]["error"]),
        (&json!(200), &Value::Null)
    );
    let error = decoded[3]["error"].as_str().unwrap();
    assert!(error.contains("type 2"), "{error}");
}

#[test]
fn the_keys_stand_in_the_order_of_the_manual() {
    let output = run(
        &[
            "decode",
            "--link",
            data("keepalived-v2-noauth.hex").to_str().unwrap(),
        ],
        "",
    );
    let line = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let expected = concat!(
        r#"{"version":2,"type":1,"vrid":52,"priority":100,"adver_interval_cs":100,"addresses":["192.0.2.100"],"#,
        r#""auth":"none","hop_limit":255,"source":"192.0.2.11","destination":"224.0.0.18","checksum":"ok","error":null}"#
    );
    assert_eq!(line, expected);
}

#[test]
fn a_packet_is_read_from_standard_input_without_its_link_header() {
    let packet = &frame()[28..];
    let (decoded, code) = decode(&[], packet);
    assert_eq!((decoded[0]["vrid"].clone(), code), (json!(51), Some(0)));
}

#[test]
fn a_bad_line_is_told_in_its_place_and_the_rest_goes_on() {
    let packet = &frame()[28..];
    let bad_sum = packet.replace("5580", "5581");
    let far = packet.replace("ff70", "4070");
    let input = format!("# a comment\n\n{packet}\nxyz\n45000\n{bad_sum}\n{far}\n4500\n{packet} # behind\n");
    let (decoded, code) = decode(&[], &input);
    assert_eq!(code, Some(1));
    let errors: Vec<Option<&str>> = decoded.iter().map(|one| one["error"].as_str()).collect();
    let expected = [
        None,
        Some("line 4: `x` at column 1 is not a hexadecimal digit"),
        Some("line 5: an odd number of hexadecimal digits, 5"),
        Some("checksum 0x5581 instead of 0x5580"),
        Some("hop limit 64 on multicast instead of 255"),
        Some("IPv4 header: 2 octets where 20 are needed"),
        None,
    ];
    assert_eq!(errors, expected);
    assert_eq!(decoded[3]["checksum"], "bad");
    assert_eq!(
        (&decoded[4]["checksum"], &decoded[4]["hop_limit"]),
        (&json!("ok"), &json!(64))
    );
}

#[test]
fn a_frame_without_link_says_what_to_do() {
    let (decoded, code) = decode(&[], frame());
    assert_eq!(
        decoded[0]["error"],
        "IP version 0: an Ethernet frame needs --link"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn a_packet_behind_an_authentication_header_is_told_as_ah() {
    let message = "213396020201ffff c0000264 c0000265 0000000000000000";
    let header = "4500 0044 0001 0000 ff33 0000 c000020b e0000012";
    let ah = "7004 0000 c000020b 00000001 000000000000000000000000";
    let (decoded, _) = decode(&[], &format!("{header}{ah}{message}\n"));
    assert_eq!(decoded[0]["auth"], "ah");
    assert_eq!(decoded[0]["vrid"], 51);
}

#[test]
fn a_checksum_without_pseudo_header_is_told_apart() {
    // By the letter of RFC 9568 §5.2.8, as Cisco IOS sends it: VRID 30, 10 s, 192.168.30.254.
    let header = "4500 0020 0000 0000 ff70 0000 c0a81e01 e0000012";
    let (decoded, code) = decode(&[], &format!("{header} 311e 6901 03e8 8251 c0a81efe\n"));
    assert_eq!(
        (&decoded[0]["checksum"], code),
        (&json!("ok-without-pseudo-header"), Some(0))
    );
    assert_eq!(decoded[0]["priority"], 105);
}

#[test]
fn pcap_files_of_both_byte_orders_are_read_and_foreign_packets_left_out() {
    let frame = octets(frame());
    let mut arp = vec![0xff; 12];
    arp.extend([0x08, 0x06, 0, 1]);
    for (name, big) in [("big", true), ("little", false)] {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.pcap", std::process::id()));
        std::fs::write(&path, pcap(big, &[&frame, &arp, &frame])).unwrap();
        let output = run(&["decode", path.to_str().unwrap()], "");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(objects(&output).len(), 2);
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "ha-stack: 1 packets are not VRRP, and not shown\n"
        );
    }
}

#[test]
fn a_damaged_pcap_file_is_told_after_what_could_be_read() {
    let file = pcap(true, &[&octets(frame()), &octets(frame())]);
    let output = run_bytes(&["decode"], &file[..file.len() - 1]);
    assert_eq!(objects(&output).len(), 1);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        stderr,
        "ha-stack: standard input: the file ends within a packet\n"
    );
}

#[test]
fn a_pcapng_file_says_how_to_convert_it() {
    let output = run_bytes(&["decode"], &[0x0a, 0x0d, 0x0d, 0x0a, 0, 0]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is a pcapng file: convert it"));
}

#[test]
fn a_line_without_end_is_cut_off_and_the_next_one_read() {
    let packet = &frame()[28..];
    let (decoded, code) = decode(&[], &format!("{}\n{packet}\n", "00".repeat(200_000)));
    assert_eq!((decoded.len(), code), (2, Some(1)));
    assert!(decoded[1]["error"].is_null());
}

#[test]
fn a_missing_file_is_one_line() {
    let output = run(&["decode", "/no/such/file"], "");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        stderr,
        "ha-stack: cannot read /no/such/file: No such file or directory (os error 2)\n"
    );
}

fn frame() -> &'static str {
    include_str!("data/keepalived-v2-pass.hex")
        .lines()
        .nth(2)
        .unwrap()
}

fn pcap(big: bool, packets: &[&[u8]]) -> Vec<u8> {
    let word = |value: u32| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut file = word(0xa1b2_c3d4).to_vec();
    file.extend([0; 16]);
    file.extend(word(1));
    for packet in packets {
        file.extend([0; 8]);
        file.extend(word(packet.len() as u32));
        file.extend(word(packet.len() as u32));
        file.extend(*packet);
    }
    file
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn decode_file(name: &str, options: &[&str]) -> Vec<Value> {
    let path = data(name);
    let mut args = vec!["decode", path.to_str().unwrap()];
    args.extend(options);
    let output = run(&args, "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    objects(&output)
}

fn decode(options: &[&str], input: &str) -> (Vec<Value>, Option<i32>) {
    let mut args = vec!["decode"];
    args.extend(options);
    let output = run(&args, input);
    (objects(&output), output.status.code())
}

fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn run(args: &[&str], input: &str) -> Output {
    run_bytes(args, input.as_bytes())
}

fn run_bytes(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ha-stack"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A child that ends before it has read everything closes the pipe; what it says is looked at, not that.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}
