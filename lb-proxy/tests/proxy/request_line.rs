//! The first line of a request (RFC 9112 §3): method, target, version, and nothing else.

use std::io::{Read, Write};

use crate::support::Gate;

#[test]
fn a_malformed_request_line_is_refused() {
    let gate = Gate::new();
    for line in [
        "GET",
        "GET ",
        " GET / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t",
        "GET / HTTP/1.1 x",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / x HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET( / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "GET: / HTTP/1.1",
        "G\0T / HTTP/1.1",
        "G\u{c9}T / HTTP/1.1",
        "/ HTTP/1.1",
        " / HTTP/1.1",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "GET / HTTP/1.1\rX: y",
    ] {
        // Where the target ends, the version begins, and may be what is wrong.
        gate.refuses(format!("{line}\r\nHost: a\r\n\r\n"), &[400, 505]);
    }
    gate.settles();
}

#[test]
fn a_version_is_http_1() {
    let gate = Gate::new();
    for version in [
        "HTTP/0.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/9.9",
        "HTTP/10.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.1.1",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1,1",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/1.x",
        "HTTP/x.1",
        "http/1.1",
        "Http/1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP1.1",
        "HTTPS/1.1",
        "HTP/1.1",
        "ICY/1.1",
        "1.1",
    ] {
        gate.refuses(format!("GET / {version}\r\nHost: a\r\n\r\n"), &[400, 505]);
    }
    // HTTP/0.9 has neither version nor headers.
    gate.refuses("GET /\r\n", &[400, 505]);
    gate.refuses("GET /\r\nHost: a\r\n\r\n", &[400, 505]);
    gate.settles();
}

#[test]
fn every_method_that_is_a_token_passes() {
    let gate = Gate::new();
    for method in [
        "GET",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "M-SEARCH",
        "get",
        "X",
        "!#$%&'*+-.^_`|~9",
        "PURGE",
    ] {
        let request = gate.passes(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(request.method, method);
    }
    let request = gate.passes("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.method, "HEAD");
}

#[test]
fn connect_and_trace_are_not_allowed_in_any_form() {
    let gate = Gate::new();
    for line in [
        "CONNECT b:443 HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "CONNECT http://b/ HTTP/1.1",
        "TRACE / HTTP/1.1",
        "TRACE * HTTP/1.1",
        "TRACE / HTTP/1.0",
    ] {
        let answer = gate.refuses(format!("{line}\r\nHost: b:443\r\n\r\n"), &[400, 405]);
        if line.starts_with("TRACE /") || line.starts_with("CONNECT b:443") {
            assert_eq!(answer.status, 405, "{line}");
        }
    }
    gate.settles();
}

#[test]
fn a_target_holds_printable_ascii_alone() {
    let gate = Gate::new();
    for target in [
        "/\x01",
        "/\x7f",
        "/\x0b",
        "/\0",
        "/a\x1b[2J",
        "/\u{e9}",
        "/\u{a0}",
        "/a#b",
        "/#",
        "#",
        "/?#",
        "http://a/#b",
    ] {
        gate.refuses(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &[400]);
    }
    gate.refuses(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", &[400]);
    for target in [
        "/",
        "//",
        "/a//b",
        "/..",
        "/a/../b/./c",
        "/%00",
        "/%2e%2e/",
        "/%zz",
        "/a;b=c",
        "/a?b?c",
        "/?",
        "/a:b@c",
        "/[x]|{y}",
        "/a,b!c$d&e'f(g)h*i+j=k~l",
    ] {
        let request = gate.passes(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(request.target, target, "not a byte of it is changed");
    }
    gate.settles();
}

#[test]
fn a_target_of_another_form_is_refused() {
    let gate = Gate::new();
    for target in [
        // Authority-form is for CONNECT, the asterisk for OPTIONS.
        "a",
        "a:80",
        "a:80/",
        "[::1]:80",
        "*",
        "**",
        "*/",
        "?q",
        "..",
        "../x",
        ".",
        "\\",
        "\\\\a\\b",
        "%2f",
        // Absolute, and not HTTP; without a host; with a user; with a host that is none.
        "ftp://a/",
        "ws://a/",
        "file:///etc/passwd",
        "urn:a",
        "http:a",
        "http:/a",
        "http://",
        "http:///x",
        "http://?q",
        "http://:80/",
        "http://u@a/",
        "http://u:p@a/",
        "http://@a/",
        "http://a:x/",
        "http://a:99999/",
        "http://[::1/",
        "http://a,b/",
        "http://a\\b/",
        "http:\\\\a/",
        "//a",
        "mailto:a@b",
    ] {
        if target == "//a" {
            // Origin-form with an empty first segment: a path, never a host.
            let request = gate.passes("GET //a HTTP/1.1\r\nHost: b\r\n\r\n");
            assert_eq!(
                (request.target.as_str(), request.header("host")),
                ("//a", Some("b"))
            );
            continue;
        }
        gate.refuses(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &[400]);
    }
    gate.refuses("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", &[400]);
    gate.settles();
}

#[test]
fn an_absolute_target_takes_the_place_of_the_host() {
    let gate = Gate::new();
    for (target, path, host) in [
        ("http://b", "/", "b"),
        ("http://b/", "/", "b"),
        ("http://b:81/x?y", "/x?y", "b:81"),
        ("http://b?y", "/?y", "b"),
        ("HTTP://b/x", "/x", "b"),
        ("https://b/x", "/x", "b"),
        ("http://[::1]:81/x", "/x", "[::1]:81"),
        ("http://b//x", "//x", "b"),
        ("http://b/http://c/", "/http://c/", "b"),
        ("http://b/u@c", "/u@c", "b"),
        ("http://b?u@c", "/?u@c", "b"),
    ] {
        let request = gate.passes(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(
            (request.target.as_str(), request.header("host")),
            (path, Some(host)),
            "{target}"
        );
    }
    let request = gate.passes("GET http://b/x HTTP/1.0\r\n\r\n");
    assert_eq!(
        (request.target.as_str(), request.header("host")),
        ("/x", Some("b"))
    );
    // RFC 9112 §3.2.4: OPTIONS for a server as a whole.
    let request = gate.passes("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.header("host"), Some("b"));
    assert!(
        ["*", "/"].contains(&request.target.as_str()),
        "{}",
        request.target
    );
}

#[test]
fn a_line_beyond_the_limit_is_told_from_a_head_beyond_it() {
    let gate = Gate::with(|config| config.max_head(8 * 1024));
    let long = "a".repeat(9 * 1024);
    gate.refuses(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), &[414]);
    gate.refuses(
        format!("GET /?{long}{long}{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        &[414],
    );
    gate.refuses(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), &[431]);
    // Nor does the line have to end for it to be too long.
    gate.refuses(format!("GET /{long}{long}"), &[414]);
    let fits = "a".repeat(7 * 1024);
    let request = gate.passes(format!("GET /{fits} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(request.target.len(), fits.len() + 1);
    gate.settles();
}

#[test]
fn empty_lines_before_a_request_are_skipped_up_to_the_limit() {
    let gate = Gate::new();
    // RFC 9112 §2.2: some clients send one after the body of a POST.
    gate.passes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut client = gate.connect();
    for _ in 0..2 {
        let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok\r\n");
        assert_eq!(answer.text(), "x");
    }
    drop(client);
    let mut client = gate.connect();
    let _ = client.try_send("\r\n".repeat(64 * 1024));
    let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.try_response("GET").map(|answer| answer.status);
    assert!(
        !matches!(answer, Ok(200)),
        "endless emptiness is no request: {answer:?}"
    );
    drop(client);
    gate.settles();
}

#[test]
fn what_is_not_http_at_all_is_refused() {
    let gate = Gate::new();
    let client_hello = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\x8a\x11\r\n\r\n";
    for bytes in [
        &client_hello[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"{\"jsonrpc\":\"2.0\"}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"EHLO example.com\r\n",
    ] {
        gate.refuses(bytes, &[400, 505]);
    }
    gate.settles();
}

#[test]
fn a_connection_that_says_nothing_costs_nothing() {
    let gate = Gate::new();
    for bytes in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let client = gate.connect();
        let mut socket = client.socket();
        socket.write_all(bytes.as_bytes()).expect("connected");
        socket.shutdown(std::net::Shutdown::Write).expect("connected");
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    gate.settles();
}

#[test]
fn another_version_is_not_supported() {
    let gate = Gate::new();
    for version in ["HTTP/1.2", "HTTP/2.0"] {
        let answer = gate.refuses(format!("GET / {version}\r\nHost: a\r\n\r\n"), &[505]);
        assert_eq!(
            answer.text(),
            "505 HTTP Version Not Supported: HTTP version not supported\n"
        );
    }
}
