//! A log as TensorBoard's event file.
//!
//! The file is a row of records (TFRecord: tensorflow/core/lib/io/record_writer.h), each a length, its checksum, a message and its
//! checksum; a message is a protocol buffer `Event` (tensorflow/core/util/event.proto, summary.proto). The few fields that scalars take are
//! written here by hand.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use noyau_tensor::Result;

use super::log_file::LogFile;
use super::{Beginning, Callback, Control};
use crate::history::{EpochRecord, History};

/// Writes each epoch's figures as scalars for TensorBoard, under the names that [`EpochRecord::METRICS`] lists, at the epoch's number.
///
/// The folder gets one file, `events.out.tfevents.noyau`; `tensorboard --logdir` takes the folder or one above it, in which case each
/// folder is a curve. A training that begins anew writes over its file of before (reload a TensorBoard that shows it). One that is resumed
/// goes on with it: epochs after the checkpoint are cut off, epochs that are missing are put in.
///
/// ```
/// # use noyau_train::{Fit, TensorBoard};
/// let fit = Fit::epochs(100).callback(TensorBoard::new("runs/mnist"));
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    log: LogFile,
}

/// TensorBoard looks for files with `tfevents` in their names.
const FILE: &str = "events.out.tfevents.noyau";

impl TensorBoard {
    /// In this folder, which is made if there is none.
    pub fn new(folder: impl Into<PathBuf>) -> TensorBoard {
        TensorBoard { log: LogFile::new("TensorBoard", folder.into().join(FILE)) }
    }

    /// The event file.
    pub fn file(&self) -> &std::path::Path {
        self.log.path()
    }
}

impl Callback for TensorBoard {
    fn name(&self) -> &str {
        "TensorBoard"
    }

    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        let records = match &beginning.history.resumed {
            Some(_) => &beginning.history.epochs[..],
            None => &[],
        };
        let found = if records.is_empty() { Vec::new() } else { self.log.read()? };
        // The first record is the version, and each of the others an epoch; they have their time, and stay.
        let (mut kept, mut count) = (0, 0);
        while count <= records.len()
            && let Some(message) = framed(&found[kept..])
            && step_of(message) == count as u64
        {
            kept += message.len() + FRAME;
            count += 1;
        }
        let mut then = Vec::new();
        if count == 0 {
            then = record(&version());
            count = 1;
        }
        for epoch in &records[count - 1..] {
            then.extend(record(&scalars(epoch)));
        }
        self.log.begin(kept, &then)
    }

    fn on_epoch(&mut self, epoch: &EpochRecord, _control: &mut Control) -> Result<()> {
        self.log.append(&record(&scalars(epoch)))
    }

    fn on_end(&mut self, _history: &History, _control: &mut Control) -> Result<()> {
        self.log.end();
        Ok(())
    }
}

/// Bytes of a record besides its message.
const FRAME: usize = 16;

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + FRAME);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(message);
    record.extend(masked(crc32c(message)).to_le_bytes());
    record
}

/// The message of the record that bytes begin with, if it is there and whole.
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*check) != masked(crc32c(length)) {
        return None;
    }
    let (message, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (check, _) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*check) == masked(crc32c(message))).then_some(message)
}

// Event: double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5. Summary: repeated Value value = 1. Value:
// string tag = 1; float simple_value = 2. A field begins with its number times 8, and how it is written: 0 in groups of 7 bits, 1 in 8
// bytes, 2 with its length, 5 in 4.

fn version() -> Vec<u8> {
    let mut event = time();
    put_bytes(&mut event, 3, b"brain.Event:2");
    event
}

fn scalars(epoch: &EpochRecord) -> Vec<u8> {
    let mut summary = Vec::new();
    for name in EpochRecord::METRICS {
        if let Some(figure) = epoch.metric(name) {
            let mut value = Vec::new();
            put_bytes(&mut value, 1, name.as_bytes());
            value.push(2 << 3 | 5);
            value.extend((figure as f32).to_le_bytes());
            put_bytes(&mut summary, 1, &value);
        }
    }
    let mut event = time();
    event.push(2 << 3);
    put_varint(&mut event, epoch.epoch as u64);
    put_bytes(&mut event, 5, &summary);
    event
}

/// An event's first field: seconds since 1970.
fn time() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut event = vec![1 << 3 | 1];
    event.extend(now.to_le_bytes());
    event
}

fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// The step of an event that was written here; 0 is not written.
fn step_of(event: &[u8]) -> u64 {
    match event.get(9..) {
        Some([tag, rest @ ..]) if *tag == 2 << 3 => take_varint(rest),
        _ => 0,
    }
}

fn take_varint(bytes: &[u8]) -> u64 {
    let mut value = 0;
    for (i, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// CRC-32C (Castagnoli, Bräuer and Herrmann 1993; bits reversed as in RFC 3720, appendix B.4), a byte at a time by a table (Sarwate 1988).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

/// What a byte leaves of the polynomial's division.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// A checksum as TFRecord stores it, so that one of data with checksums in them is not special.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::callbacks::tests::{begin, begin_after, record as epoch};

    /// A field's number and what it has: a number's bits, or bytes.
    fn fields(mut message: &[u8]) -> Vec<(u8, u64, &[u8])> {
        let mut fields = Vec::new();
        let number = |message: &mut &[u8]| {
            let length = message.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
            let (value, rest) = (take_varint(message), &message[length..]);
            *message = rest;
            value
        };
        while let Some((tag, rest)) = message.split_first() {
            message = rest;
            let (value, bytes) = match tag & 7 {
                0 => (number(&mut message), &message[..0]),
                1 => (u64::from_le_bytes(message[..8].try_into().unwrap()), message.split_off(..8).unwrap()),
                2 => {
                    let length = number(&mut message) as usize;
                    (0, message.split_off(..length).unwrap())
                }
                5 => (u32::from_le_bytes(message[..4].try_into().unwrap()).into(), message.split_off(..4).unwrap()),
                other => panic!("wire type {other}"),
            };
            fields.push((tag >> 3, value, bytes));
        }
        fields
    }

    /// Wall time, step and scalars.
    type Event = (f64, u64, Vec<(String, f32)>);

    /// The events after the first.
    fn events(path: &std::path::Path) -> Vec<Event> {
        let bytes = fs::read(path).unwrap();
        let (mut at, mut events) = (0, Vec::new());
        while at < bytes.len() {
            let message = framed(&bytes[at..]).unwrap_or_else(|| panic!("no whole record at byte {at} of {}", bytes.len()));
            at += message.len() + FRAME;
            let fields_of_event = fields(message);
            let &[(1, time, _), ref rest @ ..] = &fields_of_event[..] else { panic!("{fields_of_event:?}") };
            if events.is_empty() && at == message.len() + FRAME {
                assert_eq!(rest, [(3, 0, &b"brain.Event:2"[..])]);
                continue;
            }
            let &[(2, step, _), (5, _, summary)] = rest else { panic!("{rest:?}") };
            let values = fields(summary).into_iter().map(|(field, _, value)| {
                assert_eq!(field, 1);
                let value = fields(value);
                let &[(1, _, tag), (2, bits, _)] = &value[..] else { panic!("{value:?}") };
                (String::from_utf8(tag.into()).unwrap(), f32::from_bits(bits as u32))
            });
            events.push((f64::from_bits(time), step, values.collect()));
        }
        events
    }

    /// The check value of the catalogue of CRCs, and those of RFC 3720, appendix B.4.
    #[test]
    fn checksums_are_the_standards() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| i as u8)), 0x46dd_794e);
        assert_eq!(crc32c(&[]), 0);
    }

    #[test]
    fn events_have_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::new(folder.path().join("runs/a"));
        begin(&mut board).unwrap();
        let bare = EpochRecord { train_accuracy: None, test_loss: None, test_accuracy: None, ..epoch(2, 0.5) };
        let last = epoch(300, 1.0 / 3.0);
        for record in [&epoch(1, 1.0), &bare, &last] {
            board.on_epoch(record, &mut Control::new(0.1)).unwrap();
        }
        let found = events(board.file());
        assert_eq!(found.iter().map(|event| event.1).collect::<Vec<_>>(), [1, 2, 300]);
        assert!(found.iter().all(|event| event.0 > 1.7e9 && event.0 < 1e10), "{found:?}");
        let wanted = |record: &EpochRecord| -> Vec<(String, f32)> {
            EpochRecord::METRICS.iter().filter_map(|&name| Some((name.to_string(), record.metric(name)? as f32))).collect()
        };
        assert_eq!((found[0].2.len(), found[1].2.len()), (8, 5));
        assert_eq!(found[1].2, wanted(&bare));
        assert_eq!(found[2].2, wanted(&last));
        // Anew.
        begin(&mut board).unwrap();
        assert_eq!(events(board.file()), []);
    }

    #[test]
    fn a_resumed_log_has_each_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::new(folder.path());
        let records: Vec<EpochRecord> = (1..=4).map(|number| epoch(number, 1.0 / number as f64)).collect();
        begin(&mut board).unwrap();
        for record in &records {
            board.on_epoch(record, &mut Control::new(0.1)).unwrap();
        }
        let (path, whole, all) = (board.file().to_path_buf(), fs::read(board.file()).unwrap(), events(board.file()));
        let row = record(&scalars(&records[0])).len();
        let mut damaged = whole.clone();
        let third = whole.len() - row - row / 2;
        damaged[third] ^= 1;
        let mut flipped = whole.clone();
        flipped[9] ^= 1;
        // Too many, as many, part of the third, part of the second, a damaged third and first, none; and how many keep their time.
        for (before, kept) in [
            (&whole[..], 3),
            (&whole[..whole.len() - row], 3),
            (&whole[..whole.len() - row - 5], 2),
            (&whole[..whole.len() - 3 * row + 9], 1),
            (&damaged[..], 2),
            (&flipped[..], 0),
            (&[][..], 0),
        ] {
            fs::write(&path, before).unwrap();
            let mut board = TensorBoard::new(folder.path());
            begin_after(&mut board, &records[..3]).unwrap();
            board.on_epoch(&records[3], &mut Control::new(0.1)).unwrap();
            let found = events(&path);
            assert_eq!(found[..kept], all[..kept]);
            let figures = |events: &[Event]| -> Vec<_> { events.iter().map(|e| (e.1, e.2.clone())).collect() };
            assert_eq!(figures(&found), figures(&all), "of {} bytes", before.len());
            let times = found.iter().zip(&all).filter(|(f, a)| f.0 == a.0).count();
            assert_eq!(times, kept, "times that were kept, of {} bytes", before.len());
        }
    }

    #[test]
    fn a_folder_that_it_cannot_have() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fault = begin(&mut TensorBoard::new(file.path())).unwrap_err().to_string();
        assert!(fault.contains("cannot write") && fault.contains("give TensorBoard a path that can be written"), "{fault}");
    }
}
