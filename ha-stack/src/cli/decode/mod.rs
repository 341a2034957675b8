//! `ha-stack decode`: what stands in VRRP packets, one JSON object a packet.

mod hex;
mod ip;
mod pcap;
mod report;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use ip::Layer;
use pcap::{Kind, Pcap, PcapError};
use report::Report;

/// Longest line that is read: every octet with a blank after it, and room for a comment.
const MAX_LINE: u64 = 3 * hex::MAX_OCTETS as u64 + 4096;

/// Arguments of `decode`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Lines of hex, each an IPv4 or IPv6 packet, or a pcap file. Standard input when left out.
    file: Option<PathBuf>,
    /// Lines of hex are Ethernet frames. A pcap file says itself what it holds.
    #[arg(long)]
    link: bool,
}

/// Why nothing more can be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("cannot read {file}: {error}")]
    Open { file: String, error: io::Error },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{file}: {error}")]
    Pcap { file: String, error: PcapError },
    #[error("{file} is a pcapng file: convert it with `tcpdump -r {file} -w classic.pcap`")]
    PcapNg { file: String },
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Packets that something is wrong with.
    pub(super) bad: u64,
    /// Packets of a pcap file that are not VRRP, and not shown.
    pub(super) foreign: u64,
}

/// Decodes a file, or standard input.
pub(super) fn run(args: &Args, output: &mut impl Write) -> Result<Tally, DecodeError> {
    match &args.file {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let open = |error| DecodeError::Open {
                file: name.clone(),
                error,
            };
            let input = File::open(path).map_err(open)?;
            if input.metadata().map_err(open)?.is_dir() {
                return Err(open(io::ErrorKind::IsADirectory.into()));
            }
            decode(BufReader::new(input), &name, args.link, output)
        }
        _ => decode(io::stdin().lock(), "standard input", args.link, output),
    }
}

fn decode(
    mut input: impl BufRead,
    name: &str,
    link: bool,
    output: &mut impl Write,
) -> Result<Tally, DecodeError> {
    let mut magic = Vec::new();
    input
        .by_ref()
        .take(pcap::MAGIC_LEN as u64)
        .read_to_end(&mut magic)?;
    let kind = pcap::kind(&magic);
    let input = magic.as_slice().chain(input);
    match kind {
        Kind::Pcap => decode_pcap(input, name, output),
        Kind::PcapNg => Err(DecodeError::PcapNg {
            file: name.to_owned(),
        }),
        Kind::Other => decode_hex(input, link, output),
    }
}

fn decode_pcap(input: impl Read, name: &str, output: &mut impl Write) -> Result<Tally, DecodeError> {
    let broken = |error| DecodeError::Pcap {
        file: name.to_owned(),
        error,
    };
    let mut pcap = Pcap::new(input).map_err(broken)?;
    let mut tally = Tally::default();
    while let Some(packet) = pcap.next().map_err(broken)? {
        match Report::of(&packet, pcap.layer()) {
            Ok(report) => tally.print(&report, output)?,
            Err(_) => tally.foreign += 1,
        }
    }
    Ok(tally)
}

fn decode_hex(mut input: impl BufRead, link: bool, output: &mut impl Write) -> Result<Tally, DecodeError> {
    let layer = if link { Layer::Ethernet } else { Layer::Ip };
    let mut tally = Tally::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let report = if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
            Report::error(format!("line {number}: {}", hex::HexError::TooLong))
        } else {
            match hex::line(&String::from_utf8_lossy(&line)) {
                None => continue,
                Some(Err(error)) => Report::error(format!("line {number}: {error}")),
                // On a line of its own a foreign packet is an error: somebody took it for VRRP.
                Some(Ok(octets)) => Report::of(&octets, layer).unwrap_or_else(|foreign| *foreign),
            }
        };
        tally.print(&report, output)?;
    }
    Ok(tally)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|octet| *octet == b'\n') {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None => {
                let len = buffer.len();
                input.consume(len);
            }
        }
    }
}

impl Tally {
    fn print(&mut self, report: &Report, output: &mut impl Write) -> io::Result<()> {
        self.bad += u64::from(report.is_bad());
        serde_json::to_writer(&mut *output, report)?;
        writeln!(output)
    }
}
