//! `[[notify_fifo]]`, `vrrp_notify_fifo`.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;

use crate::daemon::Daemon;
use crate::file::Said;
use crate::lan::{PATIENCE, lab, lab_test, wait_until};
use crate::support::Folder;

#[test]
fn a_notify_fifo_gets_the_changes_of_state() {
    lab_test().run(|| {
        let folder = Folder::new("kernel-fifo");
        let path = folder.join("fifo");
        let shown = path.display();
        let said = Said {
            toml: ("", &format!("[[notify_fifo]]\npath = \"{shown}\"")),
            conf: Some(("", &format!("vrrp_notify_fifo {shown}"))),
            ..Said::QUICK
        };
        for (file, text) in [("a.toml", said.to_toml()), ("a.conf", said.to_conf().unwrap())] {
            let lab = lab();
            let daemon = Daemon::start(&folder, lab.host("a"), file, &text);
            wait_until(|| path.exists());
            // A reader that also writes is not told of an end while nobody else does.
            let fifo = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let (lines, told) = mpsc::channel();
            std::thread::spawn(move || {
                let read = BufReader::new(fifo).lines().map_while(Result::ok);
                read.take_while(|line| lines.send(line.clone()).is_ok()).count();
            });
            let wait_for = |wanted: &str| while told.recv_timeout(PATIENCE).unwrap().trim_end() != wanted {};
            wait_for("INSTANCE \"VI\" MASTER 100");
            daemon.stop();
            wait_for("INSTANCE \"VI\" STOP 100");
        }
    });
}
