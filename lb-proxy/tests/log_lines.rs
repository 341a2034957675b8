//! Lines of the access log, seen from outside: forms of nginx, and what no client can do to them.

use std::time::Duration;

use lb_proxy::log::{Attempt, Clock, Escape, Format, Record, Stamp, Tls, UtcOffset};
use proptest::prelude::*;

#[test]
fn combined_is_byte_for_byte_nginx() {
    let fields: &[(&str, &[u8])] = &[
        ("User-Agent", b"curl/7.88.1 \"x\""),
        ("Authorization", b"Basic YWxhZGRpbjpvcGVuc2VzYW1l"),
    ];
    let mut record = record();
    record.request_fields = &fields;
    assert_eq!(
        line(&Format::combined(), &record),
        "192.0.2.1 - aladdin [24/Nov/2026:20:13:06 +0000] \"GET /a?b=c HTTP/1.1\" 200 512 \"-\" \
         \"curl/7.88.1 \\x22x\\x22\"\n"
    );
    record.request_fields = &();
    assert_eq!(
        line(&Format::common(), &record),
        "192.0.2.1 - - [24/Nov/2026:20:13:06 +0000] \"GET /a?b=c HTTP/1.1\" 200 512\n"
    );
}

#[test]
fn json_is_an_object_with_numbers_where_they_are_numbers() {
    let mut record = record();
    let attempts = attempts();
    record.attempts = &attempts;
    let object: serde_json::Value = serde_json::from_str(&line(&Format::json(), &record)).unwrap();
    assert_eq!(object["time"], "2026-11-24T20:13:06+00:00");
    assert_eq!(object["status"], 200);
    assert_eq!(object["request_time"], 1.234);
    assert_eq!(object["msec"], 1_795_551_186.789);
    assert_eq!(object["upstream_status"], "502, 200");
    assert_eq!(object["host"], "example.com");
    assert_eq!(object["referer"], "");
}

#[test]
fn every_variable_has_nginx_form() {
    let request: &[(&str, &[u8])] = &[
        ("X-Forwarded-For", b"1.1.1.1"),
        ("X-Forwarded-For", b"2.2.2.2"),
        ("Cookie", b"a=b; JSESSIONID=x.n1; c=d"),
        ("Empty", b""),
    ];
    let response: &[(&str, &[u8])] = &[("Content-Type", b"text/html")];
    let attempts = attempts();
    let mut record = record();
    record.request_fields = &request;
    record.response_fields = &response;
    record.attempts = &attempts;
    record.target = "/%61//b/../c%20d?X=1&y=2&x=3";
    for (text, value) in [
        ("$remote_addr:$remote_port", "192.0.2.1:40000"),
        ("$realip_remote_addr:$realip_remote_port", "10.0.0.1:50000"),
        ("$server_addr:$server_port", "2001:db8::80:443"),
        (
            "$time_local|$time_iso8601|$msec",
            "24/Nov/2026:20:13:06 +0000|2026-11-24T20:13:06+00:00|1795551186.789",
        ),
        ("$request_method $request_uri", "GET /%61//b/../c%20d?X=1&y=2&x=3"),
        ("$uri|$args|$query_string", "/a/c d|X=1&y=2&x=3|X=1&y=2&x=3"),
        ("$arg_x|$arg_y|$arg_z", "1|2|-"),
        ("$cookie_JSESSIONID|$cookie_jsessionid|$cookie_c", "x.n1|-|d"),
        (
            "$http_x_forwarded_for|$http_empty|$http_none",
            "1.1.1.1, 2.2.2.2||-",
        ),
        ("$sent_http_content_type|$sent_http_x", "text/html|-"),
        (
            "$scheme://$host $http_host $server_protocol",
            "https://example.com Example.com:443 HTTP/1.1",
        ),
        ("$request_id $request_length $request_time", "abc 321 1.234"),
        (
            "$status $bytes_sent $body_bytes_sent $request_completion",
            "200 700 512 OK",
        ),
        ("$connection/$connection_requests", "7/3"),
        (
            "$ssl_protocol/$ssl_cipher/$ssl_server_name",
            "TLSv1.3/TLS_AES_128_GCM_SHA256/-",
        ),
        (
            "$upstream_name $upstream_addr",
            "app 192.0.2.10:8080, [2001:db8::10]:8080",
        ),
        ("$upstream_status", "502, 200"),
        ("$upstream_connect_time", "-, 0.000"),
        (
            "$upstream_header_time $upstream_response_time",
            "-, 0.010 0.005, 1.020",
        ),
        ("$upstream_bytes_sent $upstream_bytes_received", "0, 300 0, 800"),
        ("$reason $pipe $gzip_ratio $$", "connect . - $"),
        ("$remote_user", "-"),
    ] {
        let format = Format::parse(text, Escape::Default).unwrap();
        assert_eq!(line(&format, &record), format!("{value}\n"), "{text}");
    }
}

#[test]
fn what_is_unknown_is_a_dash_or_nothing() {
    let names = "$remote_addr $remote_port $realip_remote_addr $remote_user $request $request_method $request_uri \
        $uri $args $arg_a $cookie_a $host $scheme $request_id $request_completion $http_a $sent_http_a $server_addr \
        $server_port $ssl_protocol $ssl_cipher $ssl_server_name $upstream_addr $upstream_status \
        $upstream_response_time $upstream_name $reason";
    let count = names.split_whitespace().count();
    let unknown = Record::default();
    let dashes = line(&Format::parse(names, Escape::Default).unwrap(), &unknown);
    assert_eq!(dashes.trim_end(), vec!["-"; count].join(" "));
    let nothing = line(&Format::parse(names, Escape::Json).unwrap(), &unknown);
    assert_eq!(nothing, format!("{}\n", " ".repeat(count - 1)));
}

#[test]
fn only_the_fields_that_are_needed_are_asked_for() {
    let format = Format::parse(
        "$http_a_b $cookie_x $cookie_y $remote_user $sent_http_e",
        Escape::Default,
    );
    let format = format.unwrap();
    assert_eq!(
        format.request_fields(),
        ["a-b".into(), "authorization".into(), "cookie".into()]
    );
    assert_eq!(format.response_fields(), ["e".into()]);
}

#[test]
fn broken_credentials_name_nobody() {
    for (value, user) in [
        ("Basic YWxhZGRpbjpvcGVuc2VzYW1l", "aladdin"),
        ("basic  YTo=", "a"),
        ("Basic YTpi", "a"),
        ("Basic Og==", "-"),
        ("Basic YQ==", "-"),
        ("Basic", "-"),
        ("Basic !!!!", "-"),
        ("Bearer YWxhZGRpbjpv", "-"),
        ("Basic IgoK Og==", "-"),
        ("Basic Igo6", "\\x22\\x0A"),
    ] {
        let fields: &[(&str, &[u8])] = &[("authorization", value.as_bytes())];
        let mut record = record();
        record.request_fields = &fields;
        let format = Format::parse("$remote_user", Escape::Default).unwrap();
        assert_eq!(line(&format, &record).trim_end(), user, "{value}");
    }
}

#[test]
fn formats_that_cannot_be_are_refused_with_their_place() {
    let error = |text| Format::parse(text, Escape::Default).unwrap_err().to_string();
    assert_eq!(error("$status $nope"), "there is no variable $nope (at byte 8)");
    assert_eq!(error("$http_"), "there is no variable $http_ (at byte 0)");
    assert_eq!(
        error("a\nb"),
        "a log format has no line breaks and other control characters"
    );
    assert!(Format::parse("$status\t$host", Escape::Default).is_ok());
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_one_line_of_harmless_text(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        text in any::<String>(),
        json in any::<bool>(),
    ) {
        let fields = [
            ("referer", &bytes[..]),
            ("user-agent", text.as_bytes()),
            ("cookie", &bytes[..]),
            ("authorization", &bytes[..]),
        ];
        let fields = &fields[..];
        let mut record = record();
        record.request_line = Some(&bytes);
        record.method = &text;
        record.target = &text;
        record.protocol = &text;
        record.host = &text;
        record.request_id = &text;
        record.reason = &text;
        record.upstream = &text;
        record.scheme = &text;
        record.tls = Some(Tls { server_name: &text, ..Tls::default() });
        record.request_fields = &fields;
        record.response_fields = &fields;
        let all = "$request $request_method $request_uri $uri $args $arg_a $host $request_id $http_referer \
            $http_user_agent $sent_http_referer $cookie_a $remote_user $ssl_server_name $reason $upstream_name $scheme";
        let escape = if json { Escape::Json } else { Escape::Default };
        for format in [Format::combined(), Format::json(), Format::parse(all, escape).unwrap()] {
            let line = line(&format, &record);
            let body = line.strip_suffix('\n').expect("a line ends");
            prop_assert!(!body.chars().any(char::is_control), "{body:?}");
            if format == Format::json() {
                let object: serde_json::Value = serde_json::from_str(body).expect("valid JSON");
                prop_assert_eq!(object["reason"].as_str(), Some(&*text));
                prop_assert_eq!(object["referer"].as_str(), Some(&*String::from_utf8_lossy(&bytes)));
            }
        }
    }
}

fn line(format: &Format, record: &Record<'_>) -> String {
    let mut clock = Clock::new(UtcOffset::UTC);
    let stamp: &Stamp = clock.at(Duration::from_millis(1_795_551_186_789));
    let mut out = Vec::new();
    format.write(stamp, record, &mut out);
    String::from_utf8(out).expect("a line is UTF-8")
}

fn record() -> Record<'static> {
    let mut record = Record::default();
    record.client = Some("192.0.2.1:40000".parse().unwrap());
    record.peer = Some("10.0.0.1:50000".parse().unwrap());
    record.server = Some("[2001:db8::80]:443".parse().unwrap());
    record.scheme = "https";
    record.connection = 7;
    record.connection_requests = 3;
    record.tls = Some(Tls {
        protocol: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        server_name: "",
    });
    record.method = "GET";
    record.target = "/a?b=c";
    record.protocol = "HTTP/1.1";
    record.host = "Example.com:443";
    record.request_id = "abc";
    record.request_length = 321;
    record.status = 200;
    record.bytes_sent = 700;
    record.body_bytes_sent = 512;
    record.completed = true;
    record.duration = Duration::from_millis(1_234);
    record.upstream = "app";
    record.reason = "connect";
    record
}

fn attempts() -> [Attempt; 2] {
    let mut failed = Attempt::new("192.0.2.10:8080".parse().unwrap());
    failed.status = Some(502);
    failed.response = Some(Duration::from_millis(5));
    let mut answered = Attempt::new("[2001:db8::10]:8080".parse().unwrap());
    answered.status = Some(200);
    answered.connect = Some(Duration::ZERO);
    answered.header = Some(Duration::from_millis(10));
    answered.response = Some(Duration::from_millis(1_020));
    answered.bytes_sent = 300;
    answered.bytes_received = 800;
    [failed, answered]
}
