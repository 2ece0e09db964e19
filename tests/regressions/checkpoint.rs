//! What a checkpoint has to keep up, as `parsers` says of all files. Apart from it because trainings, and GPUs with them, take long to build for fuzzing.

use std::collections::BTreeMap;

use noyau_formats::safetensors;
use noyau_train::Checkpoint;

use crate::parsers::{NAME, parsed};

/// A checkpoint. The first byte says whether the file follows or its description alone, which is then put into a file without values.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let Some((&options, content)) = bytes.split_first() else { return false };
    let made;
    let file = if options & 1 == 0 {
        content
    } else {
        let Ok(text) = std::str::from_utf8(content) else { return false };
        made = safetensors::to_bytes(&[], &BTreeMap::from([("checkpoint".to_string(), text.to_string())])).expect("a small file");
        &made[..]
    };
    // The header is JSON in a text in JSON: "0," in a list is a value of 32 bytes, "{}," a record of an epoch that is refused at its first missing figure.
    let Some(checkpoint) = parsed(file, 192, || Checkpoint::from_bytes(NAME, file)) else { return false };
    assert_eq!(checkpoint.history().len(), checkpoint.epoch());
    assert!(checkpoint.step() >= checkpoint.batch() as u64);
    true
}
